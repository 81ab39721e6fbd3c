package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import dev.pilotlight.runtime.json.Types;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;

/**
 * Finds what `package.Class` or `package.Class::method` names. Source: "Define Lambda function handler in
 * Java", and the words of AWS's runtime. What is wrong with a name is told by every invocation, as there;
 * only what the user's own code throws ends the init. No lambdas here: the first one of a process takes
 * ten milliseconds, which user code that has none should not pay.
 */
final class HandlerLoader {
    private final ClassLoader functions;

    private HandlerLoader(ClassLoader functions) {
        this.functions = functions;
    }

    /** The handler; one that fails every event where the fault is not the code's. */
    static Handler load(String name, ClassLoader functions) {
        try {
            return new HandlerLoader(functions).find(name);
        } catch (Fault fault) {
            if (fault.fatal) {
                throw fault;
            }
            return new Handlers.Failing(fault);
        }
    }

    private Handler find(String name) {
        int colons = name.lastIndexOf("::");
        String className = colons < 0 ? name : name.substring(0, colons);
        String method = colons < 0 ? null : name.substring(colons + 2);
        if (className.isEmpty() || method != null && method.isEmpty()) {
            throw new Fault("Invalid handler: `" + name + "'");
        }
        Class<?> type = classOf(className);
        try {
            return method == null ? byInterface(type) : byName(type, method);
        } catch (Fault fault) {
            throw fault;
        } catch (NoClassDefFoundError e) {
            throw new Fault("Error loading method " + method + " on class " + className, e, false);
        } catch (Throwable e) {
            throw Fault.of(e, false);
        }
    }

    private Class<?> classOf(String name) {
        try {
            return Class.forName(name, true, functions);
        } catch (ClassNotFoundException e) {
            throw new Fault("Class not found: " + name, e, false);
        } catch (NoClassDefFoundError e) {
            throw new Fault(loading(name, e), e, false);
        } catch (Throwable e) {
            throw new Fault(loading(name, e), e, true);
        }
    }

    private static String loading(String name, Throwable e) {
        return "Error loading class " + name + (e.getMessage() == null ? "" : ": " + e.getMessage());
    }

    // --- By one of Lambda's interfaces -----------------------------------------------------------------

    @SuppressWarnings("unchecked")
    private Handler byInterface(Class<?> type) throws Exception {
        if (RequestStreamHandler.class.isAssignableFrom(type)) {
            return new Handlers.Streaming((RequestStreamHandler) create(type));
        }
        if (!RequestHandler.class.isAssignableFrom(type)) {
            throw new Fault("Class does not implement an appropriate handler interface: " + type.getName());
        }
        Type[] types = Types.arguments(type, RequestHandler.class);
        if (types == null) {
            throw new Fault("Class " + type.getName() + " does not implement RequestHandler with concrete type parameters");
        }
        for (Type argument : types) {
            if (argument instanceof TypeVariable && Types.raw(argument) == Object.class) {
                throw new Fault("Class " + type.getName() + " does not implement RequestHandler with concrete type "
                        + "parameters: parameter " + argument + " has no upper bound.");
            }
        }
        RequestHandler<Object, Object> handler = (RequestHandler<Object, Object>) create(type);
        return new Handlers.Requests(handler, Codec.of(functions), types[0], types[1]);
    }

    private static Object create(Class<?> type) throws Exception {
        Constructor<?> constructor;
        try {
            constructor = type.getConstructor();
        } catch (NoSuchMethodException e) {
            boolean inner = type.getEnclosingClass() != null && !Modifier.isStatic(type.getModifiers());
            throw new Exception("Class " + type.getName() + (inner
                    ? " cannot be instantiated because it is a non-static inner class"
                    : " has no public zero-argument constructor"), inner ? null : e);
        }
        try {
            return constructor.newInstance();
        } catch (InvocationTargetException e) {
            throw Fault.of(e.getCause() == null ? e : e.getCause(), true);
        }
    }

    // --- By the name of a method -----------------------------------------------------------------------

    /** The first in order of preference whose parameters can be given. */
    private Handler byName(Class<?> type, String name) throws Exception {
        List<Method> methods = new ArrayList<>();
        for (Method method : type.getMethods()) {
            if (method.getName().equals(name)) {
                methods.add(method);
            }
        }
        methods.sort(PREFERENCE);
        for (Method method : methods) {
            Parameters parameters = Parameters.of(method);
            if (parameters != null) {
                method.setAccessible(true);
                Object instance = Modifier.isStatic(method.getModifiers()) ? null : create(type);
                return parameters.streams()
                        ? new Handlers.StreamMethod(method, instance, parameters)
                        : new Handlers.PlainMethod(method, instance, parameters, Codec.of(functions));
            }
        }
        throw new Fault("No public method named " + name + " with appropriate method signature found on class "
                + type.getName());
    }

    /** More parameters are preferred; a context at the end counts twice. Bridges come last. */
    private static final Comparator<Method> PREFERENCE = new Comparator<>() {
        @Override
        public int compare(Method a, Method b) {
            return a.isBridge() != b.isBridge() ? (a.isBridge() ? 1 : -1) : weight(b) - weight(a);
        }

        private int weight(Method method) {
            Class<?>[] types = method.getParameterTypes();
            return types.length + (types.length > 0 && types[types.length - 1] == Context.class ? 1 : 0);
        }
    };
}
