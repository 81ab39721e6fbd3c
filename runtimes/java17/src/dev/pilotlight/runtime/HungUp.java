package dev.pilotlight.runtime;

import java.io.IOException;

/** The platform has no more use for this process. */
final class HungUp extends IOException {
    private static final long serialVersionUID = 1;

    HungUp(String why) {
        super(why);
    }
}
