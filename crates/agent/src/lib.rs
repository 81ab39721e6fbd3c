//! One node: instances, slots, runtimes, logs.
#![forbid(unsafe_code)]

mod runtime;

pub use runtime::RuntimeImage;
