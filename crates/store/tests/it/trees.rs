//! Directories on disk become images.

use std::ffi::{CString, OsStr};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use pilotlight_store::PublishError;
use rustix::fs::{FileType, Mode, makedev, mknodat};

use crate::kernel::{noise, store};
use crate::mounted::{Item, Mounted, file};

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn sample(root: &Path) {
    fs::create_dir_all(root.join("usr/bin")).unwrap();
    fs::create_dir_all(root.join("tmp")).unwrap();
    set_mode(&root.join("tmp"), 0o1777);
    fs::write(root.join("usr/bin/tool"), noise(1, 100_000)).unwrap();
    set_mode(&root.join("usr/bin/tool"), 0o6750);
    chown(root.join("usr/bin/tool"), Some(1000), Some(1000)).unwrap();
    fs::hard_link(root.join("usr/bin/tool"), root.join("usr/bin/same-tool")).unwrap();
    fs::write(root.join("shadow"), "secret").unwrap();
    set_mode(&root.join("shadow"), 0o600);
    symlink("/usr/bin/tool", root.join("absolute")).unwrap();
    symlink("../outside", root.join("outside")).unwrap();
    symlink("usr/bin", root.join("bin")).unwrap();
    fs::write(root.join(OsStr::from_bytes(b"not-utf8-\xff")), "x").unwrap();
    let fifo = CString::new(root.join("fifo").as_os_str().as_bytes()).unwrap();
    mknodat(rustix::fs::CWD, &fifo, FileType::Fifo, Mode::RWXU, 0).unwrap();
    let null = CString::new(root.join("null").as_os_str().as_bytes()).unwrap();
    mknodat(
        rustix::fs::CWD,
        &null,
        FileType::CharacterDevice,
        Mode::RWXU,
        makedev(1, 3),
    )
    .unwrap();
    drop(UnixListener::bind(root.join("socket")).unwrap());
}

#[test]
fn a_tree_is_kept_but_for_owners_modes_and_devices() {
    let (_directory, store) = store();
    let root = tempfile::tempdir().unwrap();
    sample(root.path());
    let published = store.publish_tree(root.path()).unwrap();
    let mut seen = Mounted::new(&store.image_path(&published.digest)).contents();
    assert_eq!(published.entries, seen.len() as u64);
    let tool = Item::File {
        executable: true,
        bytes: noise(1, 100_000),
    };
    let expected: [(&[u8], Item); 11] = [
        (b"usr", Item::Directory),
        (b"usr/bin", Item::Directory),
        (b"tmp", Item::Directory),
        (b"usr/bin/tool", tool.clone()),
        (b"usr/bin/same-tool", tool),
        (b"shadow", file("secret")),
        (b"absolute", Item::Symlink(b"/usr/bin/tool".to_vec())),
        (b"outside", Item::Symlink(b"../outside".to_vec())),
        (b"bin", Item::Symlink(b"usr/bin".to_vec())),
        (b"not-utf8-\xff", file("x")),
        (b"", Item::Directory),
    ];
    for (path, item) in expected.into_iter().filter(|(path, _)| !path.is_empty()) {
        assert_eq!(
            seen.remove(path),
            Some(item),
            "{}",
            String::from_utf8_lossy(path)
        );
    }
    assert!(seen.is_empty(), "left over: {:?}", seen.keys());
    assert!(
        published.image_bytes < 120_000,
        "hard links share their data"
    );
}

#[test]
fn equal_trees_make_equal_images() {
    let (_directory, store) = store();
    let digests = [false, true].map(|reversed| {
        let root = tempfile::tempdir().unwrap();
        let mut numbers: Vec<u64> = (0..200).collect();
        if reversed {
            numbers.reverse();
        }
        for number in numbers {
            let parent = root.path().join(format!("{}", number % 3));
            fs::create_dir_all(&parent).unwrap();
            fs::write(parent.join(format!("{number}")), noise(number, 3000)).unwrap();
        }
        store.publish_tree(root.path()).unwrap().digest
    });
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn an_empty_tree_is_an_image() {
    let (_directory, store) = store();
    let root = tempfile::tempdir().unwrap();
    let published = store.publish_tree(root.path()).unwrap();
    assert!(
        Mounted::new(&store.image_path(&published.digest))
            .contents()
            .is_empty()
    );
}

#[test]
fn a_missing_tree_is_named() {
    let (_directory, store) = store();
    let missing = Path::new("/nonexistent/tree");
    match store.publish_tree(missing).unwrap_err() {
        PublishError::Read { path, .. } => assert_eq!(path, missing),
        other => panic!("{other}"),
    }
}
