package com.amazonaws.services.lambda.runtime;

/** A handler whose event and answer are objects, by way of JSON. */
public interface RequestHandler<I, O> {
    O handleRequest(I input, Context context);
}
