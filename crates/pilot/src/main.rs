//! The `pilot` binary.
fn main() {}
