package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import dev.pilotlight.runtime.json.JsonReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;

/**
 * The warm-up that a function asks for: its handler is called before the process is parked, with a marked
 * event. What the handler loads, links and compiles then is in the template, and in no request's time.
 */
final class WarmUpEvent extends RuntimeApi {
    private static final String VARIABLE = "PILOTLIGHT_WARM_UP_EVENT";
    /** Until it is compiled, or this time is over. */
    private static final int ROUNDS = 200;
    private static final long MOST_NANOS = 100_000_000;
    /** As long as an init may take. */
    private static final int TIME_MS = 10_000;

    private final byte[] event;
    private final String name;
    private boolean failed;

    private WarmUpEvent(byte[] event, String name) {
        super(InputStream.nullInputStream(), OutputStream.nullOutputStream());
        this.event = event;
        this.name = name;
    }

    /** Calls the handler often, or until it fails: a warm-up that fails is told, and nothing else. */
    static void run(Handler handler, Settings settings) throws IOException {
        String text = System.getenv(VARIABLE);
        if (text == null) {
            return;
        }
        FunctionLog log = new FunctionLog(settings);
        byte[] event = text.getBytes(StandardCharsets.UTF_8);
        try {
            JsonReader.read(event);
        } catch (RuntimeException e) {
            log.log(VARIABLE + " is not JSON: there is no warm-up", LogLevel.UNDEFINED);
            return;
        }
        WarmUpEvent api = new WarmUpEvent(event, settings.functionName);
        Function function = new Function(api, settings);
        function.use(handler);
        long end = System.nanoTime() + MOST_NANOS;
        for (int i = 0; i < ROUNDS && !api.failed && (i == 0 || System.nanoTime() < end); i++) {
            function.serve();
        }
        if (api.failed) {
            log.log("The error above is of the warm-up by " + VARIABLE + ", which ends here", LogLevel.UNDEFINED);
        }
    }

    @Override
    Message receive() {
        String head = "HTTP/1.1 200 OK\r\n"
                + "lambda-runtime-aws-request-id: 00000000-0000-0000-0000-000000000000\r\n"
                + "lambda-runtime-deadline-ms: " + (System.currentTimeMillis() + TIME_MS) + "\r\n"
                + "lambda-runtime-invoked-function-arn: arn:aws:lambda:" + System.getenv("AWS_REGION")
                + ":000000000000:function:" + name + "\r\n"
                + "lambda-runtime-client-context: {\"custom\":{\"pilotlight-warm-up\":\"true\"}}\r\n";
        return new Message(head, event, 0, event.length);
    }

    @Override
    void respond(String requestId, byte[] answer, int length) {}

    @Override
    void fail(String requestId, Failure failure, boolean last) {
        failed = true;
    }
}
