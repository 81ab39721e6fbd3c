//! Many publishers at once.

use std::collections::HashSet;
use std::fs;
use std::sync::Barrier;
use std::thread;

use pilotlight_store::ZipLimits;

use crate::kernel::{noise, store};
use crate::mounted::Mounted;
use crate::rawzip::{Raw, zip};

#[test]
fn concurrent_publishes_of_equal_and_different_packages() {
    const THREADS: u64 = 8;
    let (directory, store) = store();
    let start = Barrier::new(THREADS as usize);
    let publish = &|thread: u64| {
        start.wait();
        // Every package is published by each thread, in another order.
        (0..4)
            .map(|at| {
                let seed = (at + thread) % 4;
                let archive = zip(&[Raw::deflated("f", &noise(seed, 300_000))]);
                let image = store
                    .publish_zip(&archive, &[], &ZipLimits::default())
                    .unwrap();
                (image.digest, store.put_blob(&archive).unwrap())
            })
            .collect::<Vec<_>>()
    };
    let digests: HashSet<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || publish(thread)))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(digests.len(), 4);
    for (image, blob) in &digests {
        assert_eq!(Mounted::new(&store.image_path(image)).contents().len(), 1);
        assert!(store.blob_path(blob).exists());
    }
    let count = |part: &str| fs::read_dir(directory.path().join(part)).unwrap().count();
    assert_eq!((count("images"), count("blobs"), count("tmp")), (4, 4, 0));
}
