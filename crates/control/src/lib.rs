//! Lambda API, catalog, publishing, asynchronous invocations.
