package held;

import java.security.SecureRandom;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/** User code that keeps generators in many places. */
public class Holder {
    record Pair(String name, Random random) {}

    /** Does not let itself be seeded once it is made. */
    static class Unwilling extends Random {
        private final boolean made;

        Unwilling() {
            made = true;
        }

        @Override
        public synchronized void setSeed(long seed) {
            if (made) {
                throw new UnsupportedOperationException();
            }
            super.setSeed(seed);
        }
    }

    static final Random RANDOM = new Random(42);
    static final Random UNWILLING = new Unwilling();
    static final Map<String, Supplier<Long>> BY_LAMBDA = Map.of("key", captured(new Random()));
    static final List<Pair> BY_RECORD = List.of(new Pair("a", new Random()));
    static final SplittableRandom SPLITTABLE = new SplittableRandom();
    static final SecureRandom SHA1 = secure("SHA1PRNG");
    static final SecureRandom DRBG = secure("DRBG");
    /** Held by a local variable's object of a thread alone. */
    public static final Object THREAD_DRAW = thread();

    private static Supplier<Long> captured(Random random) {
        return () -> random.nextLong();
    }

    private static SecureRandom secure(String algorithm) {
        try {
            SecureRandom random = SecureRandom.getInstance(algorithm);
            random.nextLong();
            return random;
        } catch (java.security.NoSuchAlgorithmException e) {
            throw new AssertionError(e);
        }
    }

    private static Supplier<Long> thread() {
        Random random = new Random();
        Thread thread = new Thread(new Runnable() {
            private final Random mine = random;

            @Override
            public void run() {
                try {
                    Thread.sleep(1_000_000);
                } catch (InterruptedException e) {
                    mine.nextInt();
                }
            }
        });
        thread.setDaemon(true);
        thread.start();
        return random::nextLong;
    }

    public static Object[] generators() {
        return new Object[] {RANDOM, UNWILLING, BY_LAMBDA, BY_RECORD, SPLITTABLE, SHA1, DRBG, THREAD_DRAW};
    }

    public static Object draw(String which) {
        switch (which) {
            case "held Random":
                return RANDOM.nextLong();
            case "held, unwilling":
                return UNWILLING.nextLong();
            case "held by a lambda":
                return BY_LAMBDA.get("key").get();
            case "held by a record":
                return BY_RECORD.get(0).random().nextLong();
            case "held SplittableRandom":
                return SPLITTABLE.nextLong();
            case "held SHA1PRNG":
                return SHA1.nextLong();
            case "held DRBG":
                return DRBG.nextLong();
            default:
                return ((Supplier<?>) THREAD_DRAW).get();
        }
    }
}
