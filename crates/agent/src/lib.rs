//! One node: instances, slots, runtimes, logs.
