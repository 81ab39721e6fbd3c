package dev.pilotlight.runtime;

import java.io.File;
import java.net.MalformedURLException;
import java.net.URL;
import java.net.URLClassLoader;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;

/** Loads user code: the package, the jars in its `lib`, and the layers' jars. Remembers what it has loaded. */
final class FunctionClassLoader extends URLClassLoader {
    static {
        registerAsParallelCapable();
    }

    private final List<Class<?>> loaded = Collections.synchronizedList(new ArrayList<>());

    FunctionClassLoader(String taskRoot, String layerRoot) {
        // Without a name: that would show in every stack trace.
        super(urls(taskRoot, layerRoot), FunctionClassLoader.class.getClassLoader());
    }

    /** Every class that this loader has defined. */
    List<Class<?>> loaded() {
        synchronized (loaded) {
            return new ArrayList<>(loaded);
        }
    }

    @Override
    protected Class<?> findClass(String name) throws ClassNotFoundException {
        Class<?> found = super.findClass(name);
        loaded.add(found);
        return found;
    }

    private static URL[] urls(String taskRoot, String layerRoot) {
        List<URL> urls = new ArrayList<>();
        // With the slash at its end, a URL is a folder.
        urls.add(url(taskRoot + "/"));
        addJars(urls, taskRoot + "/lib");
        addJars(urls, layerRoot + "/lib");
        return urls.toArray(new URL[0]);
    }

    /** In the order of their names: which of two jars wins must not depend on the file system. */
    private static void addJars(List<URL> urls, String folder) {
        String[] names = new File(folder).list();
        if (names == null) {
            return;
        }
        Arrays.sort(names);
        for (String name : names) {
            if (name.endsWith(".jar")) {
                urls.add(url(folder + "/" + name));
            }
        }
    }

    private static URL url(String path) {
        try {
            return new URL("file", "", path);
        } catch (MalformedURLException e) {
            throw new AssertionError(e);
        }
    }
}
