package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;

/**
 * Runs the way of an event through the runtime with handlers and a platform of its own, so that all classes
 * are loaded and what is hot is compiled before anybody waits. No user code runs.
 */
final class WarmUp {
    /** Has the class file of {@link Maps}, and this jar in its `lib`. */
    private static final String FOLDER = "/var/runtime/warm-up";
    private static final String EVENT =
            "{\"name\": \"you\", \"n\": [1, -2.5, 1e3, null], \"inner\": {\"text\": \"\\u00e9\\n\\\"x\\\"\", \"id\": 123456789012}}";
    private static final String HEAD = "HTTP/1.1 200 OK\r\n"
            + "content-type: application/json\r\n"
            + "lambda-runtime-aws-request-id: 00000000-0000-4000-8000-000000000000\r\n"
            + "lambda-runtime-deadline-ms: 1800000000000\r\n"
            + "lambda-runtime-invoked-function-arn: arn:aws:lambda:us-east-1:123456789012:function:warm-up\r\n"
            + "lambda-runtime-trace-id: Root=1-00000000-000000000000000000000000;Sampled=0\r\n"
            + "content-length: " + EVENT.length() + "\r\n\r\n";
    private static final String ACCEPTED =
            "HTTP/1.1 202 Accepted\r\ncontent-type: application/json\r\ncontent-length: 15\r\n\r\n{\"status\":\"OK\"}";

    private static Function function;
    /** One of each kind, kept for the forks that go through an event once more. */
    private static Handler[] handlers;

    private WarmUp() {}

    static void run(int rounds) throws IOException {
        ClassLoader functions = WarmUp.class.getClassLoader();
        serve(rounds);
        say(rounds);
        refuse(function, functions, Math.max(1, rounds / 100));
        order(rounds);
    }

    /** The way of an event alone. */
    static void serve(int rounds) throws IOException {
        if (function == null) {
            prepare();
        }
        String trace = System.getProperty("com.amazonaws.xray.traceHeader");
        for (Handler handler : handlers) {
            function.use(handler);
            for (int i = 0; i < rounds; i++) {
                function.serve();
            }
        }
        if (trace == null) {
            System.clearProperty("com.amazonaws.xray.traceHeader");
        }
    }

    private static void prepare() {
        function = new Function(new RuntimeApi(new Platform(), OutputStream.nullOutputStream()), new Settings());
        String here = WarmUp.class.getName();
        String[] names = {here + "$Maps", here + "$Beans", here + "$Streams", here + "$Methods::text", here + "$Methods::bean"};
        handlers = new Handler[names.length];
        for (int i = 0; i < names.length; i++) {
            handlers[i] = HandlerLoader.load(names[i], WarmUp.class.getClassLoader());
        }
    }

    /** What comes before the first event, as far as it needs no function: for a process that has none yet. */
    static void start(int rounds) throws IOException {
        new FunctionLog(new Settings()).install();
        for (int i = 0; i < rounds; i++) {
            try {
                org.crac.Context.getGlobalContext().afterRestore(null);
            } catch (org.crac.RestoreException e) {
                throw new AssertionError(e); // nobody is registered
            }
        }
        // Classes from a folder and from a jar, which the image has for this. The loader would find them in
        // its parent first.
        for (int i = 0; i < Math.max(1, rounds / 100); i++) {
            try (FunctionClassLoader loader = new FunctionClassLoader(FOLDER, FOLDER)) {
                loader.findClass(Maps.class.getName());
                loader.findClass(Beans.class.getName());
                loader.getResource("META-INF/services/absent");
            } catch (ClassNotFoundException e) {
                return; // outside the image
            }
        }
    }

    /** The way of a line to the log. */
    private static void say(int rounds) {
        java.io.PrintStream out = dev.pilotlight.runtime.Streams.lines(OutputStream.nullOutputStream());
        for (int i = 0; i < rounds; i++) {
            out.println("a line");
            out.print("another\n");
            out.flush();
        }
    }

    /** The way of an error, without its lines in the log. */
    private static void refuse(Function function, ClassLoader functions, int rounds) {
        Handler handler = HandlerLoader.load(WarmUp.class.getName() + "$Throws", functions);
        for (int i = 0; i < rounds; i++) {
            try {
                handler.handle(new Message("HTTP/1.1 200 OK\r\n", RuntimeApi.latin("{}"), 0, 2), null, null);
            } catch (Throwable e) {
                new Failure(e).headers();
                new Failure(e).json();
            }
        }
    }

    /** What a fork does first; the environment stays what it is. */
    private static void order(int rounds) throws IOException {
        RuntimeApi api = new RuntimeApi(InputStream.nullInputStream(), OutputStream.nullOutputStream());
        Map<String, String> variables = Map.copyOf(System.getenv());
        for (int i = 0; i < rounds; i++) {
            Environment.change(variables);
            Randomness.reseed();
            api.ask(RuntimeApi.NEXT, "Pilotlight-Restore-Done: " + Long.toString(System.nanoTime()) + "\r\n");
        }
    }

    /** Answers as the platform does: an event, and that its answer has come. */
    private static final class Platform extends InputStream {
        private final byte[] event = RuntimeApi.latin(HEAD + EVENT);
        private final byte[] accepted = RuntimeApi.latin(ACCEPTED);
        private boolean answered;

        @Override
        public int read() {
            throw new UnsupportedOperationException();
        }

        @Override
        public int read(byte[] into, int offset, int most) {
            byte[] next = answered ? accepted : event;
            answered = !answered;
            System.arraycopy(next, 0, into, offset, next.length);
            return next.length;
        }
    }

    /** The usual kinds of handlers. */
    public static final class Maps implements RequestHandler<Map<String, Object>, Map<String, Object>> {
        @Override
        public Map<String, Object> handleRequest(Map<String, Object> event, Context context) {
            return Map.of("event", event, "id", context.getAwsRequestId(), "left", context.getRemainingTimeInMillis());
        }
    }

    /** With an event and an answer that are beans. */
    public static final class Beans implements RequestHandler<Bean, Bean> {
        @Override
        public Bean handleRequest(Bean event, Context context) {
            return event;
        }
    }

    public static final class Bean {
        private String name;
        private List<Double> n;
        private Map<String, String> inner;

        public String getName() {
            return name;
        }

        public void setName(String name) {
            this.name = name;
        }

        public List<Double> getN() {
            return n;
        }

        public void setN(List<Double> n) {
            this.n = n;
        }

        public Map<String, String> getInner() {
            return inner;
        }

        public void setInner(Map<String, String> inner) {
            this.inner = inner;
        }
    }

    public static final class Streams implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream event, OutputStream answer, Context context) throws IOException {
            event.transferTo(answer);
        }
    }

    public static final class Methods {
        public String text(Map<String, Object> event) {
            return event.toString();
        }

        public Bean bean(Bean event, Context context) {
            return event;
        }
    }

    public static final class Throws implements RequestHandler<Map<String, Object>, String> {
        @Override
        public String handleRequest(Map<String, Object> event, Context context) {
            throw new IllegalStateException("warm-up", new IOException("cause"));
        }
    }
}
