//! The simulator through its public door.

#[path = "it/fixed.rs"]
mod fixed;
