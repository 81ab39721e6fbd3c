//! The writer of images by itself.

use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::PathBuf;

use pilotlight_store::erofs::{self, Entry, InsertError, Sink, Tree, WriteError};
use tempfile::NamedTempFile;

use crate::mounted::Mounted;

fn sample() -> Tree<&'static [u8]> {
    let mut tree = Tree::new();
    let entry = |source: &'static [u8]| Entry::File {
        size: source.len() as u64,
        executable: false,
        source,
    };
    tree.insert(&[b"pkg", b"small"], entry(b"small")).unwrap();
    tree.insert(&[b"pkg", b"large"], entry(&[7; 10_000]))
        .unwrap();
    tree.insert(
        &[b"link"],
        Entry::Symlink {
            size: 9,
            source: b"pkg/small",
        },
    )
    .unwrap();
    tree
}

fn image_of(tree: &Tree<&'static [u8]>) -> NamedTempFile {
    let file = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let copy = |source: &&[u8], sink: &mut Sink<'_>| sink.write(source);
    erofs::write(file.as_file(), tree, copy).unwrap();
    file
}

#[test]
fn the_format_does_not_change_unnoticed() {
    let mut bytes = Vec::new();
    let mut image = image_of(&sample());
    image.rewind().unwrap();
    image.read_to_end(&mut bytes).unwrap();
    // Digests are in catalogs. A new value here means that equal code gets another digest than it had.
    assert_eq!(
        blake3::hash(&bytes).to_hex().as_str(),
        "0dbafd2521ee3bebd26aeffb94062c44370a1e8794ce38c94127267b712c31fa"
    );
}

#[test]
fn the_kernel_checks_the_superblock() {
    let image = image_of(&sample());
    Mounted::new(image.path());
    let mut bytes = std::fs::read(image.path()).unwrap();
    for at in [1024, 1030, 1060, 1152, 4095] {
        bytes[at] ^= 1;
        let mut damaged = NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        damaged.write_all(&bytes).unwrap();
        assert!(
            Mounted::open(damaged.path()).is_err(),
            "byte {at} is covered"
        );
        bytes[at] ^= 1;
    }
}

#[test]
fn contents_must_have_the_size_that_was_said() {
    for (size, given) in [
        (10, 9),
        (10, 11),
        (5000, 4999),
        (5000, 5001),
        (4096, 4097),
        (0, 1),
    ] {
        let mut tree = Tree::new();
        tree.insert(
            &[b"f"],
            Entry::File {
                size,
                executable: false,
                source: (),
            },
        )
        .unwrap();
        let file = tempfile::tempfile().unwrap();
        let written = erofs::write(&file, &tree, |(), sink| sink.write(&vec![0; given]));
        assert!(
            matches!(written, Err(WriteError::SizeChanged)),
            "{size} said, {given} given"
        );
    }
}

#[test]
fn a_file_that_the_format_cannot_hold_is_refused_before_it_is_read() {
    let mut tree = Tree::new();
    tree.insert(
        &[b"f"],
        Entry::File {
            size: 1 << 32,
            executable: false,
            source: (),
        },
    )
    .unwrap();
    let file = tempfile::tempfile().unwrap();
    let written = erofs::write(&file, &tree, |(), _| -> Result<(), WriteError> {
        panic!("there is no need to read it")
    });
    assert!(matches!(written, Err(WriteError::TooLarge)));
}

#[test]
fn a_disk_that_fails_is_reported() {
    let full = File::options()
        .read(true)
        .write(true)
        .open(PathBuf::from("/dev/full"))
        .unwrap();
    let copy = |source: &&[u8], sink: &mut Sink<'_>| sink.write(source);
    assert!(matches!(
        erofs::write(&full, &sample(), copy),
        Err(WriteError::Io(_))
    ));
}

#[test]
fn only_names_are_in_a_tree() {
    let mut tree = Tree::<()>::new();
    let long = [b'n'; 256];
    let paths: [&[&[u8]]; 8] = [
        &[],
        &[b""],
        &[b"."],
        &[b"d", b".."],
        &[b"a/b"],
        &[b"a\0"],
        &[&long],
        &[b"..", b"f"],
    ];
    for path in paths {
        assert_eq!(
            tree.insert(path, Entry::Directory),
            Err(InsertError::Path),
            "{path:?}"
        );
    }
    assert!(tree.is_empty());
    tree.insert(
        &[b"d", b"f"],
        Entry::File {
            size: 0,
            executable: false,
            source: (),
        },
    )
    .unwrap();
    let link = || Entry::Symlink {
        size: 1,
        source: (),
    };
    assert_eq!(
        tree.insert(&[b"d", b"f"], link()),
        Err(InsertError::Duplicate)
    );
    assert_eq!(tree.replace(&[b"d"], link()), Err(InsertError::Clash));
    assert_eq!(
        tree.insert(&[b"d", b"f", b"g"], link()),
        Err(InsertError::Clash)
    );
    assert_eq!(tree.replace(&[b"d", b"f"], link()), Ok(()));
    assert_eq!(tree.len(), 2);
}
