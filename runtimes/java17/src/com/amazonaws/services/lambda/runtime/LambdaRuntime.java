package com.amazonaws.services.lambda.runtime;

/** Where code without a context, such as a log appender, finds the function's logger. */
public final class LambdaRuntime {
    // Set by the runtime before user code is loaded.
    private static volatile LambdaLogger logger;

    private LambdaRuntime() {}

    public static LambdaLogger getLogger() {
        return logger;
    }
}
