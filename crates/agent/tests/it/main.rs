//! Tests of the node's parts on the real machine: root, a Debian mirror and EROFS are needed.
#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

mod images;
