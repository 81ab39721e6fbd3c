package dev.pilotlight.runtime.json;

import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Constructor;
import java.lang.reflect.Field;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.lang.reflect.RecordComponent;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.concurrent.ConcurrentHashMap;

/** What a class looks like as a JSON object: getters, setters and public fields, or the parts of a record. */
final class Bean {
    private static final Map<Class<?>, Bean> KNOWN = new ConcurrentHashMap<>();

    final Class<?> type;
    private final Map<String, Property> properties = new LinkedHashMap<>();
    /** For names that differ in case or punctuation, such as `Records` or `detail-type` in AWS's events. */
    private final Map<String, Property> byLetters = new LinkedHashMap<>();
    /** Makes an empty bean, or takes the values of `parameters`; null where there is none that can be used. */
    final Constructor<?> constructor;
    final List<Property> parameters = new ArrayList<>();

    /** One member of the object. */
    static final class Property {
        final String name;
        private Method getter;
        private Method setter;
        private Field field;
        /** Generic, as the setter has it. */
        Type type;

        Property(String name) {
            this.name = name;
        }

        boolean readable() {
            return getter != null || field != null;
        }

        boolean writable() {
            return setter != null || field != null;
        }

        Object get(Object bean) {
            try {
                return getter != null ? getter.invoke(bean) : field.get(bean);
            } catch (InvocationTargetException e) {
                throw new JsonException("Getter of '" + name + "' failed: " + e.getCause(), e.getCause());
            } catch (IllegalAccessException e) {
                throw new JsonException("Cannot read '" + name + "'", e);
            }
        }

        void set(Object bean, Object value) {
            try {
                if (setter != null) {
                    setter.invoke(bean, value);
                } else {
                    field.set(bean, value);
                }
            } catch (InvocationTargetException e) {
                throw new JsonException("Setter of '" + name + "' failed: " + e.getCause(), e.getCause());
            } catch (IllegalAccessException e) {
                throw new JsonException("Cannot set '" + name + "'", e);
            }
        }
    }

    static Bean of(Class<?> type) {
        Bean bean = KNOWN.get(type);
        if (bean == null) {
            bean = new Bean(type);
            KNOWN.put(type, bean);
        }
        return bean;
    }

    private Bean(Class<?> type) {
        this.type = type;
        Constructor<?> found;
        if (type.isRecord()) {
            found = record();
        } else {
            fields();
            methods();
            found = emptyConstructor();
            // One without arguments is of no use where nothing can be set afterwards.
            if (found == null || !isWritable()) {
                Constructor<?> whole = fieldConstructor();
                found = whole == null ? found : whole;
            }
        }
        constructor = found;
        for (Iterator<Property> all = properties.values().iterator(); all.hasNext(); ) {
            Property property = all.next();
            if (property.readable() || property.writable() || parameters.contains(property)) {
                byLetters.putIfAbsent(letters(property.name), property);
            } else {
                all.remove(); // a private field and no more
            }
        }
    }

    Collection<Property> properties() {
        return properties.values();
    }

    /** The property of that name; failing that, one that differs in case or punctuation. */
    Property property(String name) {
        Property found = properties.get(name);
        return found != null ? found : byLetters.get(letters(name));
    }

    private static String letters(String name) {
        return name.replace("-", "").replace("_", "").toLowerCase(Locale.ROOT);
    }

    private Property named(String name) {
        Property known = properties.get(name);
        if (known == null) {
            known = new Property(name);
            properties.put(name, known);
        }
        return known;
    }

    private Constructor<?> record() {
        RecordComponent[] parts = type.getRecordComponents();
        Class<?>[] types = new Class<?>[parts.length];
        for (int i = 0; i < parts.length; i++) {
            Property property = named(parts[i].getName());
            property.getter = accessible(parts[i].getAccessor());
            property.type = parts[i].getGenericType();
            parameters.add(property);
            types[i] = parts[i].getType();
        }
        try {
            return accessible(type.getDeclaredConstructor(types));
        } catch (NoSuchMethodException e) {
            throw new JsonException("Record without its own constructor: " + type.getName(), e);
        }
    }

    /** All fields give the order; only the public ones are members by themselves. */
    private void fields() {
        for (Field field : instanceFields(type)) {
            Property property = named(field.getName());
            if (Modifier.isPublic(field.getModifiers())) {
                property.field = accessible(field);
                property.type = field.getGenericType();
            }
        }
    }

    /** Of the classes above first, without what is not part of an object's state. */
    private static List<Field> instanceFields(Class<?> type) {
        List<Field> fields = new ArrayList<>();
        if (type.getSuperclass() != null && type.getSuperclass() != Object.class) {
            fields.addAll(instanceFields(type.getSuperclass()));
        }
        for (Field field : type.getDeclaredFields()) {
            if ((field.getModifiers() & (Modifier.STATIC | Modifier.TRANSIENT)) == 0 && !field.isSynthetic()) {
                fields.add(field);
            }
        }
        return fields;
    }

    private void methods() {
        for (Method method : type.getMethods()) {
            if (Modifier.isStatic(method.getModifiers()) || method.getDeclaringClass() == Object.class) {
                continue;
            }
            String name = method.getName();
            Class<?> result = method.getReturnType();
            int count = method.getParameterCount();
            if (count == 0 && result != void.class && isGetter(name, result)) {
                getter(named(decapitalized(name.substring(name.startsWith("is") ? 2 : 3))), method);
            } else if (count == 1 && name.startsWith("set") && name.length() > 3) {
                setter(named(decapitalized(name.substring(3))), method);
            }
        }
    }

    private static boolean isGetter(String name, Class<?> result) {
        if (name.startsWith("get")) {
            return name.length() > 3 && !name.equals("getMetaClass");
        }
        return name.startsWith("is") && name.length() > 2 && (result == boolean.class || result == Boolean.class);
    }

    private static void getter(Property property, Method method) {
        // A bridge has the wider type of an interface.
        if (property.getter == null || !method.isBridge()) {
            property.getter = accessible(method);
        }
    }

    /** Of several setters, the one that takes what the getter gives. */
    private void setter(Property property, Method method) {
        Method known = property.setter;
        if (known != null && (method.isBridge() || !takesFieldType(property.name, method))) {
            return;
        }
        property.setter = accessible(method);
        property.type = method.getGenericParameterTypes()[0];
    }

    private boolean takesFieldType(String name, Method method) {
        for (Field field : instanceFields(type)) {
            if (field.getName().equals(name)) {
                return field.getType() == method.getParameterTypes()[0];
            }
        }
        return false;
    }

    /** As java.beans does: `URL` stays, `Name` becomes `name`. */
    private static String decapitalized(String name) {
        if (name.length() > 1 && Character.isUpperCase(name.charAt(0)) && Character.isUpperCase(name.charAt(1))) {
            return name;
        }
        return Character.toLowerCase(name.charAt(0)) + name.substring(1);
    }

    private boolean isWritable() {
        for (Property property : properties.values()) {
            if (property.writable()) {
                return true;
            }
        }
        return false;
    }

    private Constructor<?> emptyConstructor() {
        if (Modifier.isAbstract(type.getModifiers())) {
            return null;
        }
        try {
            return accessible(type.getDeclaredConstructor());
        } catch (NoSuchMethodException e) {
            return null;
        }
    }

    /**
     * A constructor that takes the first fields in their order, as unchangeable beans have it; AWS's S3 event
     * is one. Names of parameters are not in class files, so the fields give them.
     */
    private Constructor<?> fieldConstructor() {
        if (Modifier.isAbstract(type.getModifiers())) {
            return null;
        }
        List<Field> fields = instanceFields(type);
        Constructor<?> best = null;
        for (Constructor<?> candidate : type.getConstructors()) {
            boolean more = best == null || candidate.getParameterCount() > best.getParameterCount();
            if (more && candidate.getParameterCount() > 0 && takesFields(candidate.getParameterTypes(), fields)) {
                best = candidate;
            }
        }
        if (best != null) {
            Type[] types = best.getGenericParameterTypes();
            for (int i = 0; i < types.length; i++) {
                Property property = named(fields.get(i).getName());
                property.type = types[i];
                parameters.add(property);
            }
        }
        return best == null ? null : accessible(best);
    }

    private static boolean takesFields(Class<?>[] types, List<Field> fields) {
        if (types.length > fields.size()) {
            return false;
        }
        for (int i = 0; i < types.length; i++) {
            if (types[i] != fields.get(i).getType() && types[i] != String.class) {
                return false;
            }
        }
        return true;
    }

    private static <T extends AccessibleObject> T accessible(T member) {
        try {
            member.setAccessible(true);
        } catch (RuntimeException e) {
            // Of a module that does not let us: public members work without.
        }
        return member;
    }
}
