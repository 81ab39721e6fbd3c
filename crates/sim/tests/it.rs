//! The simulator through its public door.

#[path = "it/concurrent.rs"]
mod concurrent;
#[path = "it/fixed.rs"]
mod fixed;
#[path = "it/read.rs"]
mod read;
#[path = "it/support.rs"]
mod support;
