package dev.pilotlight.runtime;

import java.lang.reflect.Array;
import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Set;
import sun.misc.Unsafe;

/** The numbers in all objects that can be reached from some, kept so that they can be put back. */
final class State {
    private static final Unsafe UNSAFE = Internals.UNSAFE;
    private static final long THREAD_SEED = Internals.offset(Thread.class, "threadLocalRandomSeed");

    private final List<Runnable> restores = new ArrayList<>();
    private final Set<Object> seen = Collections.newSetFromMap(new IdentityHashMap<>());
    private final ArrayDeque<Object> toDo = new ArrayDeque<>();

    static State of(Object... roots) {
        State state = new State();
        for (Object root : roots) {
            state.add(root);
        }
        while (!state.toDo.isEmpty()) {
            state.keep(state.toDo.removeLast());
        }
        return state;
    }

    static State ofThread(Thread thread) {
        State state = new State();
        long seed = UNSAFE.getLong(thread, THREAD_SEED);
        state.restores.add(() -> UNSAFE.putLong(thread, THREAD_SEED, seed));
        return state;
    }

    void restore() {
        restores.forEach(Runnable::run);
    }

    private void add(Object object) {
        boolean leaf = object == null || object instanceof Class || object instanceof ClassLoader
                || object instanceof Thread || object instanceof String || object instanceof java.security.Provider
                || object.getClass().getName().startsWith("java.io.");
        if (!leaf && seen.add(object)) {
            toDo.add(object);
        }
    }

    private void keep(Object object) {
        Class<?> type = object.getClass();
        if (type.isArray()) {
            int length = Array.getLength(object);
            Object copy = Array.newInstance(type.getComponentType(), length);
            System.arraycopy(object, 0, copy, 0, length);
            restores.add(() -> System.arraycopy(copy, 0, object, 0, length));
            if (!type.getComponentType().isPrimitive()) {
                for (Object item : (Object[]) object) {
                    add(item);
                }
            }
            return;
        }
        for (Class<?> part = type; part != null; part = part.getSuperclass()) {
            for (Field field : part.getDeclaredFields()) {
                if (!Modifier.isStatic(field.getModifiers())) {
                    keep(object, field);
                }
            }
        }
    }

    @SuppressWarnings("deprecation")
    private void keep(Object object, Field field) {
        long offset;
        try {
            offset = UNSAFE.objectFieldOffset(field);
        } catch (UnsupportedOperationException e) {
            // Of a record or a lambda: never changes, but may lead on.
            try {
                field.setAccessible(true);
                add(field.getType().isPrimitive() ? null : field.get(object));
            } catch (ReflectiveOperationException | RuntimeException inner) {
                // of the JDK
            }
            return;
        }
        Class<?> type = field.getType();
        if (type == long.class) {
            long value = UNSAFE.getLong(object, offset);
            restores.add(() -> UNSAFE.putLong(object, offset, value));
        } else if (type == int.class) {
            int value = UNSAFE.getInt(object, offset);
            restores.add(() -> UNSAFE.putInt(object, offset, value));
        } else if (!type.isPrimitive()) {
            Object value = UNSAFE.getObject(object, offset);
            restores.add(() -> UNSAFE.putObject(object, offset, value));
            add(value);
        }
    }
}
