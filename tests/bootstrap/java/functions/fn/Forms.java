package fn;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.RequestStreamHandler;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;

/** Every form that a handler can have. */
public class Forms {
    public String nothing() {
        return "nothing";
    }

    public String context(Context context) {
        return context.getFunctionName();
    }

    public int number(int event) {
        return event + 1;
    }

    public Integer boxed(Integer event, Context context) {
        return event == null ? null : event * 2;
    }

    public static String fixed(String event) {
        return "static " + event;
    }

    public void noAnswer(Object event) {}

    public List<String> list(List<String> event) {
        event.add("end");
        return event;
    }

    public void streams(InputStream in, OutputStream out) throws IOException {
        in.transferTo(out);
    }

    public void streamsAndContext(InputStream in, OutputStream out, Context context) throws IOException {
        out.write(context.getAwsRequestId().getBytes());
    }

    public void onlyOut(OutputStream out) throws IOException {
        out.write("\"out\"".getBytes());
    }

    public String onlyIn(InputStream in) throws IOException {
        return "ignored";
    }

    public String overloaded(String event) {
        return "one";
    }

    public String overloaded(String event, Context context) {
        return "two";
    }

    public String overloaded(String event, String other, String third) {
        return "never";
    }

    public String tooMany(String event, String other) {
        return "never";
    }

    String hidden(String event) {
        return "never";
    }

    public abstract static class Base<T> implements RequestHandler<T, String> {
        @Override
        public String handleRequest(T event, Context context) {
            return event.getClass().getSimpleName() + event;
        }
    }

    /** The type of the event is known two steps up. */
    public static class Derived extends Base<Map<String, Integer>> {}

    public static class Raw<T> extends Base<T> {}

    public static class Bytes implements RequestStreamHandler {
        @Override
        public void handleRequest(InputStream in, OutputStream out, Context context) throws IOException {
            byte[] event = in.readAllBytes();
            out.write(event);
            out.write(event, 0, event.length);
        }
    }

    public static class Void implements RequestHandler<String, java.lang.Void> {
        @Override
        public java.lang.Void handleRequest(String event, Context context) {
            return null;
        }
    }

    public class Inner extends Base<String> {}

    public static class NoConstructor extends Base<String> {
        public NoConstructor(int n) {}
    }

    public static class BadConstructor extends Base<String> {
        public BadConstructor() {
            throw new IllegalStateException("no way");
        }
    }

    public static class BadStatic extends Base<String> {
        static final int N = Integer.parseInt("x");
    }
}
