package dev.pilotlight.runtime;

/** An error that the runtime itself finds, in the words of Lambda's Java runtime. */
final class Fault extends RuntimeException {
    private static final long serialVersionUID = 1;

    /** The class of what is behind it, or null. */
    final String type;
    /** Whether it ends the init; if not, it is the answer to every event. */
    final boolean fatal;

    Fault(String message) {
        this(message, null, false);
    }

    Fault(String message, Throwable cause, boolean fatal) {
        super(message, cause, false, false);
        this.type = cause == null ? null : cause.getClass().getName();
        this.fatal = fatal;
    }

    /** User code threw that while the handler was made. */
    static Fault of(Throwable thrown, boolean fatal) {
        String message = thrown.getLocalizedMessage();
        return new Fault(message == null ? thrown.getClass().getName() : message, thrown, fatal);
    }
}
