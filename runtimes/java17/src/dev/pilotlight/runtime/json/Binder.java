package dev.pilotlight.runtime.json;

import java.lang.reflect.Array;
import java.lang.reflect.Constructor;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.Type;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Collection;
import java.util.Date;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.concurrent.ConcurrentHashMap;

/** From what {@link JsonReader} reads to the types of user code, as forgiving as AWS's runtime is. */
public final class Binder {
    /** Ways from text to an object, in the order in which they are tried. */
    private static final String[] FACTORIES = {"valueOf", "parse", "fromString", "of"};

    private Binder() {}

    public static Object bind(Object json, Type type) {
        return bind(json, type, Types.raw(type));
    }

    /** Whatever binding needs to know of a type that can be known before the first event. */
    public static void prepare(Type type) {
        Class<?> raw = Types.raw(type);
        if (!raw.isPrimitive() && !raw.isArray() && !raw.isInterface() && !raw.getName().startsWith("java.")) {
            Bean.of(raw);
        }
    }

    private static Object bind(Object json, Type type, Class<?> raw) {
        if (json == null) {
            return raw == Optional.class ? Optional.empty() : Scalars.absent(raw);
        }
        if (raw == Object.class) {
            return plain(json);
        }
        if (Scalars.isScalar(raw)) {
            return Scalars.convert(unwrapped(json), raw);
        }
        if (raw == Optional.class) {
            return Optional.ofNullable(bind(json, Types.argument(type, Optional.class, 0)));
        }
        if (raw.isArray()) {
            return array(json, type, raw);
        }
        if (Collection.class.isAssignableFrom(raw) || raw == Iterable.class) {
            return collection(json, type, raw);
        }
        if (Map.class.isAssignableFrom(raw)) {
            return map(json, type, raw);
        }
        return other(json, type, raw);
    }

    /** Numbers with a fraction as most code expects them. */
    @SuppressWarnings("unchecked")
    private static Object plain(Object json) {
        if (json instanceof BigDecimal) {
            return ((BigDecimal) json).doubleValue();
        }
        if (json instanceof List) {
            List<Object> items = (List<Object>) json;
            for (int i = 0; i < items.size(); i++) {
                items.set(i, plain(items.get(i)));
            }
        } else if (json instanceof Map) {
            for (Map.Entry<String, Object> member : ((Map<String, Object>) json).entrySet()) {
                member.setValue(plain(member.getValue()));
            }
        }
        return json;
    }

    /** A single value in an array counts as the value. */
    private static Object unwrapped(Object json) {
        return json instanceof List && ((List<?>) json).size() == 1 ? ((List<?>) json).get(0) : json;
    }

    /** A value where an array is wanted counts as an array of one. */
    private static List<?> items(Object json) {
        return json instanceof List ? (List<?>) json : List.of(json);
    }

    private static Object array(Object json, Type type, Class<?> raw) {
        if (raw == byte[].class && json instanceof String) {
            return base64((String) json);
        }
        if (raw == char[].class && json instanceof String) {
            return ((String) json).toCharArray();
        }
        Type item = type instanceof java.lang.reflect.GenericArrayType
                ? ((java.lang.reflect.GenericArrayType) type).getGenericComponentType()
                : raw.getComponentType();
        List<?> items = items(json);
        Object array = Array.newInstance(raw.getComponentType(), items.size());
        for (int i = 0; i < items.size(); i++) {
            Array.set(array, i, bind(items.get(i), item));
        }
        return array;
    }

    private static byte[] base64(String text) {
        try {
            return Base64.getDecoder().decode(text);
        } catch (IllegalArgumentException e) {
            throw new JsonException("Text is not Base64", e);
        }
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Object collection(Object json, Type type, Class<?> raw) {
        if ("".equals(json)) {
            return null;
        }
        Collection<Object> made;
        if (raw.isAssignableFrom(ArrayList.class)) {
            made = new ArrayList<>();
        } else if (raw.isAssignableFrom(LinkedHashSet.class)) {
            made = new LinkedHashSet<>();
        } else if (raw.isAssignableFrom(TreeSet.class)) {
            made = new TreeSet<>();
        } else if (raw.isAssignableFrom(ArrayDeque.class)) {
            made = new ArrayDeque<>();
        } else if (java.util.EnumSet.class.isAssignableFrom(raw)) {
            made = (Collection) java.util.EnumSet.noneOf((Class) Types.raw(Types.argument(type, Collection.class, 0)));
        } else {
            made = (Collection<Object>) empty(raw);
        }
        Type item = Types.argument(type, Iterable.class, 0);
        for (Object value : items(json)) {
            made.add(bind(value, item));
        }
        return made;
    }

    @SuppressWarnings({"unchecked", "rawtypes"})
    private static Object map(Object json, Type type, Class<?> raw) {
        if ("".equals(json)) {
            return null;
        }
        if (!(json instanceof Map)) {
            throw mismatch(json, raw);
        }
        Type keyType = Types.argument(type, Map.class, 0);
        Type valueType = Types.argument(type, Map.class, 1);
        Map<Object, Object> made;
        if (raw.isAssignableFrom(LinkedHashMap.class)) {
            made = new LinkedHashMap<>();
        } else if (raw.isAssignableFrom(TreeMap.class)) {
            made = new TreeMap<>();
        } else if (raw.isAssignableFrom(ConcurrentHashMap.class)) {
            made = new ConcurrentHashMap<>();
        } else if (raw == java.util.EnumMap.class) {
            made = new java.util.EnumMap((Class) Types.raw(keyType));
        } else {
            made = (Map<Object, Object>) empty(raw);
        }
        for (Map.Entry<?, ?> entry : ((Map<?, ?>) json).entrySet()) {
            made.put(bind(entry.getKey(), keyType), bind(entry.getValue(), valueType));
        }
        return made;
    }

    private static Object other(Object json, Type type, Class<?> raw) {
        if (raw == Date.class) {
            return Times.date(json);
        }
        if (raw == ByteBuffer.class && json instanceof String) {
            return ByteBuffer.wrap(base64((String) json));
        }
        if (raw.getName().startsWith("java.time.")) {
            Object time = Times.fromJson(json, raw);
            return time != null ? time : fromText(json, raw);
        }
        if (json instanceof Map) {
            return bean((Map<?, ?>) json, type, raw);
        }
        if ("".equals(json) || json instanceof List && ((List<?>) json).isEmpty()) {
            return null;
        }
        return json instanceof List ? bind(unwrapped(json), type, raw) : fromText(json, raw);
    }

    private static Object bean(Map<?, ?> json, Type type, Class<?> raw) {
        Bean bean = Bean.of(raw);
        if (bean.constructor == null) {
            throw new JsonException("Cannot construct instance of " + raw.getName()
                    + ": it is abstract, or has neither a constructor without arguments nor one of its fields");
        }
        if (!bean.parameters.isEmpty()) {
            return fromParts(json, type, bean);
        }
        Object made = create(bean.constructor);
        for (Map.Entry<?, ?> entry : json.entrySet()) {
            Bean.Property property = bean.property((String) entry.getKey());
            if (property != null && property.writable()) {
                property.set(made, member(entry.getValue(), property, type));
            }
        }
        return made;
    }

    private static Object fromParts(Map<?, ?> json, Type type, Bean bean) {
        Object[] arguments = new Object[bean.parameters.size()];
        for (Map.Entry<?, ?> entry : json.entrySet()) {
            int at = bean.parameters.indexOf(bean.property((String) entry.getKey()));
            if (at >= 0) {
                arguments[at] = member(entry.getValue(), bean.parameters.get(at), type);
            }
        }
        for (int i = 0; i < arguments.length; i++) {
            if (arguments[i] == null) {
                arguments[i] = bind(null, bean.parameters.get(i).type);
            }
        }
        return create(bean.constructor, arguments);
    }

    private static Object member(Object json, Bean.Property property, Type owner) {
        try {
            return bind(json, Types.resolve(property.type, owner));
        } catch (JsonException e) {
            throw new JsonException("Member '" + property.name + "': " + e.getMessage(), e.getCause());
        }
    }

    /** A class that is made from text: by a factory of its own, or by a constructor. */
    private static Object fromText(Object json, Class<?> raw) {
        if (json instanceof List || json instanceof Map) {
            throw mismatch(json, raw);
        }
        String text = json.toString();
        for (String name : FACTORIES) {
            for (Method method : raw.getMethods()) {
                if (method.getName().equals(name) && isFactory(method, raw)) {
                    return call(method, text, raw);
                }
            }
        }
        for (Class<?> argument : new Class<?>[] {String.class, Object.class}) {
            try {
                Constructor<?> constructor = raw.getConstructor(argument);
                return create(constructor, text);
            } catch (NoSuchMethodException e) {
                // the next may be there
            }
        }
        throw mismatch(json, raw);
    }

    private static boolean isFactory(Method method, Class<?> raw) {
        return Modifier.isStatic(method.getModifiers())
                && raw.isAssignableFrom(method.getReturnType())
                && method.getParameterCount() == 1
                && method.getParameterTypes()[0].isAssignableFrom(String.class);
    }

    private static Object call(Method factory, String text, Class<?> raw) {
        try {
            return factory.invoke(null, text);
        } catch (InvocationTargetException e) {
            throw new JsonException("Cannot make " + raw.getName() + " of text: " + e.getCause(), e.getCause());
        } catch (IllegalAccessException e) {
            throw new JsonException("Cannot make " + raw.getName() + " of text", e);
        }
    }

    private static Object empty(Class<?> raw) {
        try {
            return create(raw.getConstructor());
        } catch (NoSuchMethodException e) {
            throw new JsonException("Cannot construct instance of " + raw.getName(), e);
        }
    }

    private static Object create(Constructor<?> constructor, Object... arguments) {
        String name = constructor.getDeclaringClass().getName();
        try {
            return constructor.newInstance(arguments);
        } catch (InvocationTargetException e) {
            throw new JsonException("Constructor of " + name + " failed: " + e.getCause(), e.getCause());
        } catch (ReflectiveOperationException e) {
            throw new JsonException("Cannot construct instance of " + name, e);
        }
    }

    static JsonException mismatch(Object json, Class<?> raw) {
        String what = json instanceof Map ? "an object"
                : json instanceof List ? "an array"
                : json instanceof String ? "text"
                : json instanceof Boolean ? "a boolean"
                : "a number";
        return new JsonException("Cannot make a value of type " + raw.getName() + " from " + what);
    }
}
