package fn;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Tells what it was warmed up with: how often, the first event, its request id, and whether there was time. */
public class Warmed implements RequestHandler<Object, List<Object>> {
    private final List<Object> first = new ArrayList<>();
    private int calls;

    @Override
    public List<Object> handleRequest(Object event, Context context) {
        if (isWarmUp(context)) {
            calls++;
            if (calls == 1) {
                first.add(event);
                first.add(context.getAwsRequestId());
                first.add(context.getRemainingTimeInMillis() > 5000);
            }
            if ("fails".equals(event)) {
                throw new IllegalStateException("no");
            }
        }
        return List.of(calls, first, context.getAwsRequestId());
    }

    private static boolean isWarmUp(Context context) {
        return context.getClientContext() != null
                && Map.of("pilotlight-warm-up", "true").equals(context.getClientContext().getCustom());
    }
}
