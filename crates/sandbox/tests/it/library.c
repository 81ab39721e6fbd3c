/* A library with what the engine takes for OpenSSL's; it needs no linker. */
int RAND_poll(void) {
    long written;
    /* write(3, "poll", 4) */
    __asm__ volatile("syscall" : "=a"(written) : "a"(1), "D"(3), "S"("poll"), "d"(4) : "rcx", "r11", "memory");
    return written == 4;
}
