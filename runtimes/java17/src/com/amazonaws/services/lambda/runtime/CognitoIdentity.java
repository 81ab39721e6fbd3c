package com.amazonaws.services.lambda.runtime;

/** A mobile user. */
public interface CognitoIdentity {
    String getIdentityId();

    String getIdentityPoolId();
}
