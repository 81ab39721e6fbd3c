package org.crac;

/** Something that wants to know when the process becomes a template, and when an instance is made of it. */
public interface Resource {
    void beforeCheckpoint(Context<? extends Resource> context) throws Exception;

    void afterRestore(Context<? extends Resource> context) throws Exception;
}
