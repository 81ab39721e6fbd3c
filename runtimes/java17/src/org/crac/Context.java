package org.crac;

/** A resource that tells other resources. The shape is that of org.crac. */
public abstract class Context<R extends Resource> implements Resource {
    protected Context() {}

    public static Context<Resource> getGlobalContext() {
        return GlobalContext.INSTANCE;
    }

    public static boolean isImplemented() {
        return true;
    }

    @Override
    public abstract void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException;

    @Override
    public abstract void afterRestore(Context<? extends Resource> context) throws RestoreException;

    /** Resources are referenced weakly: who registers one keeps it. */
    public abstract void register(R resource);
}
