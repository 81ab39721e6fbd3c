package dev.pilotlight.runtime;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.nio.charset.StandardCharsets;
import java.util.Collections;
import java.util.HashMap;
import java.util.Map;
import sun.misc.Unsafe;

/** The variables of the process: what `System.getenv` shows, and what child processes inherit. */
final class Environment {
    /** The map behind the one that `System.getenv` hands out. */
    private static final Map<String, String> VARIABLES = variables();

    /** Where the C library has its pointer to the variables; 0 as long as nobody asked. */
    private static long environ;
    /** What that pointer points to, if it is ours. */
    private static long block;

    private Environment() {}

    @SuppressWarnings("unchecked")
    private static Map<String, String> variables() {
        Map<String, String> shown = System.getenv();
        long offset = Internals.offset(Collections.unmodifiableMap(new HashMap<>()).getClass(), "m");
        return (Map<String, String>) Internals.UNSAFE.getObject(shown, offset);
    }

    /** Removes a variable that is the platform's own business, and returns it. */
    static String take(String name) {
        return VARIABLES.remove(name);
    }

    /** Puts other variables in the place of all. */
    static void replace(Map<?, ?> all) {
        VARIABLES.clear();
        change(all);
    }

    /** Sets some variables. */
    static void change(Map<?, ?> some) {
        for (Map.Entry<?, ?> variable : some.entrySet()) {
            VARIABLES.put((String) variable.getKey(), (String) variable.getValue());
        }
        export();
    }

    /** Finds what `export` needs; takes a moment, so it is done before anybody waits. */
    static void prepare() {
        if (environ != 0) {
            return;
        }
        try {
            MethodHandles.Lookup lookup = Internals.lookup();
            // A library without a purpose but this: symbols are found in it and in what it depends on, the C library.
            lookup.findStatic(Internals.find("jdk.internal.loader.BootLoader"), "loadLibrary",
                            MethodType.methodType(void.class, String.class))
                    .invokeExact("syslookup");
            environ = (long) lookup.findStatic(ClassLoader.class, "findNative",
                            MethodType.methodType(long.class, ClassLoader.class, String.class))
                    .invokeExact((ClassLoader) null, "environ");
        } catch (Throwable e) {
            throw new AssertionError(e);
        }
        if (environ == 0) {
            throw new AssertionError("the C library has no environ");
        }
    }

    /** Gives the variables to the C library: children and time zones are looked up there. */
    private static void export() {
        prepare();
        Unsafe unsafe = Internals.UNSAFE;
        byte[][] texts = new byte[VARIABLES.size()][];
        long size = 8;
        int count = 0;
        for (Map.Entry<String, String> variable : VARIABLES.entrySet()) {
            byte[] text = (variable.getKey() + '=' + variable.getValue() + '\0').getBytes(StandardCharsets.UTF_8);
            size += 8 + text.length;
            texts[count++] = text;
        }
        long pointers = unsafe.allocateMemory(size);
        long at = pointers + 8L * (count + 1);
        for (int i = 0; i < count; i++) {
            unsafe.putAddress(pointers + 8L * i, at);
            unsafe.copyMemory(texts[i], Unsafe.ARRAY_BYTE_BASE_OFFSET, null, at, texts[i].length);
            at += texts[i].length;
        }
        unsafe.putAddress(pointers + 8L * count, 0);
        // Nobody else is running yet who might read the block before.
        unsafe.putAddress(environ, pointers);
        if (block != 0) {
            unsafe.freeMemory(block);
        }
        block = pointers;
    }
}
