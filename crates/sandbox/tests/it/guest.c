/* What runs in the sandboxes of the tests: `guest VERB [ARGUMENT...]`. Static, so that it needs nothing of its root. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

/* In hostile.c. */
void hostile(const char *what);

/* Prints a file, or why it cannot be read. */
static void cat(const char *path) {
    char buffer[65536];
    int fd = open(path, O_RDONLY);
    ssize_t length;
    if (fd < 0) printf("%s: %s\n", path, strerrorname_np(errno));
    while (fd >= 0 && (length = read(fd, buffer, sizeof buffer)) > 0) fwrite(buffer, 1, length, stdout);
    if (fd >= 0) close(fd);
}

static void link_of(const char *path) {
    char target[4096];
    ssize_t length = readlink(path, target, sizeof target);
    printf("%.*s\n", length < 0 ? 0 : (int)length, target);
}

/* Prints what came of an attempt. */
static void attempt(const char *what, long result) {
    printf("%s: %s\n", what, result < 0 ? strerrorname_np(errno) : "done");
}

static long first_byte(const char *path) {
    char byte;
    int fd = open(path, O_RDONLY);
    ssize_t length = fd < 0 ? -1 : read(fd, &byte, 1);
    if (length == 0) errno = ENODATA;
    return length > 0 ? 0 : -1;
}

static void attempts(void) {
    attempt("mount", mount("none", "/tmp", "tmpfs", 0, NULL));
    attempt("umount", umount("/proc"));
    attempt("remount", mount("none", "/", NULL, MS_REMOUNT | MS_BIND, NULL));
    attempt("chroot", chroot("/tmp"));
    attempt("unshare user", unshare(CLONE_NEWUSER));
    attempt("clone user", syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0));
    attempt("setns", setns(open("/proc/1/ns/mnt", O_RDONLY), 0));
    attempt("ptrace", ptrace(PTRACE_ATTACH, 1, NULL, NULL));
    attempt("setuid", setuid(0));
    attempt("setgid", setgid(0));
    attempt("packet socket", socket(AF_PACKET, SOCK_RAW, 0));
    attempt("raw socket", socket(AF_INET, SOCK_RAW, 1));
    attempt("keyring", syscall(SYS_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_SESSION_KEYRING, 1));
    attempt("bpf", syscall(SYS_bpf, 0, NULL, 0));
    attempt("userfaultfd", syscall(SYS_userfaultfd, 0));
    attempt("io_uring", syscall(SYS_io_uring_setup, 1, NULL));
    attempt("kexec", syscall(SYS_kexec_load, 0, 0, NULL, 0));
    attempt("module", syscall(SYS_init_module, NULL, 0, ""));
    attempt("host name", sethostname("x", 1));
    attempt("signal init", kill(1, SIGKILL));
    attempt("write /", open("/file", O_CREAT | O_WRONLY, 0600));
    attempt("write /var/task", open("/var/task/file", O_CREAT | O_WRONLY, 0600));
    attempt("write /dev", open("/dev/file", O_CREAT | O_WRONLY, 0600));
    attempt("write /proc/sys", open("/proc/sys/kernel/hostname", O_WRONLY));
    attempt("device", mknod("/tmp/disk", S_IFBLK | 0600, 0x0800));
    attempt("read kcore", first_byte("/proc/kcore"));
    attempt("read init's environment", open("/proc/1/environ", O_RDONLY));
    attempt("read init's root", open("/proc/1/root/", O_RDONLY));
    attempt("list /sys", open("/sys/kernel", O_RDONLY));
    attempt("lower OOM score", write(open("/proc/self/oom_score_adj", O_WRONLY), "-1000", 5));
}

/* Writes zeros into a new file until that fails. */
static void fill(const char *path) {
    static char block[1 << 16];
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    long long total = 0;
    ssize_t length;
    while ((length = write(fd, block, sizeof block)) > 0) total += length;
    printf("%lld %s\n", total, strerrorname_np(errno));
}

static void fork_bomb(void) {
    int count = 0;
    for (;;) {
        pid_t pid = fork();
        if (pid == 0) for (;;) pause();
        if (pid < 0) break;
        count++;
    }
    printf("%d %s\n", count, strerrorname_np(errno));
}

static void hold_memory(size_t megabytes) {
    char *memory = malloc(megabytes << 20);
    for (size_t i = 0; i < megabytes << 20; i += 4096) memory[i] = 1;
    printf("%zu MB held\n", megabytes);
}

/* Leaves grandchildren behind, which init gets, and waits until it has reaped them. */
static void orphans(void) {
    for (int i = 0; i < 20; i++) {
        if (fork() == 0) {
            if (fork() == 0) _exit(0);
            _exit(0);
        }
    }
    while (wait(NULL) > 0) {}
    for (int zombies = 1; zombies; sched_yield()) {
        zombies = 0;
        for (int pid = 3; pid < 200; pid++) zombies += kill(pid, 0) == 0 && pid != getpid();
    }
    printf("none left\n");
}

static void echo(int fd) {
    char buffer[256];
    ssize_t length = read(fd, buffer, sizeof buffer);
    if (length > 0 && write(fd, buffer, length) != length) exit(1);
}

static void connect_to(const char *address, int port) {
    struct sockaddr_in peer = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    inet_pton(AF_INET, address, &peer.sin_addr);
    if (connect(fd, (void *)&peer, sizeof peer) == 0) echo(fd);
    else puts(strerrorname_np(errno));
}

/* What a template has: threads that wait in different ways, each with state of its own, and descriptors of every kind that
   can be made anew. Answers each message on descriptor 3 with what it finds. */
static struct {
    pthread_mutex_t lock, recursive;
    pthread_cond_t asked, done;
    int generation, finished, ticks, tids[5];
    double sums[4];
    int event, epoll, timer, pipe[2], pair[2], file, directory, datagrams;
} template = {.lock = PTHREAD_MUTEX_INITIALIZER, .asked = PTHREAD_COND_INITIALIZER, .done = PTHREAD_COND_INITIALIZER};
static __thread int own;
static volatile sig_atomic_t signalled;

static void note_signal(int signal) { signalled = signal; }

/* Without an end, for an hour, or for a moment that is over in every fork. */
static void wait_to_be_asked(long how) {
    struct timespec until;
    if (how == 0) {
        pthread_cond_wait(&template.asked, &template.lock);
        return;
    }
    clock_gettime(CLOCK_REALTIME, &until);
    if (how == 1) until.tv_sec += 3600;
    else if ((until.tv_nsec += 20000000) >= 1000000000) until.tv_sec++, until.tv_nsec -= 1000000000;
    if (pthread_cond_timedwait(&template.asked, &template.lock, &until) == ETIMEDOUT) {
        template.ticks++;
        pthread_cond_signal(&template.done);
    }
}

static void *wait_for_generations(void *argument) {
    long index = (long)argument;
    double factor = 1.5 + index;
    int seen = 0;
    own = 1000 + index;
    template.tids[index] = gettid();
    for (;;) {
        pthread_mutex_lock(&template.lock);
        while (template.generation == seen) wait_to_be_asked(index);
        seen = template.generation;
        pthread_mutex_lock(&template.recursive);
        pthread_mutex_lock(&template.recursive);
        template.sums[index] = factor * seen + own;
        pthread_mutex_unlock(&template.recursive);
        pthread_mutex_unlock(&template.recursive);
        if (gettid() != template.tids[index]) template.sums[index] = -1;
        template.finished++;
        pthread_cond_signal(&template.done);
        pthread_mutex_unlock(&template.lock);
    }
    return NULL;
}

static void *wait_for_events(void *argument) {
    struct epoll_event event;
    uint64_t count;
    (void)argument;
    own = 7;
    for (;;) {
        if (epoll_wait(template.epoll, &event, 1, -1) != 1 || event.data.u64 != 0xdeadbeefcafe) continue;
        if (read(template.event, &count, sizeof count) != sizeof count) continue;
        pthread_mutex_lock(&template.lock);
        template.sums[3] = count * own;
        template.finished++;
        pthread_cond_signal(&template.done);
        pthread_mutex_unlock(&template.lock);
    }
    return NULL;
}

static void *end(void *argument) { return argument; }

static void serve_as_template(void) {
    pthread_mutexattr_t recursive;
    pthread_t threads[5];
    char *heap = malloc(8 << 20);
    char request[256], answer[1024], word[16] = "";
    struct itimerspec in_an_hour = {.it_value = {3600, 0}}, left;
    struct sockaddr_in port = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(2000)};
    ssize_t length;
    memset(heap, 7, 8 << 20);
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    pthread_mutex_init(&template.recursive, &recursive);
    signal(SIGUSR1, note_signal);
    template.event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    template.epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event watch = {EPOLLIN, {.u64 = 0xdeadbeefcafe}};
    epoll_ctl(template.epoll, EPOLL_CTL_ADD, template.event, &watch);
    template.timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    timerfd_settime(template.timer, 0, &in_an_hour, NULL);
    if (pipe2(template.pipe, O_NONBLOCK) || write(template.pipe[1], "kept", 4) != 4) exit(1);
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, template.pair)) exit(1);
    template.datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    /* As the X-Ray SDKs leave it. */
    if (mkdir("/tmp/.aws-xray", 0700) || close(open("/tmp/.aws-xray/initialized", O_WRONLY | O_CREAT, 0600))) exit(1);
    template.file = open("/bin/guest", O_RDONLY);
    template.directory = open("/", O_RDONLY | O_DIRECTORY);
    lseek(template.file, 1, SEEK_SET);
    for (long index = 0; index < 3; index++) {
        pthread_create(&threads[index], NULL, wait_for_generations, (void *)index);
        /* Ids that nobody has any more. */
        pthread_create(&threads[4], NULL, end, NULL);
        pthread_join(threads[4], NULL);
    }
    pthread_create(&threads[3], NULL, wait_for_events, NULL);
    if (write(3, "ready", 5) != 5) exit(1);
    while ((length = read(3, request, sizeof request - 1)) > 0) {
        request[length] = 0;
        /* Threads that nobody has woken hear of signals: of one's own, and of those that the C library makes all threads
           change their group by. */
        signalled = 0;
        pthread_kill(threads[0], SIGUSR1);
        while (!signalled) usleep(500);
        if (setgid(getgid())) exit(1);
        pthread_mutex_lock(&template.lock);
        template.finished = 0;
        template.generation++;
        pthread_cond_broadcast(&template.asked);
        uint64_t count = template.generation;
        if (write(template.event, &count, sizeof count) != sizeof count) exit(1);
        while (template.finished < 4) pthread_cond_wait(&template.done, &template.lock);
        int ticks = template.ticks;
        while (template.ticks == ticks) pthread_cond_wait(&template.done, &template.lock);
        pthread_mutex_unlock(&template.lock);
        pthread_t fresh;
        void *came;
        pthread_create(&fresh, NULL, end, heap);
        pthread_join(fresh, &came);
        pid_t child = fork();
        if (child == 0) _exit(11);
        int status = 0;
        waitpid(child, &status, 0);
        timerfd_gettime(template.timer, &left);
        if (read(template.pipe[0], word, sizeof word - 1) < 0) strcpy(word, "none");
        char pair[2] = "";
        if (write(template.pair[0], "p", 1) != 1 || read(template.pair[1], pair, 1) != 1) exit(1);
        /* Bound once, to a port that each fork has in its own network alone. */
        char datagram[2] = "";
        socklen_t address_length = sizeof port;
        if (template.generation == 1 && bind(template.datagrams, (void *)&port, sizeof port)) exit(1);
        if (sendto(template.datagrams, "d", 1, 0, (void *)&port, sizeof port) != 1) exit(1);
        if (recvfrom(template.datagrams, datagram, 1, 0, (void *)&port, &address_length) != 1) exit(1);
        char elf[4] = "";
        if (read(template.file, elf, 3) != 3) exit(1);
        int offset = lseek(template.file, 0, SEEK_CUR);
        int found = openat(template.directory, "bin/guest", O_RDONLY) >= 0;
        int out = printf("printed %s\n", request);
        length = snprintf(answer, sizeof answer,
            "%s: generation %d sums %.1f %.1f %.1f %.1f pid %d parent %d session %d uid %d heap %d thread %d child %d "
            "timer %d pipe %s pair %s datagram %s file %s at %d directory %d out %d",
            request, template.generation, template.sums[0], template.sums[1], template.sums[2], template.sums[3], getpid(),
            getppid(), getsid(0), getuid(), heap[4 << 20], came == heap, WEXITSTATUS(status),
            left.it_value.tv_sec > 3500, word, pair, datagram, elf, offset, found, out > 0);
        if (write(3, answer, length) != length) exit(1);
    }
}

static void *spin(void *argument) {
    for (;;) sched_yield();
    return argument;
}

/* Has something that a template must not have, and waits. */
static void be_refused(const char *why) {
    pthread_t thread;
    struct sockaddr_in local = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct itimerval hour = {.it_value = {3600, 0}};
    struct itimerspec in_an_hour = {.it_value = {3600, 0}};
    struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog filter = {1, &allow};
    struct rlimit few = {64, 64};
    timer_t timer;
    char byte;
    int done = 0;
    if (!strcmp(why, "running_thread")) done = pthread_create(&thread, NULL, spin, NULL);
    else if (!strcmp(why, "child_process")) { if (fork() == 0) for (;;) pause(); }
    else if (!strcmp(why, "open_connection")) done = connect(socket(AF_INET, SOCK_DGRAM, 0), (void *)&local, sizeof local);
    else if (!strcmp(why, "listening_socket")) done = listen(socket(AF_INET, SOCK_STREAM, 0), 1);
    else if (!strcmp(why, "descriptor")) done = inotify_init1(0) < 0;
    else if (!strcmp(why, "open_file")) { done = open("/tmp/gone", O_RDWR | O_CREAT, 0600) < 0; unlink("/tmp/gone"); }
    else if (!strcmp(why, "too_many_descriptors")) done = dup2(0, 1020) < 0;
    else if (!strcmp(why, "descriptor_limit")) done = setrlimit(RLIMIT_NOFILE, &few);
    else if (!strcmp(why, "too_much_state")) done = setrlimit(RLIMIT_AS, &(struct rlimit){1 << 20, 1 << 20});
    else if (!strcmp(why, "temporary_file")) done = open("/tmp/kept", O_RDWR | O_CREAT, 0600) < 0;
    else if (!strcmp(why, "shared_memory"))
        done = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0) == MAP_FAILED;
    else if (!strcmp(why, "timer")) done = setitimer(ITIMER_REAL, &hour, NULL);
    else if (!strcmp(why, "posix timer")) {
        done = timer_create(CLOCK_MONOTONIC, NULL, &timer) || timer_settime(timer, 0, &in_an_hour, NULL);
    }
    else if (!strcmp(why, "system_call_filter")) done = prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter);
    else if (!strcmp(why, "working_directory")) done = mkdir("/tmp/left", 0700) || chdir("/tmp/left") || rmdir("/tmp/left");
    else if (!strcmp(why, "too_many_threads")) {
        for (int child = 0; child < 5000 && !done; child++) {
            pid_t pid = fork();
            if (pid == 0) _exit(0);
            done = waitpid(pid, NULL, 0) != pid;
        }
        done = done || pthread_create(&thread, NULL, (void *(*)(void *))pause, NULL);
    }
    if (done || write(3, "ready", 5) != 5) exit(1);
    /* Refused, it runs on as if nothing had been. */
    while (read(3, &byte, 1) == 1) if (write(3, &byte, 1) != 1) exit(1);
}

static int run(int argc, char **argv);

/* Waits on descriptor 3 for what it is to do, which goes on as if it had been started so. */
static int wait_for_arguments(void) {
    static char message[65536];
    char *argv[64] = {"guest"};
    int argc = 1;
    ssize_t length;
    if (write(3, "ready", 5) != 5 || (length = read(3, message, sizeof message)) <= 0) return 98;
    for (char *word = message; word < message + length && argc < 64; word += strlen(word) + 1) argv[argc++] = word;
    close(3);
    return run(argc, argv);
}

static int companion(const char *name) {
    if (!strcmp(name, "crash")) abort();
    if (!strcmp(name, "leave")) return 7;
    char path[64] = "/proc/self/status", text[4096], cwd[64];
    int file = open(path, O_RDONLY);
    ssize_t length = read(file, text, sizeof text - 1);
    close(file);
    text[length < 0 ? 0 : length] = 0;
    char *caps = strstr(text, "CapEff:"), *bounding = strstr(text, "CapBnd:"), *filter = strstr(text, "Seccomp:");
    int open_fds = 0;
    for (int fd = 0; fd < 1024; fd++) open_fds += fcntl(fd, F_GETFD) >= 0;
    strcpy(path, "/tmp/");
    strcat(path, name);
    if (strcmp(name, "quiet")) close(open(path, O_WRONLY | O_CREAT, 0600));
    printf("%s: uid %d gid %d parent %d %.24s %.24s %.10s descriptors %d cwd %s answer %s\n", name, getuid(), getgid(),
           getppid(), caps, bounding, filter, open_fds, getcwd(cwd, sizeof cwd), getenv("ANSWER"));
    fprintf(stderr, "%s says\n", name);
    for (;;) pause();
}

int main(int argc, char **argv) {
    setvbuf(stdout, NULL, _IONBF, 0);
    return run(argc, argv);
}

static int run(int argc, char **argv) {
    const char *verb = argc > 1 ? argv[1] : "", *beside = "/opt/extensions/";
    if (argc == 1 && !strncmp(argv[0], beside, strlen(beside))) return companion(argv[0] + strlen(beside));
    if (!strcmp(verb, "cat")) for (int i = 2; i < argc; i++) cat(argv[i]);
    else if (!strcmp(verb, "link")) for (int i = 2; i < argc; i++) link_of(argv[i]);
    else if (!strcmp(verb, "args")) for (int i = 2; i < argc; i++) puts(argv[i]);
    else if (!strcmp(verb, "env")) for (char **entry = environ; *entry; entry++) puts(*entry);
    else if (!strcmp(verb, "cwd")) puts(getcwd(NULL, 0));
    else if (!strcmp(verb, "id")) printf("%d %d %d %d\n", getuid(), geteuid(), getgid(), getegid());
    else if (!strcmp(verb, "limits")) {
        struct rlimit files, core;
        getrlimit(RLIMIT_NOFILE, &files);
        getrlimit(RLIMIT_CORE, &core);
        printf("%ld %ld\n", (long)files.rlim_max, (long)core.rlim_max);
    }
    else if (!strcmp(verb, "exit")) return atoi(argv[2]);
    else if (!strcmp(verb, "signal")) { raise(atoi(argv[2])); pause(); }
    else if (!strcmp(verb, "err")) fputs(argv[2], stderr);
    else if (!strcmp(verb, "attempts")) attempts();
    else if (!strcmp(verb, "fill")) fill(argv[2]);
    else if (!strcmp(verb, "fork-bomb")) { fork_bomb(); pause(); }
    else if (!strcmp(verb, "memory")) { hold_memory(atoi(argv[2])); }
    else if (!strcmp(verb, "orphans")) orphans();
    else if (!strcmp(verb, "template")) serve_as_template();
    else if (!strcmp(verb, "later")) return wait_for_arguments();
    else if (!strcmp(verb, "refused")) be_refused(argv[2]);
    else if (!strcmp(verb, "hostile")) hostile(argv[2]);
    else if (!strcmp(verb, "echo")) echo(3);
    else if (!strcmp(verb, "connect")) connect_to(argv[2], atoi(argv[3]));
    else if (!strcmp(verb, "pause")) { puts("paused"); for (;;) pause(); }
    else if (!strcmp(verb, "descriptors")) for (int fd = 0; fd < 1024; fd++) { if (fcntl(fd, F_GETFD) >= 0) printf("%d ", fd); }
    else return 99;
    return 0;
}
