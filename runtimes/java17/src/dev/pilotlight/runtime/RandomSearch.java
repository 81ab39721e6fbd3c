package dev.pilotlight.runtime;

import java.lang.reflect.AccessibleObject;
import java.lang.reflect.Field;
import java.lang.reflect.Member;
import java.lang.reflect.Modifier;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.concurrent.ThreadLocalRandom;
import sun.misc.Unsafe;

/**
 * Finds the random generators that user code holds, wherever it does: from its static fields and from all
 * threads, along every reference. One that was given a seed looks like any other, and is found as well.
 */
final class RandomSearch {
    /** Objects that are looked at; a function that holds more of them keeps generators unfound. */
    private static final int MAX_OBJECTS = 5_000_000;
    private static final Unsafe UNSAFE = Internals.UNSAFE;

    private final Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    private final ArrayDeque<Object> toDo = new ArrayDeque<>();
    private final Map<Class<?>, long[]> offsets = new HashMap<>();
    /** Fields that can only be read by reflection: of records and lambdas. */
    private final Map<Class<?>, List<Field>> hidden = new HashMap<>();
    private final Set<ClassLoader> loaders = Collections.newSetFromMap(new IdentityHashMap<>());
    private final List<Object> found = new ArrayList<>();

    List<Object> run(FunctionClassLoader functions) {
        // These hold the platform's objects, not the function's.
        for (ClassLoader loader = functions.getParent(); loader != null; loader = loader.getParent()) {
            loaders.add(loader);
        }
        loaders.add(null);
        for (Class<?> type : functions.loaded()) {
            statics(type);
        }
        for (Thread thread : Thread.getAllStackTraces().keySet()) {
            add(thread);
        }
        while (!toDo.isEmpty() && seen.size() < MAX_OBJECTS) {
            look(toDo.removeLast());
        }
        return found;
    }

    private void add(Object object) {
        if (object != null && !isLeaf(object) && seen.add(object)) {
            toDo.add(object);
        }
    }

    private static boolean isLeaf(Object object) {
        return object instanceof String || object instanceof Number && object.getClass().getName().startsWith("java.lang.")
                || object instanceof Boolean || object instanceof Character || object instanceof Class
                || object instanceof ClassLoader || object instanceof Module || object instanceof Member
                || object instanceof AccessibleObject || object instanceof FunctionLog;
    }

    private void look(Object object) {
        if (object instanceof ThreadLocalRandom) {
            return; // its state is the threads'
        }
        if (object instanceof Random || object instanceof SplittableRandom) {
            found.add(object);
        } else if (JdkGenerator.is(object)) {
            found.add(new JdkGenerator(object));
        }
        Class<?> type = object.getClass();
        if (type.isArray()) {
            if (!type.getComponentType().isPrimitive()) {
                for (Object item : (Object[]) object) {
                    add(item);
                }
            }
            return;
        }
        // A class that another loader of the function's has made has static fields of its own.
        if (!loaders.contains(type.getClassLoader()) && seen.add(type)) {
            statics(type);
        }
        fields(object, type);
    }

    private void fields(Object object, Class<?> type) {
        long[] known = offsets.get(type);
        if (known == null) {
            known = offsets(type);
            offsets.put(type, known);
        }
        for (long offset : known) {
            add(UNSAFE.getObject(object, offset));
        }
        for (Field field : hidden.getOrDefault(type, List.of())) {
            try {
                add(field.get(object));
            } catch (IllegalAccessException e) {
                // not ours to read
            }
        }
    }

    @SuppressWarnings("deprecation") // `objectFieldOffset` refuses hidden classes and records, which is known
    private long[] offsets(Class<?> type) {
        List<Long> offsets = new ArrayList<>();
        for (Class<?> part = type; part != null && part != Object.class; part = part.getSuperclass()) {
            for (Field field : declared(part)) {
                if (field.getType().isPrimitive() || Modifier.isStatic(field.getModifiers())) {
                    continue;
                }
                try {
                    offsets.add(UNSAFE.objectFieldOffset(field));
                } catch (UnsupportedOperationException e) {
                    byReflection(type, field);
                }
            }
        }
        long[] result = new long[offsets.size()];
        for (int i = 0; i < result.length; i++) {
            result[i] = offsets.get(i);
        }
        return result;
    }

    private void byReflection(Class<?> type, Field field) {
        try {
            field.setAccessible(true);
            hidden.computeIfAbsent(type, absent -> new ArrayList<>()).add(field);
        } catch (RuntimeException e) {
            // a hidden class of the JDK: holds nothing of the user's
        }
    }

    @SuppressWarnings("deprecation")
    private void statics(Class<?> type) {
        if (!Internals.isInitialised(type)) {
            return;
        }
        for (Field field : declared(type)) {
            if (Modifier.isStatic(field.getModifiers()) && !field.getType().isPrimitive()) {
                try {
                    add(UNSAFE.getObject(UNSAFE.staticFieldBase(field), UNSAFE.staticFieldOffset(field)));
                } catch (UnsupportedOperationException e) {
                    byReflectionStatic(field);
                }
            }
        }
    }

    private void byReflectionStatic(Field field) {
        try {
            field.setAccessible(true);
            add(field.get(null));
        } catch (RuntimeException | IllegalAccessException e) {
            // of the JDK
        }
    }

    /** A class whose fields name classes that are not there cannot be looked into. */
    private static Field[] declared(Class<?> type) {
        try {
            return type.getDeclaredFields();
        } catch (LinkageError e) {
            return new Field[0];
        }
    }
}
