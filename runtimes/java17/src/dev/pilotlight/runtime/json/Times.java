package dev.pilotlight.runtime.json;

import java.math.BigDecimal;
import java.time.Duration;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.LocalTime;
import java.time.OffsetDateTime;
import java.time.Year;
import java.time.ZoneId;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;

/** `java.time` in JSON as Jackson's own module has it by default: moments are seconds, dates are arrays. */
final class Times {
    private Times() {}

    static Object toJson(Object time) {
        if (time instanceof ZonedDateTime) {
            return toJson(((ZonedDateTime) time).toInstant());
        }
        if (time instanceof OffsetDateTime) {
            return toJson(((OffsetDateTime) time).toInstant());
        }
        if (time instanceof Instant) {
            return seconds(((Instant) time).getEpochSecond(), ((Instant) time).getNano());
        }
        if (time instanceof Duration) {
            return seconds(((Duration) time).getSeconds(), ((Duration) time).getNano());
        }
        List<Object> parts = new ArrayList<>();
        if (time instanceof LocalDateTime) {
            add(parts, ((LocalDateTime) time).toLocalDate());
            add(parts, ((LocalDateTime) time).toLocalTime());
        } else if (time instanceof LocalDate) {
            add(parts, (LocalDate) time);
        } else if (time instanceof LocalTime) {
            add(parts, (LocalTime) time);
        } else {
            return time instanceof Year ? ((Year) time).getValue() : time.toString();
        }
        return parts;
    }

    private static BigDecimal seconds(long seconds, int nanos) {
        return BigDecimal.valueOf(seconds).add(BigDecimal.valueOf(nanos, 9));
    }

    private static void add(List<Object> parts, LocalDate date) {
        parts.add(date.getYear());
        parts.add(date.getMonthValue());
        parts.add(date.getDayOfMonth());
    }

    private static void add(List<Object> parts, LocalTime time) {
        parts.add(time.getHour());
        parts.add(time.getMinute());
        if (time.getSecond() > 0 || time.getNano() > 0) {
            parts.add(time.getSecond());
        }
        if (time.getNano() > 0) {
            parts.add(time.getNano());
        }
    }

    /** A `java.time` value from a number or an array; null where JSON has neither. Text is parsed by the class itself. */
    static Object fromJson(Object json, Class<?> type) {
        if (json instanceof Number) {
            return moment(new BigDecimal(json.toString()), type);
        }
        if (!(json instanceof List)) {
            return null;
        }
        int[] parts = new int[7];
        int count = 0;
        for (Object part : (List<?>) json) {
            if (count == parts.length || !(part instanceof Number)) {
                return null;
            }
            parts[count++] = ((Number) part).intValue();
        }
        if (type == LocalDate.class && count == 3) {
            return LocalDate.of(parts[0], parts[1], parts[2]);
        }
        if (type == LocalTime.class) {
            return LocalTime.of(parts[0], parts[1], parts[2], parts[3]);
        }
        if (type == LocalDateTime.class && count >= 5) {
            return LocalDateTime.of(parts[0], parts[1], parts[2], parts[3], parts[4], parts[5], parts[6]);
        }
        return null;
    }

    private static Object moment(BigDecimal number, Class<?> type) {
        long seconds = number.longValue();
        int nanos = number.subtract(BigDecimal.valueOf(seconds)).movePointRight(9).intValue();
        if (type == Duration.class) {
            return Duration.ofSeconds(seconds, nanos);
        }
        if (type == Year.class) {
            return Year.of((int) seconds);
        }
        Instant instant = Instant.ofEpochSecond(seconds, nanos);
        if (type == OffsetDateTime.class) {
            return instant.atOffset(ZoneOffset.UTC);
        }
        if (type == ZonedDateTime.class) {
            return instant.atZone(ZoneId.of("UTC"));
        }
        return type == Instant.class ? instant : null;
    }

    /** Milliseconds, or any of the forms of ISO 8601. */
    static Date date(Object json) {
        if (json instanceof Number) {
            // Streams of AWS give seconds with a fraction.
            boolean seconds = json instanceof BigDecimal;
            return new Date(seconds ? ((BigDecimal) json).movePointRight(3).longValue() : ((Number) json).longValue());
        }
        String text = json.toString();
        if (text.indexOf('T') < 0) {
            return Date.from(LocalDate.parse(text).atStartOfDay(ZoneOffset.UTC).toInstant());
        }
        boolean zoned = text.endsWith("Z") || text.lastIndexOf('+') > 10 || text.lastIndexOf('-') > 10;
        if (!zoned) {
            return Date.from(LocalDateTime.parse(text).toInstant(ZoneOffset.UTC));
        }
        // `+0000`, as Jackson writes it, has no colon.
        if (text.length() > 5 && text.charAt(text.length() - 3) != ':' && !text.endsWith("Z")) {
            text = text.substring(0, text.length() - 2) + ':' + text.substring(text.length() - 2);
        }
        return Date.from(OffsetDateTime.parse(text).toInstant());
    }
}
