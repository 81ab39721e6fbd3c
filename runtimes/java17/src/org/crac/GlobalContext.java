package org.crac;

import java.lang.ref.WeakReference;
import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;

/** Every registered resource, in order. */
final class GlobalContext extends Context<Resource> {
    static final GlobalContext INSTANCE = new GlobalContext();

    private final List<WeakReference<Resource>> resources = new ArrayList<>();

    private GlobalContext() {}

    @Override
    public synchronized void register(Resource resource) {
        if (resource == null) {
            throw new NullPointerException();
        }
        for (Iterator<WeakReference<Resource>> all = resources.iterator(); all.hasNext(); ) {
            Resource known = all.next().get();
            if (known == null || known == resource) {
                all.remove();
            }
        }
        resources.add(new WeakReference<>(resource));
    }

    /** Last in, first out; all are told, whatever some throw. */
    @Override
    public void beforeCheckpoint(Context<? extends Resource> context) throws CheckpointException {
        List<Resource> alive = alive();
        CheckpointException failed = null;
        for (int i = alive.size() - 1; i >= 0; i--) {
            try {
                alive.get(i).beforeCheckpoint(this);
            } catch (Throwable thrown) {
                failed = failed == null ? new CheckpointException() : failed;
                add(failed, thrown, thrown instanceof CheckpointException);
            }
        }
        if (failed != null) {
            throw failed;
        }
    }

    /** First in, first out; all are told, whatever some throw. */
    @Override
    public void afterRestore(Context<? extends Resource> context) throws RestoreException {
        RestoreException failed = null;
        List<Resource> alive = alive();
        for (int i = 0; i < alive.size(); i++) {
            try {
                alive.get(i).afterRestore(this);
            } catch (Throwable thrown) {
                failed = failed == null ? new RestoreException() : failed;
                add(failed, thrown, thrown instanceof RestoreException);
            }
        }
        if (failed != null) {
            throw failed;
        }
    }

    /** A copy: a resource may register others while it is told. */
    private synchronized List<Resource> alive() {
        if (resources.isEmpty()) {
            return Collections.emptyList();
        }
        List<Resource> alive = new ArrayList<>(resources.size());
        for (WeakReference<Resource> resource : resources) {
            Resource referent = resource.get();
            if (referent != null) {
                alive.add(referent);
            }
        }
        return alive;
    }

    /** What another context collected is taken out of it. */
    private static void add(Exception failed, Throwable thrown, boolean collection) {
        if (collection && thrown.getSuppressed().length > 0) {
            for (Throwable inner : thrown.getSuppressed()) {
                failed.addSuppressed(inner);
            }
        } else {
            failed.addSuppressed(thrown);
        }
    }
}
