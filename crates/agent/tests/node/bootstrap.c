/* A custom runtime without any library beside it: serves the Runtime API over TCP and does what the
 * first letter of the event says. Built statically by the integration test. */
#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static int api;

static void write_all(const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(api, bytes, count);
        if (written <= 0) exit(90);
        bytes += written;
        count -= (size_t)written;
    }
}

/* Reads one answer; returns its body, NUL-terminated, and leaves its head in `head`. */
static char *read_answer(char *head, size_t room) {
    size_t have = 0;
    char *end = NULL;
    while (end == NULL) {
        ssize_t count = read(api, head + have, room - 1 - have);
        if (count <= 0) exit(91);
        have += (size_t)count;
        head[have] = 0;
        end = strstr(head, "\r\n\r\n");
    }
    *end = 0;
    char *length = strcasestr(head, "content-length: ");
    size_t wanted = length ? strtoul(length + 16, NULL, 10) : 0;
    char *body = calloc(1, wanted + 1);
    size_t got = have - (size_t)(end + 4 - head);
    memcpy(body, end + 4, got);
    while (got < wanted) {
        ssize_t count = read(api, body + got, wanted - got);
        if (count <= 0) exit(92);
        got += (size_t)count;
    }
    return body;
}

static void act(const char *event, char *answer, size_t room) {
    switch (event[0]) {
    case 'x':
        exit(3);
    case 's':
        pause();
        break;
    case 'm':
        for (;;) memset(malloc(1 << 20), 1, 1 << 20);
    case 'd':
        if (fork() == 0) {
            signal(SIGTERM, SIG_IGN);
            for (;;) pause();
        }
        exit(0);
    case 'p':
        printf("printed %s\n", event + 1);
        fflush(stdout);
        snprintf(answer, room, "\"printed\"");
        return;
    case 'v':
        snprintf(answer, room, "%s", getenv(event + 1) ? getenv(event + 1) : "");
        return;
    default:
        snprintf(answer, room, "%s", event);
    }
}

int main(void) {
    static char head[65536], answer[65536], request[131072];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(9001)};
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    api = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(api, (struct sockaddr *)&at, sizeof at) != 0) return 93;
    for (;;) {
        const char *next = "GET /2018-06-01/runtime/invocation/next HTTP/1.1\r\nHost: a\r\n\r\n";
        write_all(next, strlen(next));
        char *event = read_answer(head, sizeof head);
        char id[64] = "";
        char *header = strcasestr(head, "lambda-runtime-aws-request-id: ");
        if (header == NULL) return 94;
        sscanf(header + 31, "%63[^\r]", id);
        act(event, answer, sizeof answer);
        free(event);
        int length = snprintf(request, sizeof request,
            "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.1\r\nHost: a\r\n"
            "Content-Length: %zu\r\n\r\n%s", id, strlen(answer), answer);
        write_all(request, (size_t)length);
        free(read_answer(head, sizeof head));
    }
}
