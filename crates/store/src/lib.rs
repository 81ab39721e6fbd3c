//! Content-addressed EROFS images.
