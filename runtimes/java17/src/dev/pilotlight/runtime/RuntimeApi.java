package dev.pilotlight.runtime;

import dev.pilotlight.runtime.json.Output;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/**
 * The platform's end of the connection that this process inherited. To wait for an answer is one blocking
 * system call of the main thread, in which the process can be parked.
 */
class RuntimeApi {
    static final String NEXT = "/2018-06-01/runtime/invocation/next";
    static final String RESTORE_NEXT = "/2018-06-01/runtime/restore/next";
    static final String ASSIGNMENT = "/pilotlight/assignment";

    private static final String INVOCATION = "/2018-06-01/runtime/invocation/";
    private static final String HOST = " HTTP/1.1\r\nHost: runtime\r\n";
    private static final byte[] THEN_NEXT = latin("GET " + NEXT + HOST + "\r\n");
    private static final byte[] NOTHING = {};
    /** The largest header is the client context, of at most 3,583 bytes. */
    private static final int MAX_HEAD = 64 * 1024;
    /** Up to here, reading and writing files in Java needs no memory from outside the heap. */
    private static final int CHUNK = 8 * 1024;

    private final InputStream in;
    private final OutputStream out;
    private byte[] buffer = new byte[CHUNK];
    /** What has been read and not been looked at is in `buffer` from `begin` to `end`. */
    private int begin;
    private int end;
    private final Output request = new Output();

    RuntimeApi(InputStream in, OutputStream out) {
        this.in = in;
        this.out = out;
    }

    /** Over a descriptor that the process was started with. Children do not get it: Java closes all of theirs. */
    static RuntimeApi inherited(int number) {
        FileDescriptor descriptor = new FileDescriptor();
        Internals.UNSAFE.putInt(descriptor, Internals.offset(FileDescriptor.class, "fd"), number);
        return new RuntimeApi(new FileInputStream(descriptor), new FileOutputStream(descriptor));
    }

    /** Asks; the headers are whole lines. */
    void ask(String path, String headers) throws IOException {
        request.reset();
        request.latin("GET ");
        request.latin(path);
        request.latin(HOST);
        request.latin(headers);
        request.latin("\r\n");
        send(NOTHING, 0, NOTHING);
    }

    /** What was asked for. */
    Message receive() throws IOException {
        Message message = read();
        if (message.status != 200) {
            throw new HungUp("the platform answers " + message.status);
        }
        return message;
    }

    /** Answers an invocation and asks for the next: one wake-up of the platform instead of two. */
    void respond(String requestId, byte[] answer, int length) throws IOException {
        post(INVOCATION, requestId, "/response", "Content-Type: application/json\r\n", answer, length, THEN_NEXT);
    }

    /** Answers an invocation with an error; asks for the next unless this is the end. */
    void fail(String requestId, Failure failure, boolean last) throws IOException {
        byte[] json = failure.json();
        post(INVOCATION, requestId, "/error", failure.headers(), json, json.length, last ? NOTHING : THEN_NEXT);
    }

    /** Says that the function cannot start: `init` or `restore`. */
    void failStart(String phase, Failure failure, String headers) throws IOException {
        byte[] json = failure.json();
        post("/2018-06-01/runtime/", phase, "/error", failure.headers() + headers, json, json.length, NOTHING);
    }

    private void post(String base, String id, String verb, String headers, byte[] body, int length, byte[] then)
            throws IOException {
        request.reset();
        request.latin("POST ");
        request.latin(base);
        request.latin(id);
        request.latin(verb);
        request.latin(HOST);
        request.latin(headers);
        request.latin("Content-Length: ");
        request.latin(Integer.toString(length));
        request.latin("\r\n\r\n");
        send(body, length, then);
        // An answer that is refused (too large, too late) has been dealt with by the platform.
        read();
    }

    /** Writes the request, a body, and the request that follows; at once if they are small. */
    private void send(byte[] body, int length, byte[] then) throws IOException {
        try {
            if (request.length() + length + then.length <= CHUNK) {
                request.write(body, 0, length);
                request.write(then);
                out.write(request.bytes(), 0, request.length());
            } else {
                out.write(request.bytes(), 0, request.length());
                out.write(body, 0, length);
                out.write(then);
            }
        } catch (IOException e) {
            throw new HungUp(e.getMessage());
        }
    }

    private Message read() throws IOException {
        int head = headEnd(begin);
        while (head < 0) {
            if (end - begin > MAX_HEAD) {
                throw new HungUp("the platform's answer has no end of headers");
            }
            int known = Math.max(begin, end - 3) - begin;
            more(buffer.length);
            head = headEnd(begin + known);
        }
        String text = new String(buffer, begin, head - begin, StandardCharsets.ISO_8859_1);
        String declared = Message.header(text, "content-length");
        int length = declared == null ? 0 : Integer.parseInt(declared);
        byte[] body = body(head + 2, length);
        Message message = new Message(text, body, body == buffer ? begin : 0, length);
        begin += body == buffer ? length : 0;
        return message;
    }

    /** Where the line break of the last header ends; -1 while it has not come. */
    private int headEnd(int from) {
        for (int i = from; i + 3 < end; i++) {
            if (buffer[i] == '\r' && buffer[i + 1] == '\n' && buffer[i + 2] == '\r' && buffer[i + 3] == '\n') {
                return i + 2;
            }
        }
        return -1;
    }

    /** The body that begins there: in place if all of it has come and nothing will overwrite it, else in an array of its own. */
    private byte[] body(int from, int length) throws IOException {
        begin = from;
        if (length <= end - from) {
            return buffer;
        }
        byte[] body = new byte[length];
        int have = end - from;
        System.arraycopy(buffer, from, body, 0, have);
        begin = 0;
        end = 0;
        while (have < length) {
            have += some(body, have, length - have);
        }
        return body;
    }

    /** Reads on; what has been dealt with makes room. */
    private void more(int wanted) throws IOException {
        if (begin > 0) {
            System.arraycopy(buffer, begin, buffer, 0, end - begin);
            end -= begin;
            begin = 0;
        }
        if (end == buffer.length) {
            buffer = java.util.Arrays.copyOf(buffer, buffer.length * 2);
        }
        end += some(buffer, end, Math.min(wanted, buffer.length - end));
    }

    private int some(byte[] into, int at, int most) throws IOException {
        int count;
        try {
            count = in.read(into, at, Math.min(most, 1 << 20));
        } catch (IOException e) {
            throw new HungUp(e.getMessage());
        }
        if (count <= 0) {
            throw new HungUp("the platform has hung up");
        }
        return count;
    }

    static byte[] latin(String text) {
        return text.getBytes(StandardCharsets.ISO_8859_1);
    }
}
