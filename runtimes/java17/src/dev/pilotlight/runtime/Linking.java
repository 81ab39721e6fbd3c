package dev.pilotlight.runtime;

import java.io.IOException;
import java.io.InputStream;
import java.lang.invoke.MethodHandle;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.net.URL;
import java.net.URLConnection;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * Does ahead what the first call of a method does for whatever the method names: loads and links classes, and
 * makes the code that joins texts. No user code runs: classes of the function are not initialised by this.
 */
final class Linking {
    /** What is not done by then is left to the first call. */
    private static final long MOST_NANOS = 300_000_000;
    /** JDK's classes whose initialisation reads no setting that a function may still change. */
    private static final List<String> PLAIN = List.of("java.lang.", "java.util.", "java.math.", "java.text.", "java.time.");
    private static final List<String> NOT_PLAIN = List.of(
            "java.lang.instrument.", "java.lang.management.", "java.util.concurrent.", "java.util.logging.", "java.util.prefs.");

    /** Otherwise the collector forgets what was made for them. */
    private static final List<Object> joins = new ArrayList<>();

    private final ClassLoader functions;
    private final MethodHandle join;
    private final MethodHandle link;

    private Linking(ClassLoader functions) throws ReflectiveOperationException {
        this.functions = functions;
        MethodHandles.Lookup lookup = Internals.lookup();
        Class<?> natives = Internals.find("java.lang.invoke.MethodHandleNatives");
        Class<?> member = Internals.find("java.lang.invoke.MemberName");
        MethodType linking = MethodType.methodType(
                member, Object.class, int.class, Object.class, Object.class, Object.class, Object.class, Object[].class);
        link = lookup.findStatic(natives, "linkCallSite", linking).asType(linking.changeReturnType(Object.class));
        join = lookup.findStatic(java.lang.invoke.StringConcatFactory.class, "makeConcatWithConstants",
                MethodType.methodType(java.lang.invoke.CallSite.class, MethodHandles.Lookup.class, String.class,
                        MethodType.class, String.class, Object[].class));
    }

    /** For all classes that the function has loaded so far, in that order. */
    static void run(FunctionClassLoader functions) {
        long end = System.nanoTime() + MOST_NANOS;
        try {
            Linking linking = new Linking(functions);
            for (Class<?> type : functions.loaded()) {
                if (System.nanoTime() > end) {
                    return;
                }
                linking.of(type);
            }
        } catch (ReflectiveOperationException e) {
            // another JDK: the first call links as it always did
        }
    }

    /** Compiles what places that join texts are linked by: one link is much code that runs once. */
    static void warm(int rounds) {
        Object[][] usual = {
            {"(Ljava/lang/Object;)Ljava/lang/String;", "a \1"},
            {"(Ljava/lang/String;I)Ljava/lang/String;", "a \1 b \1 c"},
            {"(Ljava/lang/String;Ljava/lang/String;)Ljava/lang/String;", "\1, \1"},
        };
        try {
            Linking linking = new Linking(Linking.class.getClassLoader());
            for (int i = 0; i < rounds; i++) {
                linking.join(Linking.class, usual[i % usual.length]);
            }
        } catch (ReflectiveOperationException e) {
            // another JDK: the first call links as it always did
        }
        joins.clear();
    }

    private void of(Class<?> type) {
        ClassFile file;
        try {
            file = read(type);
        } catch (IOException | RuntimeException e) {
            return; // made in memory, or no class file that we understand
        }
        for (String name : file.classes()) {
            prepare(name);
        }
        for (Object[] parts : file.concatenations()) {
            join(type, parts);
        }
    }

    private ClassFile read(Class<?> type) throws IOException {
        URL url = functions.getResource(type.getName().replace('.', '/') + ".class");
        if (url == null) {
            throw new IOException("no file");
        }
        URLConnection connection = url.openConnection();
        // Leaves no archive open.
        connection.setUseCaches(false);
        try (InputStream in = new java.io.BufferedInputStream(connection.getInputStream())) {
            return new ClassFile(in);
        }
    }

    @SuppressWarnings("deprecation") // its replacement is for classes of the caller's own module
    private void prepare(String name) {
        try {
            Class<?> type = Class.forName(name, false, functions);
            if (type.getClassLoader() == functions) {
                type.getDeclaredConstructors(); // which links it
            } else if (isPlain(name)) {
                Internals.UNSAFE.ensureClassInitialized(type);
            }
        } catch (ClassNotFoundException | LinkageError | RuntimeException e) {
            // the call that needs it will tell
        }
    }

    private static boolean isPlain(String name) {
        return startsWithOne(name, PLAIN) && !startsWithOne(name, NOT_PLAIN);
    }

    private static boolean startsWithOne(String name, List<String> beginnings) {
        for (String beginning : beginnings) {
            if (name.startsWith(beginning)) {
                return true;
            }
        }
        return false;
    }

    /** Links another place that joins texts in the same way; what that takes is made once per way. */
    private void join(Class<?> caller, Object[] parts) {
        try {
            MethodType type = MethodType.fromMethodDescriptorString((String) parts[0], functions);
            Object arguments = parts.length == 2 ? parts[1] : Arrays.copyOfRange(parts, 1, parts.length);
            Object[] appendix = new Object[1];
            Object made = (Object) link.invokeExact(
                    (Object) caller, 0, (Object) join, (Object) "makeConcatWithConstants", (Object) type, arguments, appendix);
            joins.add(made);
            joins.add(appendix[0]);
        } catch (Throwable e) {
            // a kind of constant that we do not know; the first call links as it always did
        }
    }
}
