package fn;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.math.BigDecimal;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.UUID;

/** Events and answers of many types. */
public class Shapes {
    public enum Colour {
        RED,
        GREEN
    }

    public record Point(int x, double y, String name) {}

    public static class Order {
        private String id;
        private long amount;
        private boolean paid;
        private List<Line> lines = new ArrayList<>();
        private Map<String, Line> byName;
        private String secret = "private";
        public Colour colour;
        public transient String passing = "passing";

        public String getId() {
            return id;
        }

        public void setId(String id) {
            this.id = id;
        }

        public long getAmount() {
            return amount;
        }

        public void setAmount(long amount) {
            this.amount = amount;
        }

        public boolean isPaid() {
            return paid;
        }

        public void setPaid(boolean paid) {
            this.paid = paid;
        }

        public List<Line> getLines() {
            return lines;
        }

        public void setLines(List<Line> lines) {
            this.lines = lines;
        }

        public Map<String, Line> getByName() {
            return byName;
        }

        public void setByName(Map<String, Line> byName) {
            this.byName = byName;
        }

        public String getURL() {
            return "u:" + id;
        }
    }

    public static class Line {
        public String name;
        public BigDecimal price;
        public Point at;
    }

    public Order order(Order event) {
        return event;
    }

    public Point point(Point event) {
        return event;
    }

    /** As AWS's own events are: no setters, and a constructor that takes the fields. */
    public static class Fixed {
        private final List<Line> records;
        private final String source;

        public Fixed(List<Line> records, String source) {
            this.records = records;
            this.source = source;
        }

        public List<Line> getRecords() {
            return records;
        }

        public String getSource() {
            return source;
        }
    }

    /** Has a constructor without arguments as well, and still nothing can be set. */
    public static class FixedToo extends Fixed {
        public FixedToo() {
            this(new ArrayList<>(), null);
        }

        public FixedToo(List<Line> records, String source) {
            super(records, source);
        }
    }

    public Fixed fixed(Fixed event) {
        return event;
    }

    public Fixed fixedToo(FixedToo event) {
        return event;
    }

    public static class Box<T> {
        public T value;
        public List<T> more;
    }

    public String generic(Box<Line> event) {
        return event.value.name + event.more.get(0).name;
    }

    public static class Kinds {
        public byte b;
        public short s;
        public int i;
        public long l;
        public float f;
        public double d;
        public char c;
        public boolean z;
        public Integer boxed;
        public BigInteger big;
        public Number number;
        public byte[] bytes;
        public int[] ints;
        public String[][] texts;
        public Set<Colour> colours;
        public Map<Colour, Integer> counts;
        public Map<Integer, String> names;
        public Optional<String> maybe;
        public UUID uuid;
        public Date date;
        public Instant instant;
        public LocalDate day;
        public LocalDateTime moment;
        public ByteBuffer buffer;
        public StringBuilder builder;
        public Object any;
    }

    public Kinds kinds(Kinds event) {
        return event;
    }

    public static class Odd implements RequestHandler<String, Object> {
        @Override
        public Object handleRequest(String event, Context context) {
            switch (event) {
                case "nan":
                    return List.of(Double.NaN, Float.POSITIVE_INFINITY);
                case "text":
                    return "\u0000\t\n\"\\/\u00e9\u4e2d\ud83d\udd25\ud83d";
                case "circle":
                    List<Object> circle = new ArrayList<>();
                    circle.add(circle);
                    return circle;
                case "empty":
                    return new Object();
                case "getter":
                    return new Object() {
                        public String getBad() {
                            throw new IllegalStateException("bad getter");
                        }
                    };
                case "chars":
                    return List.of('x', new char[] {'a', 'b'}, new StringBuilder("sb"), Colour.RED, new int[] {1, 2});
                case "times":
                    return List.of(Instant.ofEpochSecond(1, 5), LocalDate.of(2026, 1, 2), LocalDateTime.of(2026, 1, 2, 3, 4, 5));
                case "private":
                    return new Hidden();
                default:
                    return null;
            }
        }
    }

    /** Its class cannot be seen; its getter can. */
    private static class Hidden {
        public int getN() {
            return 7;
        }
    }
}
