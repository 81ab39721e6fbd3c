//! Tests of the node's parts on the real machine: root, a Debian mirror and EROFS are needed.

mod images;
