package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import dev.pilotlight.runtime.json.Binder;
import dev.pilotlight.runtime.json.Output;
import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Type;

/** The kinds of handlers. */
final class Handlers {
    private Handlers() {}

    /** Has the same fault for every event. */
    static final class Failing implements Handler {
        private final Fault fault;

        Failing(Fault fault) {
            this.fault = fault;
        }

        @Override
        public void handle(Message event, LambdaContext context, Output answer) {
            throw fault;
        }
    }

    static final class Streaming implements Handler {
        private final RequestStreamHandler handler;

        Streaming(RequestStreamHandler handler) {
            this.handler = handler;
        }

        @Override
        public void handle(Message event, LambdaContext context, Output answer) throws IOException {
            handler.handleRequest(event.stream(), answer, context);
        }
    }

    static final class Requests implements Handler {
        private final RequestHandler<Object, Object> handler;
        private final Codec codec;
        private final Type input;
        private final Type output;

        Requests(RequestHandler<Object, Object> handler, Codec codec, Type input, Type output) {
            this.handler = handler;
            this.codec = codec;
            this.input = input;
            this.output = output;
            Binder.prepare(input);
            Binder.prepare(output);
        }

        @Override
        public void handle(Message event, LambdaContext context, Output answer) {
            Object result = handler.handleRequest(codec.read(event, input), context);
            codec.write(output == Void.class ? null : result, output, answer);
        }
    }

    /** A method whose event and answer are objects. */
    static final class PlainMethod implements Handler {
        private final Method method;
        private final Object instance;
        private final Parameters parameters;
        private final Codec codec;
        private final Type output;

        PlainMethod(Method method, Object instance, Parameters parameters, Codec codec) {
            this.method = method;
            this.instance = instance;
            this.parameters = parameters;
            this.codec = codec;
            output = method.getGenericReturnType();
            Binder.prepare(output);
            if (parameters.input != null) {
                Binder.prepare(parameters.input);
            }
        }

        @Override
        public void handle(Message event, LambdaContext context, Output answer) throws Throwable {
            Object input = parameters.input == null ? null : codec.read(event, parameters.input);
            codec.write(call(method, instance, parameters.values(input, null, context)), output, answer);
        }
    }

    /** A method that reads or writes bytes. */
    static final class StreamMethod implements Handler {
        private final Method method;
        private final Object instance;
        private final Parameters parameters;

        StreamMethod(Method method, Object instance, Parameters parameters) {
            this.method = method;
            this.instance = instance;
            this.parameters = parameters;
        }

        @Override
        public void handle(Message event, LambdaContext context, Output answer) throws Throwable {
            call(method, instance, parameters.values(event.stream(), answer, context));
            if (!parameters.output) {
                answer.latin("null");
            }
        }
    }

    private static Object call(Method method, Object instance, Object[] arguments) throws Throwable {
        try {
            return method.invoke(instance, arguments);
        } catch (InvocationTargetException e) {
            throw e.getCause() == null ? e : e.getCause();
        }
    }
}
