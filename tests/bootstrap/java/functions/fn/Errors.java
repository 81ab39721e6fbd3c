package fn;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;

public class Errors implements RequestHandler<String, Object> {
    static class Bad extends RuntimeException {
        @Override
        public String getMessage() {
            throw new IllegalStateException();
        }
    }

    private int count;

    @Override
    public Object handleRequest(String event, Context context) {
        count++;
        switch (event) {
            case "count":
                return count;
            case "inner":
                return inner();
            case "cause":
                throw new RuntimeException("outer", new java.io.IOException("inner", new Error()));
            case "silent":
                throw new UnsupportedOperationException();
            case "bad":
                throw new Bad();
            case "checked":
                return sneak(new Exception("checked \u00e9"));
            case "deep":
                return deep(0);
            case "memory":
                return new long[Integer.MAX_VALUE - 8][];
            case "interrupt":
                Thread.currentThread().interrupt();
                return true;
            case "interrupted":
                return Thread.currentThread().isInterrupted();
            case "exit":
                System.out.print("half a line");
                System.exit(3);
            default:
                return event;
        }
    }

    private Object inner() {
        throw new IllegalArgumentException("no luck");
    }

    private int deep(int n) {
        return deep(n + 1) + 1;
    }

    @SuppressWarnings("unchecked")
    private static <T extends Throwable> Object sneak(Throwable e) throws T {
        throw (T) e;
    }
}
