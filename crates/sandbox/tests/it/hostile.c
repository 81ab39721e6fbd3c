/* Programs that prepare themselves for the moment in which they are frozen: `guest hostile WHAT`. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <asm/prctl.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/rseq.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CHECK(good) do { if (!(good)) { perror(#good); exit(1); } } while (0)
#ifndef PR_SET_MDWE
#define PR_SET_MDWE 65
#endif

static pid_t leader;
static volatile int prepared;
static int own_pipe[2];

/* Says that it is ready and answers each message with it. */
static void echo_messages(void) {
    char message[256];
    ssize_t length;
    CHECK(write(3, "ready", 5) == 5);
    while ((length = read(3, message, sizeof message)) > 0) CHECK(write(3, message, length) == length);
}

static void *rest(void *argument) {
    for (;;) pause();
    return argument;
}

static void start(void *(*routine)(void *)) {
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, routine, NULL) == 0);
}

/* Waits, running, until the first thread is being stopped. */
static void wait_for_freeze(void) {
    char path[64], status[4096];
    snprintf(path, sizeof path, "/proc/self/task/%d/status", leader);
    do {
        int fd = open(path, O_RDONLY);
        ssize_t length = read(fd, status, sizeof status - 1);
        close(fd);
        status[length > 0 ? length : 0] = 0;
        /* "tracing stop". Who traces it, is nobody here. */
    } while (!strstr(status, "State:\tt"));
}

/* Found running it would be refused for that: so it is among the last to be looked at. */
static void start_late(void *(*routine)(void *)) {
    for (int i = 0; i < 200; i++) start(rest);
    start(routine);
}

static void *have_a_child(void *argument) {
    wait_for_freeze();
    if (fork() == 0) rest(NULL);
    return rest(argument);
}

static void *execute_another(void *argument) {
    wait_for_freeze();
    execl("/bin/guest", "guest", "pause", NULL);
    return argument;
}

static void *filter_itself(void *argument) {
    struct sock_filter allow = {BPF_RET | BPF_K, 0, 0, SECCOMP_RET_ALLOW};
    struct sock_fprog filter = {1, &allow};
    CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0);
    prepared = 1;
    return rest(argument);
}

static void wait_until_prepared(void) {
    while (!prepared) usleep(1000);
}

static void stop_leader_waiting(void) {
    /* Long enough for the first thread to be in its call. */
    usleep(100 * 1000);
}

/* Waits in a call that is not there any more when it goes on. */
static uint8_t *stub;

static void *patch_stub(void *argument) {
    static const uint8_t spin[] = {0xeb, 0xfe};
    stop_leader_waiting();
    memcpy(stub, spin, sizeof spin);
    CHECK(write(3, "ready", 5) == 5);
    return rest(argument);
}

static void wait_in_stub(void) {
    /* syscall; ret */
    static const uint8_t call[] = {0x0f, 0x05, 0xc3};
    stub = mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(stub != MAP_FAILED);
    memcpy(stub, call, sizeof call);
    start(patch_stub);
    register long number __asm__("rax") = SYS_pause;
    __asm__ volatile("call *%1" : "+r"(number) : "r"(stub) : "rcx", "r11", "memory");
}

/* A restartable sequence that covers all addresses: wherever the first thread goes on, it would be led elsewhere. */
static struct rseq *leaders_rseq;
static struct rseq_cs everything __attribute__((aligned(32)));

static void *lead_astray(void *argument) {
    stop_leader_waiting();
    leaders_rseq->rseq_cs = (uint64_t)(uintptr_t)&everything;
    CHECK(write(3, "ready", 5) == 5);
    return rest(argument);
}

static void be_led_astray(void) {
    static const uint8_t code[] = {0x53, 0x30, 0x05, 0x53, /* the signature */
                                   0xb8, 34, 0, 0, 0, 0x0f, 0x05, 0xeb, 0xf7}; /* pause, for ever */
    uint8_t *page = mmap((void *)0x200000, 4096, PROT_READ | PROT_WRITE | PROT_EXEC,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    CHECK(page != MAP_FAILED);
    memcpy(page, code, sizeof code);
    everything.start_ip = 0x300000;
    everything.post_commit_offset = 0x7fffffff0000 - 0x300000;
    everything.abort_ip = 0x200004;
    leaders_rseq = (struct rseq *)((char *)__builtin_thread_pointer() + __rseq_offset);
    start(lead_astray);
    char message[256];
    ssize_t length;
    while ((length = read(3, message, sizeof message)) > 0) CHECK(write(3, message, length) == length);
}

static void watch_a_closed_descriptor(void) {
    struct epoll_event event = {EPOLLIN, {.u64 = 1}};
    int epoll = epoll_create1(0), first = eventfd(0, 0), second = dup(first);
    CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, second, &event) == 0);
    close(second);
}

/* More than a new pipe has room for; says how much is there. */
static void fill_pipe(void) {
    static char block[200 << 10];
    char message[64];
    int waiting;
    CHECK(pipe(own_pipe) == 0 && fcntl(own_pipe[0], F_SETPIPE_SZ, 1 << 20) >= 0);
    CHECK(write(own_pipe[1], block, sizeof block) == sizeof block && write(3, "ready", 5) == 5);
    while (read(3, message, sizeof message) > 0) {
        CHECK(ioctl(own_pipe[0], FIONREAD, &waiting) == 0);
        CHECK(write(3, message, snprintf(message, sizeof message, "%d", waiting)) > 0);
    }
}

static void use_all_descriptors(void) {
    while (dup(0) < 1015) {}
}

/* Says which of its memory forks find empty. */
static void look_for_wiped_memory(void) {
    char *smaps = malloc(1 << 20), message[16];
    CHECK(write(3, "ready", 5) == 5);
    while (read(3, message, sizeof message) > 0) {
        int fd = open("/proc/self/smaps", O_RDONLY), wiped = 0;
        ssize_t length = 0, more;
        while ((more = read(fd, smaps + length, (1 << 20) - 1 - length)) > 0) length += more;
        close(fd);
        smaps[length] = 0;
        for (char *at = smaps; (at = strstr(at, " wf ")); at++) wiped++;
        CHECK(write(3, message, snprintf(message, sizeof message, "%d", wiped)) > 0);
    }
}

static void *serve_for_leader(void *argument) {
    usleep(50 * 1000);
    echo_messages();
    exit(0);
    return argument;
}

/* A thread with a base address of its own says whether it has it still. */
static void *keep_base(void *argument) {
    unsigned long base;
    char byte;
    CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, &leader) == 0 && write(3, "ready", 5) == 5);
    while (read(own_pipe[0], &byte, 1) == 1) {
        CHECK(syscall(SYS_arch_prctl, ARCH_GET_GS, &base) == 0);
        CHECK(write(3, base == (unsigned long)&leader ? "kept" : "lost", 4) == 4);
    }
    return argument;
}

static void ask_for_base(void) {
    char message[16];
    CHECK(pipe(own_pipe) == 0);
    start(keep_base);
    while (read(3, message, sizeof message) > 0) CHECK(write(own_pipe[1], "?", 1) == 1);
}

static void map_a_lot(void) {
    for (int i = 0; i < 20000; i++) {
        CHECK(mmap(NULL, 4096, i % 2 ? PROT_READ : PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
    }
}

static void watch_a_lot(void) {
    struct epoll_event event = {EPOLLIN, {.u64 = 1}};
    for (int i = 0; i < 500; i++) CHECK(eventfd(0, 0) >= 0);
    for (int i = 0; i < 10; i++) {
        int epoll = epoll_create1(0);
        for (int fd = epoll - 500; fd < epoll - 10; fd++) CHECK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) == 0);
    }
}

/* Maps a library to be read; and, as if it had been unpacked into a file that is gone, for use. */
static void load_library(int for_use) {
    static char bytes[1 << 16];
    int file = open("/bin/library.so", O_RDONLY), copy = memfd_create("library", MFD_CLOEXEC);
    ssize_t length = read(file, bytes, sizeof bytes);
    CHECK(length > 0 && write(copy, bytes, length) == length);
    CHECK(mmap(NULL, length, PROT_READ, MAP_PRIVATE, copy, 0) != MAP_FAILED);
    if (for_use) CHECK(mmap(NULL, length, PROT_READ | PROT_EXEC, MAP_PRIVATE, copy, 0) != MAP_FAILED);
    close(file);
    close(copy);
}

static void be_signalled(void) {
    CHECK(fcntl(1, F_SETOWN, leader) == 0 && fcntl(1, F_SETSIG, SIGSTOP) == 0);
    CHECK(fcntl(1, F_SETFL, O_ASYNC | fcntl(1, F_GETFL)) == 0);
}

void hostile(const char *what) {
    leader = getpid();
    if (!strcmp(what, "child")) start_late(have_a_child);
    else if (!strcmp(what, "exec")) start_late(execute_another);
    else if (!strcmp(what, "filter of a thread")) start(filter_itself), wait_until_prepared();
    else if (!strcmp(what, "patched call")) wait_in_stub();
    else if (!strcmp(what, "rseq")) be_led_astray();
    else if (!strcmp(what, "subreaper")) CHECK(prctl(PR_SET_CHILD_SUBREAPER, 1) == 0);
    else if (!strcmp(what, "closed descriptor")) watch_a_closed_descriptor();
    else if (!strcmp(what, "full pipe")) fill_pipe();
    else if (!strcmp(what, "packets")) CHECK(pipe2(own_pipe, O_DIRECT) == 0 && write(own_pipe[1], "x", 1) == 1);
    else if (!strcmp(what, "lock")) CHECK(flock(open("/bin/guest", O_RDONLY), LOCK_SH) == 0);
    else if (!strcmp(what, "descriptors")) use_all_descriptors();
    else if (!strcmp(what, "locked memory")) CHECK(mlockall(MCL_FUTURE) == 0);
    else if (!strcmp(what, "no new code")) CHECK(prctl(PR_SET_MDWE, 1, 0, 0, 0) == 0);
    else if (!strcmp(what, "mappings")) map_a_lot();
    else if (!strcmp(what, "watches")) watch_a_lot();
    else if (!strcmp(what, "second base")) ask_for_base();
    else if (!strcmp(what, "library")) load_library(1);
    else if (!strcmp(what, "library to read")) load_library(0);
    else if (!strcmp(what, "signals")) be_signalled();
    else if (!strcmp(what, "wiped")) look_for_wiped_memory();
    else if (!strcmp(what, "no first thread")) start(serve_for_leader), pthread_exit(NULL);
    echo_messages();
}
