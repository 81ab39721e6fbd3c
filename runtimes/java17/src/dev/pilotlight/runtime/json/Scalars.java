package dev.pilotlight.runtime.json;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.util.Map;

/** Text, numbers, booleans and enums; text counts as the number that it spells, and a number as text. */
final class Scalars {
    private static final Map<Class<?>, Class<?>> BOXES = Map.of(
            int.class, Integer.class,
            long.class, Long.class,
            double.class, Double.class,
            boolean.class, Boolean.class,
            float.class, Float.class,
            short.class, Short.class,
            byte.class, Byte.class,
            char.class, Character.class);

    private Scalars() {}

    static boolean isScalar(Class<?> type) {
        return type.isPrimitive()
                || type == String.class
                || type == Boolean.class
                || type == Character.class
                || type == CharSequence.class
                || type.isEnum()
                || type == Number.class
                || type.getSuperclass() == Number.class && type.getName().startsWith("java.") && !type.getName().contains("Atomic");
    }

    /** What stands for null. */
    static Object absent(Class<?> type) {
        if (!type.isPrimitive() || type == void.class) {
            return null;
        }
        return type == boolean.class ? Boolean.FALSE : type == char.class ? (Object) '\0' : number(0, BOXES.get(type));
    }

    static Object convert(Object json, Class<?> type) {
        Class<?> box = type.isPrimitive() ? BOXES.get(type) : type;
        if (json instanceof Map || json instanceof java.util.List || box == null) {
            throw Binder.mismatch(json, type);
        }
        if (box == String.class || box == CharSequence.class) {
            return json.toString();
        }
        if (box.isEnum()) {
            return enumeration(json, box);
        }
        if (json.equals("")) {
            return absent(type);
        }
        if (box == Boolean.class) {
            return bool(json);
        }
        if (box == Character.class) {
            String text = json.toString();
            if (json instanceof Number) {
                return (char) ((Number) json).intValue();
            }
            if (text.length() != 1) {
                throw Binder.mismatch(json, type);
            }
            return text.charAt(0);
        }
        return number(json instanceof String ? parsed((String) json, type) : json, box);
    }

    private static Object enumeration(Object json, Class<?> type) {
        Object[] constants = type.getEnumConstants();
        if (json instanceof Number) {
            int at = ((Number) json).intValue();
            return at >= 0 && at < constants.length ? constants[at] : null;
        }
        for (Object constant : constants) {
            if (((Enum<?>) constant).name().equals(json.toString().trim())) {
                return constant;
            }
        }
        return null;
    }

    private static Boolean bool(Object json) {
        if (json instanceof Boolean) {
            return (Boolean) json;
        }
        if (json instanceof Number) {
            return ((Number) json).doubleValue() != 0;
        }
        String text = json.toString().trim();
        if (text.equalsIgnoreCase("true") || text.equalsIgnoreCase("false")) {
            return text.equalsIgnoreCase("true");
        }
        throw Binder.mismatch(json, Boolean.class);
    }

    private static Number parsed(String text, Class<?> type) {
        try {
            String trimmed = text.trim();
            if (trimmed.equals("NaN") || trimmed.endsWith("Infinity")) {
                return Double.valueOf(trimmed);
            }
            return new BigDecimal(trimmed);
        } catch (NumberFormatException e) {
            throw Binder.mismatch(text, type);
        }
    }

    private static Object number(Object json, Class<?> box) {
        if (box.isInstance(json)) {
            return box == Number.class && json instanceof BigDecimal ? (Object) ((Number) json).doubleValue() : json;
        }
        if (!(json instanceof Number)) {
            throw Binder.mismatch(json, box);
        }
        Number number = (Number) json;
        if (box == Double.class) {
            return number.doubleValue();
        }
        if (box == Float.class) {
            return number.floatValue();
        }
        if (number instanceof Double) {
            throw Binder.mismatch(json, box); // not a number, or infinite: all others are read as decimals
        }
        BigDecimal exact = number instanceof BigDecimal ? (BigDecimal) number : new BigDecimal(number.toString());
        if (box == BigDecimal.class) {
            return exact;
        }
        if (exact.precision() - (long) exact.scale() > 2000) {
            throw new JsonException("Number out of range");
        }
        BigInteger whole = exact.toBigInteger();
        if (box == BigInteger.class) {
            return whole;
        }
        return fitting(whole, box);
    }

    private static Object fitting(BigInteger whole, Class<?> box) {
        int bits = box == Long.class ? 63 : box == Integer.class ? 31 : box == Short.class ? 15 : 7;
        if (whole.bitLength() > bits) {
            throw new JsonException("Number " + whole + " out of range of " + box.getSimpleName().toLowerCase());
        }
        switch (bits) {
            case 63:
                return whole.longValue();
            case 31:
                return whole.intValue();
            case 15:
                return whole.shortValue();
            default:
                return whole.byteValue();
        }
    }
}
