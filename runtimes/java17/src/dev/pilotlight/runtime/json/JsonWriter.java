package dev.pilotlight.runtime.json;

import java.lang.reflect.Array;
import java.math.BigDecimal;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.Calendar;
import java.util.Date;
import java.util.Iterator;
import java.util.Map;
import java.util.Optional;

/** From objects to UTF-8, as AWS's runtime does: a bean's nulls are left out, bytes are Base64. */
public final class JsonWriter {
    private static final byte[] HEX = "0123456789abcdef".getBytes(StandardCharsets.ISO_8859_1);

    private final Output out;
    private int depth;

    private JsonWriter(Output out) {
        this.out = out;
    }

    public static void write(Object value, Output out) {
        new JsonWriter(out).value(value);
    }

    private void value(Object value) {
        if (value == null) {
            out.latin("null");
        } else if (value instanceof CharSequence) {
            string(value.toString());
        } else if (value instanceof Number) {
            number((Number) value);
        } else if (value instanceof Boolean) {
            out.latin(value.toString());
        } else if (value instanceof Map) {
            map((Map<?, ?>) value);
        } else if (value instanceof Iterable && !(value instanceof java.nio.file.Path)) {
            items(((Iterable<?>) value).iterator());
        } else if (value.getClass().isArray()) {
            array(value);
        } else {
            other(value);
        }
    }

    private void number(Number value) {
        if (value instanceof Double || value instanceof Float) {
            double number = value.doubleValue();
            boolean finite = !Double.isNaN(number) && !Double.isInfinite(number);
            out.latin(finite ? value.toString() : '"' + value.toString() + '"');
        } else if (value instanceof BigDecimal || value.getClass().getName().startsWith("java.")) {
            out.latin(value.toString());
        } else {
            bean(value);
        }
    }

    private void map(Map<?, ?> map) {
        descend();
        out.write('{');
        boolean first = true;
        for (Map.Entry<?, ?> entry : map.entrySet()) {
            if (entry.getKey() == null) {
                throw new JsonException("Null key for a Map not allowed in JSON");
            }
            first = name(String.valueOf(entry.getKey()), first);
            value(entry.getValue());
        }
        out.write('}');
        depth--;
    }

    private void items(Iterator<?> items) {
        descend();
        out.write('[');
        for (boolean first = true; items.hasNext(); first = false) {
            if (!first) {
                out.write(',');
            }
            value(items.next());
        }
        out.write(']');
        depth--;
    }

    private void array(Object array) {
        if (array instanceof byte[]) {
            base64((byte[]) array);
        } else if (array instanceof char[]) {
            string(new String((char[]) array));
        } else {
            descend();
            out.write('[');
            int length = Array.getLength(array);
            for (int i = 0; i < length; i++) {
                if (i > 0) {
                    out.write(',');
                }
                value(Array.get(array, i));
            }
            out.write(']');
            depth--;
        }
    }

    private void other(Object value) {
        if (value instanceof Enum) {
            string(((Enum<?>) value).name());
        } else if (value instanceof Character) {
            string(value.toString());
        } else if (value instanceof Optional) {
            value(((Optional<?>) value).orElse(null));
        } else if (value instanceof Date) {
            out.latin(Long.toString(((Date) value).getTime()));
        } else if (value instanceof Calendar) {
            out.latin(Long.toString(((Calendar) value).getTimeInMillis()));
        } else if (value instanceof ByteBuffer) {
            ByteBuffer copy = ((ByteBuffer) value).duplicate();
            byte[] bytes = new byte[copy.remaining()];
            copy.get(bytes);
            base64(bytes);
        } else if (value instanceof java.time.temporal.TemporalAccessor || value instanceof java.time.temporal.TemporalAmount) {
            value(Times.toJson(value));
        } else if (isText(value.getClass())) {
            string(value instanceof Class ? ((Class<?>) value).getName() : value.toString());
        } else {
            bean(value);
        }
    }

    /** Classes whose `toString` is their value. */
    private static boolean isText(Class<?> type) {
        String name = type.getName();
        return name.startsWith("java.util.concurrent.atomic.Atomic")
                || type == java.util.UUID.class
                || type == java.util.Locale.class
                || type == java.util.Currency.class
                || type == Class.class
                || java.util.TimeZone.class.isAssignableFrom(type)
                || java.nio.file.Path.class.isAssignableFrom(type)
                || type == java.io.File.class
                || name.startsWith("java.net.")
                || name.equals("org.joda.time.DateTime");
    }

    private void bean(Object bean) {
        descend();
        out.write('{');
        boolean first = true;
        for (Bean.Property property : Bean.of(bean.getClass()).properties()) {
            if (!property.readable()) {
                continue;
            }
            Object value = property.get(bean);
            if (value != null) {
                first = name(property.name, first);
                value(value);
            }
        }
        out.write('}');
        depth--;
    }

    private boolean name(String name, boolean first) {
        if (!first) {
            out.write(',');
        }
        string(name);
        out.write(':');
        return false;
    }

    private void descend() {
        if (++depth > JsonReader.MAX_DEPTH) {
            throw new JsonException("Deeper than " + JsonReader.MAX_DEPTH + " levels; does a value contain itself?");
        }
    }

    private void base64(byte[] bytes) {
        out.write('"');
        out.write(Base64.getEncoder().encode(bytes));
        out.write('"');
    }

    private void string(String text) {
        out.write('"');
        int length = text.length();
        int plain = 0;
        while (plain < length && isPlain(text.charAt(plain))) {
            plain++;
        }
        if (plain == length) {
            out.latin(text);
        } else {
            escaped(text);
        }
        out.write('"');
    }

    private static boolean isPlain(char c) {
        return c >= ' ' && c < 0x7f && c != '"' && c != '\\';
    }

    private void escaped(String text) {
        int length = text.length();
        for (int i = 0; i < length; i++) {
            char c = text.charAt(i);
            if (c < 0x80) {
                ascii(c);
            } else {
                i += beyondAscii(text, i, c);
            }
        }
    }

    private void ascii(char c) {
        if (isPlain(c) || c == 0x7f) {
            out.write(c);
            return;
        }
        out.write('\\');
        int at = "\"\\\n\r\t\b\f".indexOf(c);
        if (at >= 0) {
            out.write("\"\\nrtbf".charAt(at));
        } else {
            out.latin("u00");
            out.write(HEX[c >> 4]);
            out.write(HEX[c & 15]);
        }
    }

    /** Writes a character as UTF-8; says how many more `char`s it took. Half a pair becomes `?`. */
    private int beyondAscii(String text, int i, char c) {
        if (c < 0x800) {
            out.write(0xc0 | c >> 6);
        } else if (!Character.isSurrogate(c)) {
            out.write(0xe0 | c >> 12);
            out.write(0x80 | c >> 6 & 0x3f);
        } else if (Character.isHighSurrogate(c) && i + 1 < text.length() && Character.isLowSurrogate(text.charAt(i + 1))) {
            int code = Character.toCodePoint(c, text.charAt(i + 1));
            out.write(0xf0 | code >> 18);
            out.write(0x80 | code >> 12 & 0x3f);
            out.write(0x80 | code >> 6 & 0x3f);
            out.write(0x80 | code & 0x3f);
            return 1;
        } else {
            out.write('?');
            return 0;
        }
        out.write(0x80 | c & 0x3f);
        return 0;
    }
}
