package dev.pilotlight.runtime;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.UUID;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * Uses what most functions use, so that it is there when they do. Nothing that reads a setting which a
 * function may still change: no name service, no loggers, no TLS context.
 */
final class Prelude {
    private static boolean loaded;

    private Prelude() {}

    /** The second time is for nothing: a template that comes from a zygote has it all. */
    static void load() {
        if (loaded) {
            return;
        }
        loaded = true;
        try {
            text();
            concatenation(List.of(), "text", 1, 2, 1.5, true);
            collections();
            security();
            threads();
        } catch (Exception e) {
            throw new AssertionError(e); // all of it is the JDK's own
        }
    }

    private static void text() {
        String text = "a,b";
        String.format("%s %d %.2f %5s|%-5s %08x", text, 1, 2.5, "a", "b", 255);
        Pattern.compile("(\\w+)@(\\w+)\\.com", Pattern.CASE_INSENSITIVE).matcher("me@here.com").matches();
        text.split(",");
        text.replaceAll("a+", "b");
        String.join(",", List.of("a", "b"));
        Instant.now().toString();
        DateTimeFormatter.ISO_OFFSET_DATE_TIME.format(Instant.now().atOffset(ZoneOffset.UTC));
    }

    /**
     * As in user code: this class alone is compiled with the compiler's usual way of joining texts, whose
     * first use in a process takes long.
     */
    private static int concatenation(Object object, String text, int number, long large, double fraction, boolean is) {
        String[] joined = {
            "a" + object, "a" + text, "a" + number, "a" + large, "a" + fraction, "a" + is, object + "b", text + "b",
            number + "b", "a" + object + "b", "a" + text + "b", "a" + number + "b", "a" + large + "b", text + text,
            text + number, text + object, "a" + text + "b" + text, "a" + text + "b" + number, "a" + number + "b" + text,
            "a" + object + "b" + object, "a" + text + "b" + object, "a" + number + "b" + number,
            "a" + text + "b" + text + "c", "a" + object + "b" + object + "c", "a" + text + "b" + text + "c" + text,
        };
        return joined.length;
    }

    private static void collections() {
        List<Integer> numbers = new ArrayList<>(Arrays.asList(3, 1, 2));
        numbers.stream().filter(n -> n > 1).map(n -> "n" + n).sorted().collect(Collectors.toList());
        numbers.stream().mapToInt(Integer::intValue).sum();
        numbers.stream().collect(Collectors.groupingBy(n -> n % 2, Collectors.counting()));
        numbers.sort((a, b) -> b - a);
        numbers.forEach(n -> { });
        // Small ones are of classes of their own.
        List.of(Map.of("a", 1), Map.of("a", 1, "b", 2), Set.of("a"), Set.of("a", "b", "c"), List.of("a"), Optional.of("a"))
                .toString();
        new TreeMap<>(Map.of("a", 1)).forEach((name, n) -> { });
    }

    private static void security() throws Exception {
        MessageDigest.getInstance("SHA-256").digest("a".getBytes(StandardCharsets.UTF_8));
        new SecureRandom().nextInt();
        UUID.randomUUID().toString();
        Math.random();
    }

    private static void threads() throws Exception {
        ExecutorService pool = Executors.newFixedThreadPool(1);
        pool.submit(() -> { }).get();
        pool.shutdown();
        pool.awaitTermination(1, java.util.concurrent.TimeUnit.MINUTES);
    }
}
