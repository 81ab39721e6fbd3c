package com.amazonaws.services.lambda.runtime;

/** What a handler is told about its invocation. The shape is that of aws-lambda-java-core. */
public interface Context {
    String getAwsRequestId();

    String getLogGroupName();

    String getLogStreamName();

    String getFunctionName();

    String getFunctionVersion();

    String getInvokedFunctionArn();

    /** The mobile user who called; never null, its members may be. */
    CognitoIdentity getIdentity();

    /** The mobile application that called, or null. */
    ClientContext getClientContext();

    /** Until the invocation is timed out; never negative. */
    int getRemainingTimeInMillis();

    int getMemoryLimitInMB();

    LambdaLogger getLogger();

    /** Whom a function with tenant isolation serves, or null. */
    default String getTenantId() {
        return null;
    }

    /** The trace of this invocation, or null. */
    default String getXrayTraceId() {
        return null;
    }
}
