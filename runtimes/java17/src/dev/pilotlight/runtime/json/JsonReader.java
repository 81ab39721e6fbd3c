package dev.pilotlight.runtime.json;

import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * From UTF-8 to maps, lists, strings, numbers, booleans and null. Whole numbers come as the smallest of
 * Integer, Long and BigInteger, as Jackson has them; others as BigDecimal, from which {@link Binder} makes
 * whatever is wanted.
 */
public final class JsonReader {
    /** Deeper values are refused, before the stack is at its end. */
    static final int MAX_DEPTH = 1000;
    /** Longer numbers are refused: to convert one takes time that grows with the square of its length. */
    private static final int MAX_DIGITS = 1000;

    private final byte[] text;
    private final int start;
    private final int end;
    private int at;
    private int depth;

    private JsonReader(byte[] text, int offset, int length) {
        this.text = text;
        this.start = offset;
        this.at = offset;
        this.end = offset + length;
    }

    public static Object read(byte[] text, int offset, int length) {
        JsonReader reader = new JsonReader(text, offset, length);
        Object value = reader.value();
        if (reader.skipSpace()) {
            throw reader.wrong("Unexpected character after the value");
        }
        return value;
    }

    public static Object read(byte[] text) {
        return read(text, 0, text.length);
    }

    private Object value() {
        if (!skipSpace()) {
            throw wrong("Unexpected end of input");
        }
        byte c = text[at];
        switch (c) {
            case '{':
                return object();
            case '[':
                return array();
            case '"':
                return string();
            case 't':
                return word("true", Boolean.TRUE);
            case 'f':
                return word("false", Boolean.FALSE);
            case 'n':
                return word("null", null);
            case 'N':
                return word("NaN", Double.NaN);
            default:
                return number();
        }
    }

    private Map<String, Object> object() {
        descend();
        Map<String, Object> members = new LinkedHashMap<>();
        if (!next('}')) {
            do {
                if (!skipSpace() || text[at] != '"') {
                    throw wrong("Expected a name in double quotes");
                }
                String name = string();
                expect(':');
                members.put(name, value());
            } while (more('}'));
        }
        depth--;
        return members;
    }

    private List<Object> array() {
        descend();
        List<Object> items = new ArrayList<>();
        if (!next(']')) {
            do {
                items.add(value());
            } while (more(']'));
        }
        depth--;
        return items;
    }

    private void descend() {
        at++;
        if (++depth > MAX_DEPTH) {
            throw wrong("Deeper than " + MAX_DEPTH + " levels");
        }
    }

    /** Whether a comma follows, and not the closing bracket. */
    private boolean more(char close) {
        if (next(',')) {
            return true;
        }
        expect(close);
        return false;
    }

    private boolean next(char c) {
        if (skipSpace() && text[at] == c) {
            at++;
            return true;
        }
        return false;
    }

    private void expect(char c) {
        if (!next(c)) {
            throw wrong("Expected '" + c + "'");
        }
    }

    /** Whether anything but white space is left. */
    private boolean skipSpace() {
        while (at < end) {
            byte c = text[at];
            if (c != ' ' && c != '\n' && c != '\r' && c != '\t') {
                return true;
            }
            at++;
        }
        return false;
    }

    private Object word(String word, Object value) {
        for (int i = 0; i < word.length(); i++) {
            if (at + i >= end || text[at + i] != word.charAt(i)) {
                throw wrong("Unexpected character");
            }
        }
        at += word.length();
        return value;
    }

    private String string() {
        int start = ++at;
        boolean ascii = true;
        while (at < end) {
            byte c = text[at];
            if (c == '"') {
                return plain(start, at++, ascii);
            }
            if (c == '\\') {
                return escaped(start);
            }
            ascii &= c >= 0;
            at++;
        }
        throw wrong("Unexpected end of input in a string");
    }

    private String plain(int from, int to, boolean ascii) {
        return new String(text, from, to - from, ascii ? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8);
    }

    private String escaped(int start) {
        StringBuilder out = new StringBuilder();
        int from = start;
        while (at < end) {
            byte c = text[at];
            if (c == '"') {
                return out.append(plain(from, at++, false)).toString();
            }
            if (c == '\\') {
                out.append(plain(from, at, false)).append(escape());
                from = at;
            } else {
                at++;
            }
        }
        throw wrong("Unexpected end of input in a string");
    }

    private char escape() {
        if (++at >= end) {
            throw wrong("Unexpected end of input in a string");
        }
        byte c = text[at++];
        switch (c) {
            case 'b':
                return '\b';
            case 'f':
                return '\f';
            case 'n':
                return '\n';
            case 'r':
                return '\r';
            case 't':
                return '\t';
            case 'u':
                return unicode();
            case '"':
            case '\\':
            case '/':
                return (char) c;
            default:
                at--;
                throw wrong("Unknown escape");
        }
    }

    private char unicode() {
        int code = 0;
        for (int i = 0; i < 4; i++) {
            int digit = at < end ? Character.digit(text[at], 16) : -1;
            if (digit < 0) {
                throw wrong("Expected four hexadecimal digits");
            }
            code = code << 4 | digit;
            at++;
        }
        return (char) code;
    }

    private Number number() {
        int start = at;
        if (text[at] == '-') {
            at++;
        }
        if (at < end && text[at] == 'I') {
            return (Number) word("Infinity", text[start] == '-' ? Double.NEGATIVE_INFINITY : Double.POSITIVE_INFINITY);
        }
        digits();
        boolean whole = true;
        if (at < end && text[at] == '.') {
            whole = false;
            at++;
            digits();
        }
        if (at < end && (text[at] | 0x20) == 'e') {
            whole = false;
            at++;
            if (at < end && (text[at] == '+' || text[at] == '-')) {
                at++;
            }
            digits();
        }
        return whole ? whole(start) : decimal(start);
    }

    private void digits() {
        int start = at;
        while (at < end && text[at] >= '0' && text[at] <= '9') {
            at++;
        }
        if (at == start) {
            throw wrong(at < end ? "Unexpected character" : "Unexpected end of input");
        }
        if (at - start > MAX_DIGITS) {
            throw wrong("Number with more than " + MAX_DIGITS + " digits");
        }
    }

    private Number whole(int start) {
        // Nineteen digits may be too many for a long; eighteen are not.
        if (at - start > 18) {
            BigInteger value = new BigInteger(plain(start, at, true));
            if (value.bitLength() > 63) {
                return value;
            }
            return value.longValue();
        }
        boolean negative = text[start] == '-';
        long value = 0;
        for (int i = negative ? start + 1 : start; i < at; i++) {
            value = value * 10 + (text[i] - '0');
        }
        value = negative ? -value : value;
        if (value == (int) value) {
            return (int) value;
        }
        return value;
    }

    private Number decimal(int start) {
        try {
            return new BigDecimal(plain(start, at, true));
        } catch (ArithmeticException | NumberFormatException e) {
            throw wrong("Number out of range");
        }
    }

    private JsonException wrong(String what) {
        String found = at < end ? ": 0x" + Integer.toHexString(text[at] & 0xff) : "";
        return new JsonException(what + " at byte " + (at - start) + found);
    }
}
