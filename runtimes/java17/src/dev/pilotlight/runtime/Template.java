package dev.pilotlight.runtime;

import dev.pilotlight.runtime.json.JsonReader;
import java.io.IOException;
import java.util.Map;
import org.crac.Context;

/** A function that has been initialised and waits to be forked. */
final class Template {
    /** What a zygote has warmed is warm; a process that was booted is not. */
    private static final int ROUNDS = 500;
    /** Enough to write to what an event writes to. */
    private static final int SPARE_ROUNDS = 2;

    private final RuntimeApi api;
    private final Settings settings;
    private final Function function;

    Template(RuntimeApi api, Settings settings, Function function) {
        this.api = api;
        this.settings = settings;
        this.function = function;
    }

    /** Parks; in a fork, asks for the first event. */
    void park(FunctionClassLoader loader, String timing) throws IOException {
        try {
            Context.getGlobalContext().beforeCheckpoint(null);
        } catch (Throwable e) {
            function.endStart("init", new Failure(cause(e), "Runtime.BeforeSnapshotError"), timing, 64);
        }
        WarmUpEvent.run(function.handler(), settings);
        Environment.prepare();
        Prelude.load();
        Linking.run(loader);
        Randomness.prepare();
        Randomness.search(loader);
        WarmUp.run(ROUNDS);
        NameCache.clear();
        Streams.flush();
        Zygote.collect();
        api.ask(RuntimeApi.RESTORE_NEXT, timing);
        restore(api.receive());
    }

    /** From here on a client waits, but not for a spare. */
    private void restore(Message order) throws IOException {
        boolean spare = false;
        if (order.length > 0) {
            Map<?, ?> members = (Map<?, ?>) JsonReader.read(order.bytes, order.offset, order.length);
            spare = Boolean.TRUE.equals(members.get("spare"));
            Object variables = members.get("env");
            if (variables != null) {
                Environment.change((Map<?, ?>) variables);
                settings.readAgain();
            }
        }
        Randomness.reseed();
        try {
            Context.getGlobalContext().afterRestore(null);
        } catch (Throwable e) {
            function.endStart("restore", new Failure(cause(e), "Runtime.AfterRestoreError"), "", 65);
        }
        String done = "Pilotlight-Restore-Done: " + Long.toString(System.nanoTime()) + "\r\n";
        if (spare) {
            // What a request would write to first is copied now.
            WarmUp.serve(SPARE_ROUNDS);
        }
        Streams.flush();
        api.ask(RuntimeApi.NEXT, done);
    }

    /** What the first hook that failed threw. */
    private static Throwable cause(Throwable collected) {
        Throwable[] thrown = collected.getSuppressed();
        return thrown.length > 0 ? thrown[0] : collected;
    }
}
