package dev.pilotlight.runtime.json;

import java.io.OutputStream;
import java.util.Arrays;

/** Bytes that grow; reused from one answer to the next. */
public final class Output extends OutputStream {
    /** A buffer that one large answer made is not kept for the small ones after it. */
    private static final int KEPT = 64 * 1024;

    private byte[] bytes = new byte[1024];
    private int length;

    public void reset() {
        length = 0;
        if (bytes.length > KEPT) {
            bytes = new byte[1024];
        }
    }

    public byte[] bytes() {
        return bytes;
    }

    public int length() {
        return length;
    }

    @Override
    public void write(int b) {
        reserve(1);
        bytes[length++] = (byte) b;
    }

    @Override
    public void write(byte[] from) {
        write(from, 0, from.length);
    }

    @Override
    public void write(byte[] from, int offset, int count) {
        reserve(count);
        System.arraycopy(from, offset, bytes, length, count);
        length += count;
    }

    /** Text of which every character is in ISO 8859-1. */
    @SuppressWarnings("deprecation") // `getBytes` without a character set is exactly this, and the fastest
    public void latin(String text) {
        int count = text.length();
        reserve(count);
        text.getBytes(0, count, bytes, length);
        length += count;
    }

    void reserve(int count) {
        if (bytes.length - length < count) {
            int needed = Math.addExact(length, count);
            bytes = Arrays.copyOf(bytes, Math.max(needed, (int) Math.min(bytes.length * 2L, Integer.MAX_VALUE - 8)));
        }
    }
}
