/* An external extension without any library beside it: it registers under its own file name, tells on its standard
 * output of the events that it gets, and ends when it is told to. Built statically by the integration test. */
#include <arpa/inet.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

static int api;

/* Sends one request, and returns the whole answer. */
static const char *call(const char *request) {
    static char answer[16 * 1024];
    size_t have = 0;
    for (size_t sent = 0, count = strlen(request); sent < count;) {
        ssize_t written = write(api, request + sent, count - sent);
        if (written <= 0) exit(90);
        sent += (size_t)written;
    }
    for (;;) {
        char *body, *length;
        answer[have] = 0;
        if ((body = strstr(answer, "\r\n\r\n")) && (length = strcasestr(answer, "content-length: "))
            && have >= (size_t)(body + 4 - answer) + strtoul(length + 16, NULL, 10)) return answer;
        ssize_t count = read(api, answer + have, sizeof answer - 1 - have);
        if (count <= 0) exit(91);
        have += (size_t)count;
    }
}

int main(int argc, char **argv) {
    char request[1024], id[37] = "";
    const char *name = basename(argv[0]), *body = "{\"events\":[\"INVOKE\",\"SHUTDOWN\"]}";
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(9001), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    (void)argc;
    setvbuf(stdout, NULL, _IOLBF, 0);
    if (strcmp(getenv("AWS_LAMBDA_RUNTIME_API"), "127.0.0.1:9001")) return 80;
    api = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(api, (void *)&address, sizeof address)) return 81;
    snprintf(request, sizeof request,
             "POST /2020-01-01/extension/register HTTP/1.1\r\nHost: api\r\nLambda-Extension-Name: %s\r\n"
             "Content-Length: %zu\r\n\r\n%s", name, strlen(body), body);
    const char *given = strcasestr(call(request), "lambda-extension-identifier: ");
    if (!given) return 82;
    memcpy(id, given + 29, 36);
    printf("%s: registered\n", name);
    snprintf(request, sizeof request,
             "GET /2020-01-01/extension/event/next HTTP/1.1\r\nHost: api\r\nLambda-Extension-Identifier: %s\r\n\r\n", id);
    for (;;) {
        const char *event = call(request);
        printf("%s: %s\n", name, strstr(event, "\"INVOKE\"") ? "invoke" : "shutdown");
        if (strstr(event, "\"SHUTDOWN\"")) return 0;
    }
}
