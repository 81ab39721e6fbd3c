package dev.pilotlight.runtime;

import dev.pilotlight.runtime.json.Output;
import java.io.IOError;
import java.io.IOException;

/** One function: its init, and one invocation after the other. */
final class Function {
    private static final String TRACE_HEADER = "com.amazonaws.xray.traceHeader";
    private static final String LAYERS = "/opt/java";

    private final RuntimeApi api;
    private final Settings settings;
    private final FunctionLog log;
    private final Output answer = new Output();
    private Handler handler;

    Function(RuntimeApi api, Settings settings) {
        this.api = api;
        this.settings = settings;
        log = new FunctionLog(settings);
    }

    /** Runs user code outside the handler, tells how long that took, and asks for the first event. */
    void start(long ready) throws IOException {
        log.install();
        FunctionClassLoader loader = new FunctionClassLoader(settings.taskRoot, LAYERS);
        Thread.currentThread().setContextClassLoader(loader);
        try {
            handler = HandlerLoader.load(settings.handler, loader);
        } catch (Throwable e) {
            endStart("init", new Failure(e), timing(ready), 1);
        }
        Streams.flush();
        String timing = timing(ready);
        if (settings.becomesTemplate) {
            new Template(api, settings, this).park(loader, timing);
        } else {
            api.ask(RuntimeApi.NEXT, timing);
        }
    }

    /** Says why there is no function, and ends the process. */
    void endStart(String phase, Failure failure, String headers, int status) throws IOException {
        failure.log(log);
        Streams.flush();
        api.failStart(phase, failure, headers);
        System.exit(status);
    }

    /** Headers that part the platform's preparation from the user's; readings of CLOCK_MONOTONIC. */
    private static String timing(long ready) {
        return "Pilotlight-Runtime-Ready: " + Long.toString(ready) + "\r\nPilotlight-User-Init-Done: "
                + Long.toString(System.nanoTime()) + "\r\n";
    }

    Handler handler() {
        return handler;
    }

    /** Takes the handler of a warm-up. */
    void use(Handler handler) {
        this.handler = handler;
    }

    /** One invocation. Whatever the handler throws is its answer. */
    void serve() throws IOException {
        Message event = api.receive();
        String id = event.header("lambda-runtime-aws-request-id");
        setTrace(event.header("lambda-runtime-trace-id"));
        Throwable thrown = null;
        answer.reset();
        try {
            LambdaContext context = new LambdaContext(event, settings, log);
            log.begin(context);
            handler.handle(event, context, answer);
        } catch (Throwable e) {
            thrown = e;
        }
        // What user code did to its thread ends with the invocation.
        Thread.interrupted();
        if (thrown == null) {
            Streams.flush();
            api.respond(id, answer.bytes(), answer.length());
        } else {
            fail(id, thrown);
        }
    }

    private void fail(String id, Throwable thrown) throws IOException {
        Failure failure = new Failure(thrown);
        failure.log(log);
        Streams.flush();
        // After these nothing can be relied on.
        boolean last = thrown instanceof VirtualMachineError && !(thrown instanceof StackOverflowError)
                || thrown instanceof IOError;
        api.fail(id, failure, last);
        if (last) {
            System.exit(1);
        }
    }

    private static void setTrace(String trace) {
        if (trace == null) {
            System.clearProperty(TRACE_HEADER);
        } else {
            System.setProperty(TRACE_HEADER, trace);
        }
    }
}
