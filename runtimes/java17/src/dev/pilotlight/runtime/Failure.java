package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import dev.pilotlight.runtime.json.JsonWriter;
import dev.pilotlight.runtime.json.Output;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** An error as the caller and the log get it. */
final class Failure {
    private static final String OWN_FRAMES = "dev.pilotlight.runtime.";
    /** A chain of causes is not told beyond this. */
    private static final int MAX_CAUSES = 20;

    private final Throwable error;
    /** The platform's name for it, where it is not the error's class. */
    private final String name;

    Failure(Throwable error) {
        this(error, null);
    }

    Failure(Throwable error, String name) {
        this.error = error;
        this.name = name;
        withoutOwnFrames(error, Collections.newSetFromMap(new IdentityHashMap<>()));
    }

    byte[] json() {
        Output out = new Output();
        JsonWriter.write(fields(error, 0), out);
        return Arrays.copyOf(out.bytes(), out.length());
    }

    String headers() {
        String type = name != null ? name : type(error);
        StringBuilder safe = new StringBuilder();
        // A class may have any name; a header may not.
        for (char c : (type == null ? "Runtime.BadFunctionCode" : type).toCharArray()) {
            if (c > ' ' && c < 0x7f) {
                safe.append(c);
            }
        }
        return "Content-Type: application/json\r\nLambda-Runtime-Function-Error-Type: " + safe + "\r\n";
    }

    /** Message, class and stack, as Lambda's Java runtime writes them. */
    void log(FunctionLog log) {
        StringWriter text = new StringWriter();
        text.write(message(error));
        if (!(error instanceof Fault) || type(error) != null) {
            text.write(": " + type(error) + "\n");
            Throwable stack = error instanceof Fault ? error.getCause() : error;
            try {
                if (stack != null) {
                    stack.printStackTrace(new PrintWriter(text, true));
                }
            } catch (RuntimeException e) {
                // a method of the class's own fails: what has been written must do
            }
        }
        log.log(text + "\n", LogLevel.UNDEFINED);
    }

    private static Map<String, Object> fields(Throwable error, int depth) {
        Map<String, Object> fields = new LinkedHashMap<>();
        fields.put("errorMessage", message(error));
        if (type(error) != null) {
            fields.put("errorType", type(error));
        }
        if (error instanceof Fault) {
            return fields;
        }
        List<String> frames = new ArrayList<>();
        for (StackTraceElement frame : error.getStackTrace()) {
            frames.add(frame.toString());
        }
        fields.put("stackTrace", frames);
        if (error.getCause() != null && depth < MAX_CAUSES) {
            fields.put("cause", fields(error.getCause(), depth + 1));
        }
        return fields;
    }

    private static String message(Throwable error) {
        String message = null;
        try {
            message = error.getLocalizedMessage();
        } catch (RuntimeException e) {
            // the class's own method fails: its name must do
        }
        return message == null ? error.getClass().getName() : message;
    }

    private static String type(Throwable error) {
        return error instanceof Fault ? ((Fault) error).type : error.getClass().getName();
    }

    /** Of the stack, only what lies above our own frames is the user's business. */
    private static void withoutOwnFrames(Throwable error, Set<Throwable> seen) {
        if (error == null || !seen.add(error)) {
            return;
        }
        StackTraceElement[] frames = error.getStackTrace();
        for (int i = 0; i < frames.length; i++) {
            if (frames[i].getClassName().startsWith(OWN_FRAMES)) {
                error.setStackTrace(Arrays.copyOf(frames, i));
                break;
            }
        }
        withoutOwnFrames(error.getCause(), seen);
        for (Throwable suppressed : error.getSuppressed()) {
            withoutOwnFrames(suppressed, seen);
        }
    }
}
