//! The store through its public door. Images are mounted by the kernel, so this needs root and EROFS.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod concurrency;
mod durability;
mod kernel;
mod malformed;
mod mounted;
mod rawzip;
mod trees;
mod writer;
mod zips;
