package dev.pilotlight.runtime;

import java.net.InetAddress;
import java.util.Collection;
import java.util.Map;

/** Addresses that were looked up during init may be other ones when a template is forked, hours later. */
final class NameCache {
    private NameCache() {}

    static void clear() {
        Class<?> type = Internals.find("java.net.InetAddress");
        if (Internals.isInitialised(type)) {
            ((Map<?, ?>) Internals.staticValue(InetAddress.class, "cache")).clear();
            ((Collection<?>) Internals.staticValue(InetAddress.class, "expirySet")).clear();
        }
    }
}
