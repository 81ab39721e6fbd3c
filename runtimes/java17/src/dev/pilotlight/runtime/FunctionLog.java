package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.LambdaLogger;
import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import dev.pilotlight.runtime.json.JsonWriter;
import dev.pilotlight.runtime.json.Output;
import java.io.PrintStream;
import java.lang.reflect.Field;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.time.temporal.ChronoUnit;
import java.util.LinkedHashMap;
import java.util.Map;

/** Lines of the function's log, as text or JSON, from the wanted level on. */
final class FunctionLog implements LambdaLogger {
    private final boolean json;
    private final LogLevel lowest;
    /** The running invocation; null during init. */
    private volatile LambdaContext context;

    FunctionLog(Settings settings) {
        json = settings.jsonLogs;
        lowest = settings.logLevel;
    }

    /** Makes this the logger that code without a context gets. */
    void install() {
        try {
            Field logger = LambdaRuntime.class.getDeclaredField("logger");
            logger.setAccessible(true);
            logger.set(null, this);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    void begin(LambdaContext context) {
        this.context = context;
    }

    @Override
    public void log(String message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message) {
        log(message, LogLevel.UNDEFINED);
    }

    @Override
    public void log(byte[] message, LogLevel level) {
        log(message == null ? null : new String(message, StandardCharsets.UTF_8), level);
    }

    @Override
    public void log(String message, LogLevel level) {
        // Lines without a level are never filtered.
        if (level != LogLevel.UNDEFINED && level.compareTo(lowest) < 0) {
            return;
        }
        if (json) {
            write(jsonLine(message, level));
        } else {
            write(level == LogLevel.UNDEFINED ? String.valueOf(message) : "[" + level + "] " + message);
        }
    }

    private String jsonLine(String message, LogLevel level) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("timestamp", stamp());
        fields.put("message", message);
        fields.put("level", level.name());
        LambdaContext context = this.context;
        if (context != null) {
            fields.put("AWSRequestId", context.getAwsRequestId());
            if (context.getTenantId() != null) {
                fields.put("tenantId", context.getTenantId());
            }
        }
        Output line = new Output();
        JsonWriter.write(fields, line);
        return new String(line.bytes(), 0, line.length(), StandardCharsets.UTF_8);
    }

    /** Always with three digits of milliseconds, which `Instant` drops where they are zero. */
    private static String stamp() {
        String text = Instant.now().truncatedTo(ChronoUnit.MILLIS).toString();
        return text.length() == 20 ? text.substring(0, 19) + ".000Z" : text;
    }

    /** Each call is a line of its own. */
    private static void write(String line) {
        PrintStream out = System.out;
        if (line.endsWith("\n")) {
            out.print(line);
            out.flush();
        } else {
            out.println(line);
        }
    }
}
