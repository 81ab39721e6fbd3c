package fn;

import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaRuntime;
import com.amazonaws.services.lambda.runtime.logging.LogLevel;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TimeZone;

/** What a function finds around it. */
public class Around {
    public Map<String, Object> context(Object event, Context context) {
        Map<String, Object> found = new LinkedHashMap<>();
        found.put("id", context.getAwsRequestId());
        found.put("group", context.getLogGroupName());
        found.put("stream", context.getLogStreamName());
        found.put("name", context.getFunctionName());
        found.put("memory", context.getMemoryLimitInMB());
        found.put("version", context.getFunctionVersion());
        found.put("arn", context.getInvokedFunctionArn());
        found.put("tenant", context.getTenantId());
        found.put("left", context.getRemainingTimeInMillis());
        found.put("identity", Arrays.asList(context.getIdentity().getIdentityId(), context.getIdentity().getIdentityPoolId()));
        ClientContext client = context.getClientContext();
        found.put("client", client == null ? null : Arrays.asList(client.getCustom(), client.getEnvironment(),
                client.getClient() == null ? null : client.getClient().getAppTitle()));
        found.put("trace", System.getProperty("com.amazonaws.xray.traceHeader"));
        return found;
    }

    public Object environment(String name) throws Exception {
        Process child = Runtime.getRuntime().exec(new String[] {"/usr/bin/env"});
        String text = new String(child.getInputStream().readAllBytes());
        Map<String, String> childs = new LinkedHashMap<>();
        for (String line : text.split("\n")) {
            childs.put(line.substring(0, line.indexOf('=')), line.substring(line.indexOf('=') + 1));
        }
        Map<String, String> built = new ProcessBuilder().environment();
        return Arrays.asList(System.getenv(), childs, built, System.getenv(name), TimeZone.getDefault().getID());
    }

    public String log(String event, Context context) {
        context.getLogger().log("one");
        context.getLogger().log("two\n");
        LambdaRuntime.getLogger().log("three".getBytes());
        context.getLogger().log("quiet", LogLevel.DEBUG);
        context.getLogger().log("loud", LogLevel.WARN);
        return "logged";
    }

    public void lines(Object event) throws Exception {
        System.out.println("line " + event);
        System.err.println("to err");
        System.in.read();
        System.out.print("part");
    }

    public Object loader() {
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        return Arrays.asList(loader == Around.class.getClassLoader(),
                loader.getParent() == Context.class.getClassLoader());
    }
}
