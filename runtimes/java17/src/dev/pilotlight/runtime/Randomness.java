package dev.pilotlight.runtime;

import java.io.FileInputStream;
import java.io.IOException;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.nio.ByteBuffer;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;
import sun.misc.Unsafe;

/**
 * Random state that forks of one process would share: each gets a state of its own, from the kernel. All of
 * the JDK's own is known; what user code holds is searched for before the process is parked.
 */
final class Randomness {
    private static final Unsafe UNSAFE = Internals.UNSAFE;
    private static final int SEED_BYTES = 32;
    private static final String[] URANDOM_READERS = {
        "sun.security.provider.NativePRNG", "sun.security.provider.NativePRNG$Blocking",
        "sun.security.provider.NativePRNG$NonBlocking",
    };
    /** Generators of jdk.random from which new ones get their seeds. */
    private static final String[] SEED_COUNTERS = {
        "L32X64MixRandom", "L64X128MixRandom", "L64X128StarStarRandom", "L64X256MixRandom", "L64X1024MixRandom",
        "L128X128MixRandom", "L128X256MixRandom", "L128X1024MixRandom", "Xoshiro256PlusPlus", "Xoroshiro128PlusPlus",
    };
    private static final long THREAD_SEED = Internals.offset(Thread.class, "threadLocalRandomSeed");
    private static final long THREAD_SECONDARY = Internals.offset(Thread.class, "threadLocalRandomSecondarySeed");
    private static final long RANDOM_SEED = Internals.offset(Random.class, "seed");
    private static final long SPLITTABLE_SEED = Internals.offset(SplittableRandom.class, "seed");

    private static final Class<?> MATH = Internals.find("java.lang.Math$RandomNumberGeneratorHolder");
    private static final Class<?> SHA1_SEEDER = Internals.find("sun.security.provider.SecureRandom$SeederHolder");
    private static final Class<?> DRBG_SEEDER = Internals.find("sun.security.provider.AbstractDrbg$SeederHolder");
    private static final Class<?> SHA1 = Internals.find("sun.security.provider.SecureRandom");
    private static final Class<?> READER = Internals.find("sun.security.provider.NativePRNG$RandomIO");
    private static final long READER_BUFFERED = Internals.offset(READER, "buffered");
    private static final long SHA1_STATE = Internals.offset(SHA1, "state");
    private static final long SHA1_LEFT = Internals.offset(SHA1, "remCount");

    /** Counters and generators of the JDK that exist. */
    private static final List<AtomicLong> COUNTERS = new ArrayList<>();
    private static final List<Object> READERS = new ArrayList<>();
    private static final List<Object> SHA1_SEEDERS = new ArrayList<>();
    /** Generators of user code and of the JDK. */
    private static final List<Object> GENERATORS = new ArrayList<>();
    /** Of secure generators of user code, by class. */
    private static final Map<Class<?>, Method> RESEED_METHODS = new HashMap<>();
    private static Thread[] threads = new Thread[64];

    private Randomness() {}

    /** Collects what the JDK has by now. What it makes later, in a fork, is the fork's own. */
    static void prepare() {
        COUNTERS.clear();
        READERS.clear();
        SHA1_SEEDERS.clear();
        GENERATORS.clear();
        RESEED_METHODS.clear();
        ThreadLocalRandom.current(); // initialises both classes
        COUNTERS.add((AtomicLong) Internals.staticValue(Random.class, "seedUniquifier"));
        COUNTERS.add((AtomicLong) Internals.staticValue(ThreadLocalRandom.class, "seeder"));
        if (Internals.isInitialised(SplittableRandom.class)) {
            COUNTERS.add((AtomicLong) Internals.staticValue(SplittableRandom.class, "defaultGen"));
        }
        for (String name : SEED_COUNTERS) {
            addCounters(findAnywhere("jdk.random." + name));
        }
        for (String name : URANDOM_READERS) {
            Class<?> type = Internals.find(name);
            Object reader = Internals.isInitialised(type) ? Internals.staticValue(type, "INSTANCE") : null;
            if (reader != null) {
                READERS.add(reader);
            }
        }
        if (Internals.isInitialised(SHA1_SEEDER)) {
            SHA1_SEEDERS.add(Internals.staticValue(SHA1_SEEDER, "seeder"));
        }
        if (Internals.isInitialised(DRBG_SEEDER)) {
            seedDrbgFromSystem();
        }
        if (Internals.isInitialised(MATH)) {
            GENERATORS.add(Internals.staticValue(MATH, "randomNumberGenerator"));
        }
        Object shuffler = Internals.staticValue(Collections.class, "r");
        if (shuffler != null) {
            GENERATORS.add(shuffler);
        }
    }

    /** Their names differ from class to class. */
    private static void addCounters(Class<?> type) {
        if (!Internals.isInitialised(type)) {
            return;
        }
        for (Field field : type.getDeclaredFields()) {
            if (Modifier.isStatic(field.getModifiers()) && field.getType() == AtomicLong.class) {
                COUNTERS.add((AtomicLong) Internals.staticValue(type, field.getName()));
            }
        }
    }

    /** A class outside java.base that may not be there. */
    private static Class<?> findAnywhere(String name) {
        try {
            return Class.forName(name, false, ClassLoader.getPlatformClassLoader());
        } catch (ClassNotFoundException e) {
            return null;
        }
    }

    /** New DRBGs are seeded by one of their kind, whose state forks share; the system can do that as well. */
    private static void seedDrbgFromSystem() {
        try {
            java.lang.reflect.Field seeder = DRBG_SEEDER.getDeclaredField("seeder");
            UNSAFE.putObject(UNSAFE.staticFieldBase(seeder), UNSAFE.staticFieldOffset(seeder),
                    Internals.staticValue(DRBG_SEEDER, "prseeder"));
        } catch (NoSuchFieldException e) {
            throw new AssertionError(e);
        }
    }

    /** Adds the generators that user code holds. Takes its time: nobody waits. */
    static void search(FunctionClassLoader loader) {
        List<Object> found = new RandomSearch().run(loader);
        for (Object generator : found) {
            if (generator instanceof SecureRandom) {
                findReseedMethod(generator.getClass());
            }
        }
        GENERATORS.addAll(found);
    }

    private static void findReseedMethod(Class<?> type) {
        try {
            Method reseed = type.getMethod("reseed", byte[].class);
            reseed.setAccessible(true);
            RESEED_METHODS.put(type, reseed);
        } catch (NoSuchMethodException | RuntimeException e) {
            // of the usual kind, or not to be called
        }
    }

    /** Gives this process a random state of its own. */
    static void reseed() {
        int running = runningThreads();
        ByteBuffer seeds = seeds(8 * (COUNTERS.size() + 2 * running) + SEED_BYTES * (SHA1_SEEDERS.size() + GENERATORS.size()));
        for (AtomicLong counter : COUNTERS) {
            counter.set(seeds.getLong());
        }
        for (int i = 0; i < running; i++) {
            UNSAFE.putLong(threads[i], THREAD_SEED, seeds.getLong());
            UNSAFE.putInt(threads[i], THREAD_SECONDARY, (int) seeds.getLong());
            threads[i] = null;
        }
        // What was read ahead from /dev/urandom has been read for all forks.
        for (Object reader : READERS) {
            UNSAFE.putInt(reader, READER_BUFFERED, 0);
        }
        byte[] seed = new byte[SEED_BYTES];
        for (Object seeder : SHA1_SEEDERS) {
            seeds.get(seed);
            UNSAFE.putObject(seeder, SHA1_STATE, java.util.Arrays.copyOf(seed, 20));
            UNSAFE.putInt(seeder, SHA1_LEFT, 0);
        }
        for (Object generator : GENERATORS) {
            seeds.get(seed);
            reseed(generator, seed);
        }
    }

    private static void reseed(Object generator, byte[] seed) {
        if (generator instanceof SecureRandom) {
            SecureRandom secure = (SecureRandom) generator;
            // Those over /dev/urandom have no state besides the readers'.
            if (!secure.getAlgorithm().startsWith("NativePRNG")) {
                secure.setSeed(seed);
                reseedFurther(secure, seed);
            }
        } else if (generator instanceof JdkGenerator) {
            ((JdkGenerator) generator).reseed(ByteBuffer.wrap(seed).getLong());
        } else if (generator instanceof Random) {
            reseed((Random) generator, ByteBuffer.wrap(seed).getLong());
        } else {
            UNSAFE.putLong(generator, SPLITTABLE_SEED, ByteBuffer.wrap(seed).getLong());
        }
    }

    /** Those of Bouncy Castle keep a seed for later, and have a method of their own to take it now. */
    private static void reseedFurther(SecureRandom generator, byte[] seed) {
        Method reseed = RESEED_METHODS.get(generator.getClass());
        if (reseed == null) {
            return;
        }
        try {
            reseed.invoke(generator, (Object) seed);
        } catch (ReflectiveOperationException e) {
            throw new IllegalStateException(generator.getClass() + " cannot be reseeded", e);
        }
    }

    private static void reseed(Random generator, long seed) {
        try {
            generator.setSeed(seed);
        } catch (RuntimeException e) {
            // A class of the user's that does not want to be seeded: what it inherits is all that can be done.
            ((AtomicLong) UNSAFE.getObject(generator, RANDOM_SEED)).set(seed);
        }
    }

    private static int runningThreads() {
        ThreadGroup root = Thread.currentThread().getThreadGroup();
        while (root.getParent() != null) {
            root = root.getParent();
        }
        int count = root.enumerate(threads);
        while (count == threads.length) {
            threads = new Thread[threads.length * 2];
            count = root.enumerate(threads);
        }
        return count;
    }

    /** The kernel's own randomness, which is fresh in every fork. */
    private static ByteBuffer seeds(int count) {
        byte[] bytes = new byte[count];
        try (FileInputStream urandom = new FileInputStream("/dev/urandom")) {
            if (urandom.readNBytes(bytes, 0, count) < count) {
                throw new IOException("end of file");
            }
        } catch (IOException e) {
            // Without it, this process would repeat what another has given out as random.
            throw new IllegalStateException("/dev/urandom cannot be read", e);
        }
        return ByteBuffer.wrap(bytes);
    }
}
