package dev.pilotlight.runtime;

import java.lang.reflect.Method;
import java.security.SecureRandom;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicLong;

/** Says of each source of randomness whether two forks of one process have their own. */
public final class ForkSimulation {
    private static final int ATTEMPTS = 100;

    private static final Class<?> NATIVE = Internals.find("sun.security.provider.NativePRNG");
    private static final Class<?> SHA1_SEEDER = Internals.find("sun.security.provider.SecureRandom$SeederHolder");
    private static final Class<?> MATH = Internals.find("java.lang.Math$RandomNumberGeneratorHolder");

    private static Class<?> holder;

    public static void main(String[] arguments) throws Exception {
        try {
            run(arguments[0]);
            System.exit(0);
        } catch (Throwable e) {
            e.printStackTrace();
            System.exit(1); // threads go on
        }
    }

    private static void run(String folder) throws Exception {
        ExecutorService other = Executors.newSingleThreadExecutor();
        use(other);
        FunctionClassLoader loader = functions(folder);
        Randomness.prepare();
        Randomness.search(loader);

        Object urandom = Internals.staticValue(NATIVE, "INSTANCE");
        Object seeder = Internals.staticValue(ThreadLocalRandom.class, "seeder");
        Object uniquifier = Internals.staticValue(Random.class, "seedUniquifier");
        check("Math.random", State.of(Internals.staticValue(MATH, "randomNumberGenerator")), Math::random);
        check("Collections.shuffle", State.of(Internals.staticValue(Collections.class, "r")), ForkSimulation::shuffled);
        check("ThreadLocalRandom", State.ofThread(Thread.currentThread()), () -> ThreadLocalRandom.current().nextLong());
        Thread thread = other.submit(Thread::currentThread).get();
        check("ThreadLocalRandom of another thread", State.ofThread(thread),
                () -> other.submit(() -> ThreadLocalRandom.current().nextLong()).get());
        check("ThreadLocalRandom of new threads", State.of(seeder), ((AtomicLong) seeder)::get);
        check("new Random", State.of(uniquifier), ((AtomicLong) uniquifier)::get);
        check("new SplittableRandom", State.of(Internals.staticValue(SplittableRandom.class, "defaultGen")),
                () -> new SplittableRandom().nextLong());
        checkBuffered("SecureRandom", urandom, () -> new SecureRandom().nextLong());
        checkBuffered("UUID", urandom, UUID::randomUUID);
        check("new SHA1PRNG", State.of(Internals.staticValue(SHA1_SEEDER, "seeder")),
                () -> SecureRandom.getInstance("SHA1PRNG").nextLong());
        differ("new DRBG", State.of(), () -> SecureRandom.getInstance("DRBG").nextLong());
        Object[] held = (Object[]) method("generators").invoke(null);
        Method draw = method("draw", String.class);
        for (String name : new String[] {
            "held Random", "held, unwilling", "held by a lambda", "held by a record", "held by a thread", "held SplittableRandom",
            "held SHA1PRNG", "held DRBG",
        }) {
            State state = State.of(held);
            check(name, state, () -> draw.invoke(null, name));
        }
    }

    /** Everything has been used before the process is parked. */
    private static void use(ExecutorService other) throws Exception {
        Math.random();
        shuffled();
        ThreadLocalRandom.current().nextInt();
        other.submit(() -> ThreadLocalRandom.current().nextInt()).get();
        new SplittableRandom().nextInt();
        UUID.randomUUID();
        SecureRandom.getInstance("SHA1PRNG").nextInt();
        SecureRandom.getInstance("DRBG").nextInt();
    }

    private static FunctionClassLoader functions(String folder) throws Exception {
        FunctionClassLoader loader = new FunctionClassLoader(folder, folder);
        holder = loader.loadClass("held.Holder");
        method("draw", String.class).invoke(null, "held Random");
        return loader;
    }

    private static Method method(String name, Class<?>... types) throws Exception {
        return holder.getMethod(name, types);
    }

    private static Object shuffled() {
        List<Integer> numbers = new ArrayList<>();
        for (int i = 0; i < 100; i++) {
            numbers.add(i);
        }
        Collections.shuffle(numbers);
        return numbers;
    }

    private static void check(String name, State state, Callable<Object> draw) throws Exception {
        Object first = draw.call();
        state.restore();
        if (!first.equals(draw.call())) {
            System.out.println(name + ": the state is not what the simulation takes it for");
            return;
        }
        differ(name, state, draw);
    }

    /** The JDK throws its buffer of random bytes away when it is older than 100 ms, which a busy machine makes it at any time. */
    private static void checkBuffered(String name, Object urandom, Callable<Object> draw) throws Exception {
        for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
            new SecureRandom().nextLong();
            State state = State.of(urandom);
            Object first = draw.call();
            state.restore();
            if (first.equals(draw.call())) {
                differ(name, state, draw);
                return;
            }
        }
        System.out.println(name + ": the state is not what the simulation takes it for");
    }

    private static void differ(String name, State state, Callable<Object> draw) throws Exception {
        state.restore();
        Randomness.reseed();
        Object first = draw.call();
        state.restore();
        Randomness.reseed();
        System.out.println(name + (first.equals(draw.call()) ? ": in common" : ": own"));
    }

    private ForkSimulation() {}
}
