//! Pure decisions: keep-alive and eviction.
