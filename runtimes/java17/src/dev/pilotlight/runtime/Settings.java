package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.logging.LogLevel;

/** What the environment says, read once. */
final class Settings {
    final String handler = text("_HANDLER", "");
    final String taskRoot = text("LAMBDA_TASK_ROOT", "/var/task");
    final String functionName = text("AWS_LAMBDA_FUNCTION_NAME", null);
    final String functionVersion = text("AWS_LAMBDA_FUNCTION_VERSION", null);
    final String logGroupName = text("AWS_LAMBDA_LOG_GROUP_NAME", null);
    final int memoryLimitInMb = Integer.parseInt(text("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"));
    final boolean jsonLogs = "JSON".equalsIgnoreCase(text("AWS_LAMBDA_LOG_FORMAT", null));
    final LogLevel logLevel = level(text("AWS_LAMBDA_LOG_LEVEL", null));
    final boolean becomesTemplate = "snap-start".equals(text("AWS_LAMBDA_INITIALIZATION_TYPE", null));
    /** An instance's own: another one in each that is made of a template. */
    String logStreamName;

    Settings() {
        readAgain();
    }

    /** What differs between the instances of a template. */
    void readAgain() {
        logStreamName = text("AWS_LAMBDA_LOG_STREAM_NAME", null);
    }

    private static String text(String name, String absent) {
        String value = System.getenv(name);
        return value == null ? absent : value;
    }

    private static LogLevel level(String name) {
        try {
            return name == null ? LogLevel.UNDEFINED : LogLevel.fromString(name);
        } catch (IllegalArgumentException e) {
            return LogLevel.UNDEFINED;
        }
    }
}
