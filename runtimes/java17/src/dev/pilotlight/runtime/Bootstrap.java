package dev.pilotlight.runtime;

import java.io.IOException;

/**
 * Pilotlight's Java runtime: takes events from the Lambda Runtime API and calls the handler. Behaves as AWS's
 * own runtime does (handler lookup, context, error objects, log format), and can be parked before it knows
 * its function (zygote) and before its first event (template).
 */
public final class Bootstrap {
    private Bootstrap() {}

    public static void main(String[] arguments) throws Exception {
        if (arguments.length == 1 && arguments[0].equals("--train")) {
            // At image build: loads what the archive of classes is to hold.
            Streams.install();
            WarmUp.run(1);
            WarmUp.start(1);
            return;
        }
        String descriptor = Environment.take("_PILOTLIGHT_RUNTIME_FD");
        RuntimeApi api = RuntimeApi.inherited(Integer.parseInt(descriptor));
        Streams.install();
        try {
            boolean zygote = Environment.take("_PILOTLIGHT_ZYGOTE") != null;
            long ready = zygote ? Zygote.park(api) : System.nanoTime();
            Function function = new Function(api, new Settings());
            function.start(ready);
            while (true) {
                function.serve();
            }
        } catch (HungUp e) {
            // The platform has no more use for this process. User threads may go on for ever.
            System.exit(0);
        } catch (IOException e) {
            throw new AssertionError(e);
        }
    }
}
