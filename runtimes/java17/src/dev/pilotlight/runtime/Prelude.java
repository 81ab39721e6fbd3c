package dev.pilotlight.runtime;

import java.lang.invoke.MethodHandles;
import java.lang.invoke.MethodType;
import java.lang.invoke.StringConcatFactory;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.SecureRandom;
import java.time.Instant;
import java.time.ZoneOffset;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
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
    private Prelude() {}

    static void load() {
        try {
            text();
            concatenation();
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

    /** `"text" + value`, as the compiler has it in user code; in ours it takes the way without this machinery. */
    private static void concatenation() throws Exception {
        Class<?>[][] shapes = {
            {String.class}, {int.class}, {Object.class}, {long.class}, {String.class, String.class},
            {String.class, int.class}, {int.class, String.class}, {String.class, Object.class},
            {Object.class, Object.class}, {String.class, String.class, String.class}, {double.class},
        };
        for (Class<?>[] shape : shapes) {
            MethodType type = MethodType.methodType(String.class, shape);
            StringConcatFactory.makeConcatWithConstants(
                    MethodHandles.lookup(), "makeConcatWithConstants", type, "a" + "\1".repeat(shape.length));
        }
    }

    private static void collections() {
        List<Integer> numbers = new ArrayList<>(Arrays.asList(3, 1, 2));
        numbers.stream().filter(n -> n > 1).map(n -> "n" + n).sorted().collect(Collectors.toList());
        numbers.stream().mapToInt(Integer::intValue).sum();
        numbers.stream().collect(Collectors.groupingBy(n -> n % 2, Collectors.counting()));
        numbers.sort((a, b) -> b - a);
        numbers.forEach(n -> { });
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
