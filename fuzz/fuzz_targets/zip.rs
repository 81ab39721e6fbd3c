//! Any bytes given as a zip: no panic, no fault of the store, no half of an image, and equal bytes make
//! equal images.
#![no_main]

use std::collections::HashSet;
use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use pilotlight_store::{Store, ZipLimits};
use tempfile::TempDir;

/// In memory, so that syncing costs nothing.
static DIRECTORY: LazyLock<TempDir> =
    LazyLock::new(|| tempfile::tempdir_in("/dev/shm").expect("a file system in memory"));
static STORE: LazyLock<Store> =
    LazyLock::new(|| Store::open(DIRECTORY.path()).expect("an empty store"));

fuzz_target!(|zip: &[u8]| {
    let limits = ZipLimits {
        unpacked_bytes: 1 << 20,
        ..ZipLimits::default()
    };
    match STORE.publish_zip(zip, &[], &limits) {
        Ok(published) => {
            assert!(STORE.contains(&published.digest));
            let again = STORE
                .publish_zip(zip, &[], &limits)
                .expect("it was taken before");
            assert_eq!(again, published);
            STORE
                .remove_unreferenced(&HashSet::new())
                .expect("files can be removed");
        }
        Err(error) => {
            assert!(
                error.user_message().is_some(),
                "not the user's fault: {error}"
            );
            assert_eq!(count(&DIRECTORY.path().join("images")), 0);
        }
    }
    assert_eq!(count(&DIRECTORY.path().join("tmp")), 0);
});

fn count(directory: &Path) -> usize {
    std::fs::read_dir(directory)
        .expect("a directory of the store")
        .count()
}
