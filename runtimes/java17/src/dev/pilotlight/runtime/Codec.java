package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.CustomPojoSerializer;
import dev.pilotlight.runtime.json.Binder;
import dev.pilotlight.runtime.json.JsonReader;
import dev.pilotlight.runtime.json.JsonWriter;
import dev.pilotlight.runtime.json.Output;
import java.io.ByteArrayInputStream;
import java.lang.reflect.Type;
import java.util.Iterator;
import java.util.ServiceLoader;

/** Between bytes and the types of a handler: our own JSON, or what the function brings along. */
final class Codec {
    private final CustomPojoSerializer custom;

    private Codec(CustomPojoSerializer custom) {
        this.custom = custom;
    }

    static Codec of(ClassLoader functions) {
        // Looking for a service takes long; looking for its file does not.
        if (functions.getResource("META-INF/services/" + CustomPojoSerializer.class.getName()) == null) {
            return new Codec(null);
        }
        Iterator<CustomPojoSerializer> found = ServiceLoader.load(CustomPojoSerializer.class, functions).iterator();
        CustomPojoSerializer custom = found.hasNext() ? found.next() : null;
        if (found.hasNext()) {
            throw new Fault("Too many serializers provided inside the META-INF/services folder, only one is allowed");
        }
        return new Codec(custom);
    }

    Object read(Message event, Type type) {
        try {
            if (custom != null) {
                return custom.fromJson(new ByteArrayInputStream(event.bytes, event.offset, event.length), type);
            }
            return Binder.bind(JsonReader.read(event.bytes, event.offset, event.length), type);
        } catch (Throwable e) {
            throw new RuntimeException("An error occurred during JSON parsing", e);
        }
    }

    void write(Object answer, Type type, Output out) {
        try {
            if (custom != null) {
                custom.toJson(answer, out, type);
            } else {
                JsonWriter.write(answer, out);
            }
        } catch (Throwable e) {
            throw new RuntimeException("An error occurred during JSON serialization of response", e);
        }
    }
}
