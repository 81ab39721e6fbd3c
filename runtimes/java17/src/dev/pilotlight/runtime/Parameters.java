package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import java.io.InputStream;
import java.io.OutputStream;
import java.lang.reflect.Method;
import java.lang.reflect.Type;

/** What a handler method wants, in the order input, output, context; each may be missing. */
final class Parameters {
    /** Null for a method that takes no event. */
    final Type input;
    final boolean output;
    private final boolean context;

    private Parameters(Type input, boolean output, boolean context) {
        this.input = input;
        this.output = output;
        this.context = context;
    }

    /** Null for a method that cannot be a handler. */
    static Parameters of(Method method) {
        Type[] types = method.getGenericParameterTypes();
        int count = types.length;
        boolean context = count > 0 && types[count - 1] == Context.class;
        count -= context ? 1 : 0;
        boolean output = count > 0 && types[count - 1] == OutputStream.class;
        count -= output ? 1 : 0;
        Type input = count > 0 ? types[0] : null;
        boolean fits = count <= 1 && input != Context.class && (!output || input == null || input == InputStream.class);
        return fits ? new Parameters(input, output, context) : null;
    }

    /** Whether the method reads or writes bytes. */
    boolean streams() {
        return output || input == InputStream.class;
    }

    Object[] values(Object event, OutputStream answer, Context caller) {
        Object[] values = new Object[(input != null ? 1 : 0) + (output ? 1 : 0) + (context ? 1 : 0)];
        int at = 0;
        if (input != null) {
            values[at++] = event;
        }
        if (output) {
            values[at++] = answer;
        }
        if (context) {
            values[at] = caller;
        }
        return values;
    }
}
