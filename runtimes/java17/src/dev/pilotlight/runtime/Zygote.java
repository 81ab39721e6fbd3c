package dev.pilotlight.runtime;

import dev.pilotlight.runtime.json.JsonReader;
import java.io.IOException;
import java.util.Map;
import java.util.TimeZone;

/** A runtime that waits for its function. */
final class Zygote {
    /** Enough for all of the way of an event to be compiled. */
    private static final int ROUNDS = 3000;

    private Zygote() {}

    /** Parks; returns in a fork that has got its function, with the moment from which the function's time counts. */
    static long park(RuntimeApi api) throws IOException {
        Environment.prepare();
        Prelude.load();
        // After all that makes a generator: one that is not known is not renewed.
        Randomness.prepare();
        WarmUp.run(ROUNDS);
        WarmUp.start(ROUNDS);
        Linking.warm(ROUNDS);
        collect();
        api.ask(RuntimeApi.ASSIGNMENT, "");
        apply(api.receive());
        return System.nanoTime();
    }

    /** The second time finds what finalisers and reference handlers let go after the first. */
    static void collect() {
        System.gc();
        System.runFinalization();
        System.gc();
    }

    /**
     * Becomes the function's process. The working directory is left to the platform: Java cannot change it,
     * and a zygote is started where functions run.
     */
    private static void apply(Message assignment) {
        Map<?, ?> order = (Map<?, ?>) JsonReader.read(assignment.bytes, assignment.offset, assignment.length);
        Environment.replace((Map<?, ?>) order.get("env"));
        Environment.take("_PILOTLIGHT_RUNTIME_FD");
        Object folder = order.get("cwd");
        if (folder != null) {
            System.setProperty("user.dir", (String) folder);
        }
        TimeZone.setDefault(null); // it follows TZ
        Randomness.reseed();
    }
}
