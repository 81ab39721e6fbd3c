package dev.pilotlight.runtime;

import java.io.ByteArrayInputStream;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** An answer of the platform. */
final class Message {
    final int status;
    private final String head;
    /** Holds the body from `offset` on. */
    final byte[] bytes;
    final int offset;
    final int length;

    /** `head` ends with the line break of its last line. */
    Message(String head, byte[] bytes, int offset, int length) {
        this.head = head;
        this.bytes = bytes;
        this.offset = offset;
        this.length = length;
        status = Integer.parseInt(head, 9, 12, 10);
    }

    /** The body, to be read. */
    InputStream stream() {
        return new ByteArrayInputStream(bytes, offset, length);
    }

    String header(String name) {
        return header(head, name);
    }

    /** A header whose value may be more than ASCII. */
    String text(String name) {
        String value = header(name);
        return value == null ? null : new String(value.getBytes(StandardCharsets.ISO_8859_1), StandardCharsets.UTF_8);
    }

    /** The value of a header in any case of letters, or null. */
    static String header(String head, String name) {
        int length = name.length();
        for (int line = head.indexOf("\r\n") + 2; line < head.length(); line = head.indexOf("\r\n", line) + 2) {
            boolean found = line + length < head.length()
                    && head.charAt(line + length) == ':'
                    && head.regionMatches(true, line, name, 0, length);
            if (found) {
                return head.substring(line + length + 1, head.indexOf("\r\n", line)).trim();
            }
        }
        return null;
    }
}
