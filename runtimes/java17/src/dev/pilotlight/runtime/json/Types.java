package dev.pilotlight.runtime.json;

import java.lang.reflect.Array;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;

/** Generic types: what stands for a variable, and what class is behind a type. */
public final class Types {
    private static final Type[] NONE = {};

    private Types() {}

    /** The arguments that `type` gives to the generic class or interface `wanted`; null if it gives none. */
    public static Type[] arguments(Type type, Class<?> wanted) {
        Class<?> raw = raw(type);
        if (raw == wanted) {
            return type instanceof ParameterizedType ? ((ParameterizedType) type).getActualTypeArguments() : null;
        }
        for (Type above : raw.getGenericInterfaces()) {
            Type[] found = wanted.isAssignableFrom(raw(above)) ? arguments(resolve(above, type), wanted) : null;
            if (found != null) {
                return found;
            }
        }
        Type above = raw.getGenericSuperclass();
        return above != null && wanted.isAssignableFrom(raw(above)) ? arguments(resolve(above, type), wanted) : null;
    }

    /** `type` as it is written in the class of `context`, with what the context puts for its variables. */
    public static Type resolve(Type type, Type context) {
        if (type instanceof Class || !(context instanceof ParameterizedType)) {
            return type;
        }
        if (type instanceof TypeVariable) {
            TypeVariable<?>[] variables = raw(context).getTypeParameters();
            for (int i = 0; i < variables.length; i++) {
                if (variables[i].equals(type)) {
                    return ((ParameterizedType) context).getActualTypeArguments()[i];
                }
            }
            return type;
        }
        if (type instanceof ParameterizedType) {
            Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
            for (int i = 0; i < arguments.length; i++) {
                arguments[i] = resolve(arguments[i], context);
            }
            return new Parameterized(raw(type), arguments);
        }
        if (type instanceof GenericArrayType) {
            Type item = resolve(((GenericArrayType) type).getGenericComponentType(), context);
            return Array.newInstance(raw(item), 0).getClass();
        }
        return type;
    }

    /** The class behind a type; that of its bound for a variable or a wildcard. */
    public static Class<?> raw(Type type) {
        if (type instanceof Class) {
            return (Class<?>) type;
        }
        if (type instanceof ParameterizedType) {
            return (Class<?>) ((ParameterizedType) type).getRawType();
        }
        if (type instanceof TypeVariable) {
            return raw(((TypeVariable<?>) type).getBounds()[0]);
        }
        if (type instanceof WildcardType) {
            return raw(((WildcardType) type).getUpperBounds()[0]);
        }
        Type item = ((GenericArrayType) type).getGenericComponentType();
        return Array.newInstance(raw(item), 0).getClass();
    }

    /** The type of a collection's items, or of a map's keys or values. */
    static Type argument(Type type, Class<?> wanted, int index) {
        Type[] arguments = arguments(type, wanted);
        return arguments == null ? Object.class : arguments[index];
    }

    private static final class Parameterized implements ParameterizedType {
        private final Class<?> raw;
        private final Type[] arguments;

        Parameterized(Class<?> raw, Type[] arguments) {
            this.raw = raw;
            this.arguments = arguments;
        }

        @Override
        public Type[] getActualTypeArguments() {
            return arguments.length == 0 ? NONE : arguments.clone();
        }

        @Override
        public Type getRawType() {
            return raw;
        }

        @Override
        public Type getOwnerType() {
            return raw.getDeclaringClass();
        }
    }
}
