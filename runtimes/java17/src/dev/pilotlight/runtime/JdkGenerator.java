package dev.pilotlight.runtime;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import java.util.random.RandomGenerator;
import sun.misc.Unsafe;

/**
 * A generator of the module jdk.random that user code holds. Its state are fields of its own: numbers, or an array of
 * them. Those whose name begins with `a` are the parameter that tells generators of a kind apart (JEP 356), and `p` is a
 * place in the array: they stay.
 */
final class JdkGenerator {
    private static final Unsafe UNSAFE = Internals.UNSAFE;
    private static final String PACKAGE = "jdk.random.";

    private final Object generator;
    private final List<Long> longs = new ArrayList<>();
    private final List<Long> ints = new ArrayList<>();
    private final List<long[]> arrays = new ArrayList<>();

    @SuppressWarnings("deprecation") // `objectFieldOffset` refuses records and hidden classes, which these are not
    JdkGenerator(Object generator) {
        this.generator = generator;
        for (Field field : generator.getClass().getDeclaredFields()) {
            boolean stays = field.getName().startsWith("a") || field.getName().equals("p");
            if (!Modifier.isStatic(field.getModifiers()) && !stays) {
                add(field.getType(), UNSAFE.objectFieldOffset(field));
            }
        }
    }

    static boolean is(Object object) {
        return object instanceof RandomGenerator && object.getClass().getName().startsWith(PACKAGE);
    }

    private void add(Class<?> type, long offset) {
        if (type == long.class) {
            longs.add(offset);
        } else if (type == int.class) {
            ints.add(offset);
        } else if (type == long[].class) {
            arrays.add((long[]) UNSAFE.getObject(generator, offset));
        }
    }

    void reseed(long seed) {
        SplittableRandom random = new SplittableRandom(seed);
        for (long offset : longs) {
            UNSAFE.putLong(generator, offset, random.nextLong());
        }
        for (long offset : ints) {
            UNSAFE.putInt(generator, offset, random.nextInt());
        }
        for (long[] array : arrays) {
            for (int i = 0; i < array.length; i++) {
                array[i] = random.nextLong();
            }
        }
    }
}
