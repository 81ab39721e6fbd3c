//! The invocation path: authenticate, route, admit, hand to a node.
