package fn;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.Arrays;
import java.util.List;

/** Tells how often it was called, and what it was told. */
public class Counted implements RequestHandler<Object, List<Object>> {
    private int calls;

    @Override
    public List<Object> handleRequest(Object event, Context context) {
        calls++;
        String trace = System.getProperty("com.amazonaws.xray.traceHeader");
        return Arrays.asList(calls, trace, context.getAwsRequestId(), context.getLogStreamName());
    }
}
