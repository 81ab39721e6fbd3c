package dev.pilotlight.runtime;

import com.amazonaws.services.lambda.runtime.Client;
import com.amazonaws.services.lambda.runtime.ClientContext;
import com.amazonaws.services.lambda.runtime.CognitoIdentity;
import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.LambdaLogger;
import dev.pilotlight.runtime.json.JsonReader;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.Map;

/** The second argument of a handler. */
final class LambdaContext implements Context {
    private final Settings settings;
    private final LambdaLogger logger;
    private final String requestId;
    private final String functionArn;
    private final String tenantId;
    private final String traceId;
    private final long deadlineMs;
    private final ClientContext client;
    private final CognitoIdentity identity;

    LambdaContext(Message request, Settings settings, LambdaLogger logger) {
        this.settings = settings;
        this.logger = logger;
        requestId = request.header("lambda-runtime-aws-request-id");
        functionArn = request.header("lambda-runtime-invoked-function-arn");
        tenantId = request.text("lambda-runtime-aws-tenant-id");
        traceId = request.header("lambda-runtime-trace-id");
        deadlineMs = Long.parseLong(request.header("lambda-runtime-deadline-ms"));
        Map<?, ?> said = json(request.text("lambda-runtime-client-context"));
        client = said == null ? null : new Caller(said);
        Map<?, ?> user = json(request.text("lambda-runtime-cognito-identity"));
        identity = new Identity(text(user, "cognitoIdentityId"), text(user, "cognitoIdentityPoolId"));
    }

    private static Map<?, ?> json(String header) {
        if (header == null || header.isEmpty()) {
            return null;
        }
        Object value = JsonReader.read(header.getBytes(StandardCharsets.UTF_8));
        return value instanceof Map ? (Map<?, ?>) value : null;
    }

    private static String text(Map<?, ?> members, String name) {
        Object value = members == null ? null : members.get(name);
        return value == null ? null : value.toString();
    }

    @Override
    public String getAwsRequestId() {
        return requestId;
    }

    @Override
    public String getLogGroupName() {
        return settings.logGroupName;
    }

    @Override
    public String getLogStreamName() {
        return settings.logStreamName;
    }

    @Override
    public String getFunctionName() {
        return settings.functionName;
    }

    @Override
    public String getFunctionVersion() {
        return settings.functionVersion;
    }

    @Override
    public String getInvokedFunctionArn() {
        return functionArn;
    }

    @Override
    public CognitoIdentity getIdentity() {
        return identity;
    }

    @Override
    public ClientContext getClientContext() {
        return client;
    }

    @Override
    public int getRemainingTimeInMillis() {
        return (int) Math.max(0, deadlineMs - System.currentTimeMillis());
    }

    @Override
    public int getMemoryLimitInMB() {
        return settings.memoryLimitInMb;
    }

    @Override
    public LambdaLogger getLogger() {
        return logger;
    }

    @Override
    public String getTenantId() {
        return tenantId;
    }

    @Override
    public String getXrayTraceId() {
        return traceId;
    }

    private static final class Identity implements CognitoIdentity {
        private final String id;
        private final String pool;

        Identity(String id, String pool) {
            this.id = id;
            this.pool = pool;
        }

        @Override
        public String getIdentityId() {
            return id;
        }

        @Override
        public String getIdentityPoolId() {
            return pool;
        }
    }

    /** What the caller said in `X-Amz-Client-Context`. */
    private static final class Caller implements ClientContext, Client {
        private final Map<?, ?> client;
        private final Map<String, String> custom;
        private final Map<String, String> environment;

        Caller(Map<?, ?> said) {
            client = said.get("client") instanceof Map ? (Map<?, ?>) said.get("client") : null;
            custom = texts(said.get("custom"));
            environment = texts(said.get("env"));
        }

        private static Map<String, String> texts(Object members) {
            if (!(members instanceof Map)) {
                return null;
            }
            Map<String, String> texts = new LinkedHashMap<>();
            for (Object name : ((Map<?, ?>) members).keySet()) {
                texts.put((String) name, text((Map<?, ?>) members, (String) name));
            }
            return texts;
        }

        @Override
        public Client getClient() {
            return client == null ? null : this;
        }

        @Override
        public Map<String, String> getCustom() {
            return custom;
        }

        @Override
        public Map<String, String> getEnvironment() {
            return environment;
        }

        @Override
        public String getInstallationId() {
            return text(client, "installation_id");
        }

        @Override
        public String getAppTitle() {
            return text(client, "app_title");
        }

        @Override
        public String getAppVersionName() {
            return text(client, "app_version_name");
        }

        @Override
        public String getAppVersionCode() {
            return text(client, "app_version_code");
        }

        @Override
        public String getAppPackageName() {
            return text(client, "app_package_name");
        }
    }
}
