//! Tests of the node's parts on the real machine: root, a Debian mirror and EROFS are needed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod images;
