package dev.pilotlight.runtime;

import java.io.BufferedOutputStream;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.OutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;

/** Standard output and error. Java's own write a line and its end apart, which costs a system call and tears lines. */
final class Streams {
    private static final int BUFFER = 8 * 1024;

    private Streams() {}

    static void install() {
        System.setOut(lines(new FileOutputStream(FileDescriptor.out)));
        System.setErr(lines(new FileOutputStream(FileDescriptor.err)));
        // A process that ends in the middle of a line has written that half.
        Runtime.getRuntime().addShutdownHook(new Thread("flush") {
            @Override
            public void run() {
                flush();
            }
        });
    }

    static PrintStream lines(OutputStream to) {
        return new PrintStream(new BufferedOutputStream(to, BUFFER), true, StandardCharsets.UTF_8);
    }

    /** What was written before an answer comes out before it, even half a line. */
    static void flush() {
        System.out.flush();
        System.err.flush();
    }
}
