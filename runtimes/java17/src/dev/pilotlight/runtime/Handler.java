package dev.pilotlight.runtime;

import dev.pilotlight.runtime.json.Output;

/** User code that takes an event's bytes, and writes an answer's. */
interface Handler {
    void handle(Message event, LambdaContext context, Output answer) throws Throwable;
}
