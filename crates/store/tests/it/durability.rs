//! Full disks, leftovers and garbage.

use std::collections::HashSet;
use std::fs;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use pilotlight_store::{PublishError, Removed, Store, StoreError, ZipLimits};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_string, fsmount,
    fsopen,
};

use crate::kernel::{noise, store};
use crate::mounted::Mounted;
use crate::rawzip::{Raw, zip};

/// A file system in memory, of that size, that is gone with its descriptor.
fn small_disk(size: &str) -> (OwnedFd, PathBuf) {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC).expect("root");
    fsconfig_set_string(&context, "size", size).unwrap();
    fsconfig_create(&context).unwrap();
    let disk = fsmount(
        &context,
        FsMountFlags::FSMOUNT_CLOEXEC,
        MountAttrFlags::empty(),
    )
    .unwrap();
    let path = format!("/proc/self/fd/{}/store", disk.as_raw_fd()).into();
    (disk, path)
}

#[test]
fn a_full_disk_is_said_and_leaves_nothing() {
    let (_disk, path) = small_disk("1m");
    let store = Store::open(&path).unwrap();
    let publish = |len| {
        let archive = zip(&[Raw::stored("f", noise(len as u64, len))]);
        store.publish_zip(&archive, &[], &ZipLimits::default())
    };
    let count = |part: &str| fs::read_dir(path.join(part)).unwrap().count();
    for len in [(1 << 20) + 1, 4 << 20] {
        match publish(len).unwrap_err() {
            PublishError::Store(StoreError::NoSpace { .. }) => {}
            other => panic!("{other}"),
        }
        assert!(matches!(
            store.put_blob(&noise(1, len)),
            Err(StoreError::NoSpace { .. })
        ));
        assert_eq!((count("images"), count("blobs"), count("tmp")), (0, 0, 0));
    }
    let kept = publish(500_000).unwrap().digest;
    let image = fs::read(store.image_path(&kept)).unwrap();
    assert_eq!(blake3::hash(&image).to_hex().as_str(), kept.as_str());
}

#[test]
fn opening_removes_what_was_left_unfinished() {
    let (directory, store) = store();
    let digest = store.put_blob(b"kept").unwrap();
    let leftover = directory.path().join("tmp/half-an-image");
    fs::write(&leftover, "half").unwrap();
    drop(store);
    let store = Store::open(directory.path()).unwrap();
    assert!(!leftover.exists());
    assert_eq!(fs::read(store.blob_path(&digest)).unwrap(), b"kept");
}

#[test]
fn names_are_the_digests_of_what_they_name() {
    let (_directory, store) = store();
    let archive = zip(&[Raw::stored("f", noise(1, 10_000))]);
    let image = store
        .publish_zip(&archive, &[], &ZipLimits::default())
        .unwrap()
        .digest;
    let blob = store.put_blob(&archive).unwrap();
    let digest = |path| blake3::hash(&fs::read(path).unwrap()).to_hex().to_string();
    assert_eq!(digest(store.image_path(&image)), image.as_str());
    assert_eq!(digest(store.blob_path(&blob)), blob.as_str());
    assert!(store.contains(&image));
    assert!(!store.contains(&blob), "a blob is no image");
    assert_eq!(store.put_blob(&archive).unwrap(), blob, "again is the same");
}

#[test]
fn what_was_damaged_is_replaced_when_it_comes_again() {
    let (_directory, store) = store();
    let archive = zip(&[Raw::stored("f", noise(1, 10_000))]);
    let publish = || store.publish_zip(&archive, &[], &ZipLimits::default());
    let image = publish().unwrap().digest;
    let blob = store.put_blob(&archive).unwrap();
    let whole = fs::read(store.image_path(&image)).unwrap();
    for damaged in [&[][..], &whole[..4096], &noise(2, whole.len())] {
        fs::write(store.image_path(&image), damaged).unwrap();
        fs::write(store.blob_path(&blob), damaged).unwrap();
        assert!(!store.contains(&image), "{} bytes", damaged.len());
        publish().unwrap();
        store.put_blob(&archive).unwrap();
        assert_eq!(fs::read(store.image_path(&image)).unwrap(), whole);
        assert_eq!(fs::read(store.blob_path(&blob)).unwrap(), archive);
        assert!(store.contains(&image));
    }
}

#[test]
fn only_what_nobody_names_is_removed() {
    let (directory, store) = store();
    let publish = |seed| {
        let archive = zip(&[Raw::stored("f", noise(seed, 6000))]);
        let image = store
            .publish_zip(&archive, &[], &ZipLimits::default())
            .unwrap();
        (image, store.put_blob(&archive).unwrap())
    };
    let ((live, live_blob), (dead, dead_blob)) = (publish(1), publish(2));
    let foreign = directory.path().join("images/README");
    fs::write(&foreign, "not ours").unwrap();
    let bytes = dead.image_bytes + fs::metadata(store.blob_path(&dead_blob)).unwrap().len();
    let mounted = Mounted::new(&store.image_path(&dead.digest));
    let names = HashSet::from([live.digest.clone(), live_blob.clone()]);
    assert_eq!(
        store.remove_unreferenced(&names).unwrap(),
        Removed { files: 2, bytes }
    );
    assert!(store.contains(&live.digest) && store.blob_path(&live_blob).exists());
    assert!(!store.contains(&dead.digest) && !store.blob_path(&dead_blob).exists());
    assert!(foreign.exists());
    assert_eq!(
        mounted.contents().len(),
        1,
        "a mounted image stays readable"
    );
    assert_eq!(
        store.remove_unreferenced(&names).unwrap(),
        Removed::default()
    );
}
