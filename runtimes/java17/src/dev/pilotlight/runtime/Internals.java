package dev.pilotlight.runtime;

import java.lang.invoke.MethodHandles;
import java.lang.reflect.Field;
import sun.misc.Unsafe;

/**
 * Reaches what the JDK keeps to itself: a descriptor that was inherited, the environment, random state. It
 * does so without options such as `--add-opens`, which would cost the archived module graph at every start,
 * and would open the same doors to user code.
 */
final class Internals {
    static final Unsafe UNSAFE = unsafe();

    private Internals() {}

    private static Unsafe unsafe() {
        try {
            Field field = Unsafe.class.getDeclaredField("theUnsafe");
            field.setAccessible(true);
            return (Unsafe) field.get(null);
        } catch (ReflectiveOperationException e) {
            throw new AssertionError(e);
        }
    }

    /** Where instances of a class have a field. */
    static long offset(Class<?> type, String field) {
        try {
            return UNSAFE.objectFieldOffset(type.getDeclaredField(field));
        } catch (NoSuchFieldException e) {
            throw new AssertionError(e);
        }
    }

    /** The value of a static field of an initialised class. */
    static Object staticValue(Class<?> type, String field) {
        try {
            Field found = type.getDeclaredField(field);
            return UNSAFE.getObject(UNSAFE.staticFieldBase(found), UNSAFE.staticFieldOffset(found));
        } catch (NoSuchFieldException e) {
            throw new AssertionError(e);
        }
    }

    /** A class of the JDK, not initialised by this; null where this JDK has none of that name. */
    static Class<?> find(String name) {
        try {
            return Class.forName(name, false, null);
        } catch (ClassNotFoundException e) {
            return null;
        }
    }

    @SuppressWarnings("deprecation") // its replacement is for classes of the caller's own module
    static boolean isInitialised(Class<?> type) {
        return type != null && !UNSAFE.shouldBeInitialized(type);
    }

    /** May call everything. */
    static MethodHandles.Lookup lookup() {
        return (MethodHandles.Lookup) staticValue(MethodHandles.Lookup.class, "IMPL_LOOKUP");
    }
}
