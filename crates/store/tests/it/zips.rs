//! What zips become.

use bytes::Bytes;
use pilotlight_model::node::CompiledFile;
use pilotlight_store::ZipLimits;
use proptest::prelude::*;

use crate::kernel::{noise, store, with_parents, zip_of};
use crate::mounted::{Item, Mounted, file};
use crate::rawzip::{Raw, zip};

fn compiled(path: &str, bytes: &'static str) -> CompiledFile {
    CompiledFile {
        path: path.to_owned(),
        bytes: Bytes::from_static(bytes.as_bytes()),
    }
}

#[test]
fn the_image_does_not_depend_on_how_the_zip_was_made() {
    let (_directory, store) = store();
    let digest = |zip: &[u8]| {
        store
            .publish_zip(zip, &[], &ZipLimits::default())
            .unwrap()
            .digest
    };
    let contents =
        with_parents((0..50).map(|at| (format!("d{}/f{at}", at % 7), file(noise(at, 5000)))));
    let reference = digest(&zip_of(&contents));
    assert_eq!(
        reference,
        digest(&zip_of(contents.iter().rev())),
        "order of entries"
    );
    let files = contents
        .iter()
        .filter(|(_, item)| **item != Item::Directory);
    assert_eq!(
        reference,
        digest(&zip_of(files.clone())),
        "directories implied"
    );
    let raw: Vec<Raw> = files
        .map(|(path, item)| {
            let Item::File { bytes, .. } = item else {
                unreachable!("only files")
            };
            let name = [b"./", &path[..]].concat();
            let raw = Raw::stored(name, &bytes[..]);
            Raw {
                mode: 0o106_640,
                ..raw
            }
        })
        .collect();
    assert_eq!(reference, digest(&zip(&raw)), "method, mode, leading dot");
    let mut prefixed = b"#!/usr/bin/env python3\n".to_vec();
    prefixed.extend(zip_of(&contents));
    assert_eq!(
        reference,
        digest(&prefixed),
        "bytes in front, as zipapp has them"
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_entries_does_not_matter(
        order in Just((0..30u64).collect::<Vec<_>>()).prop_shuffle()
    ) {
        let (_directory, store) = store();
        let digest = |zip: &[u8]| store.publish_zip(zip, &[], &ZipLimits::default()).unwrap().digest;
        let entry = |at: &u64| Raw::deflated(format!("{}/{at}", at % 3), &noise(at % 5, 6000));
        let sorted: Vec<Raw> = (0..30).map(|at| entry(&at)).collect();
        let shuffled: Vec<Raw> = order.iter().map(entry).collect();
        prop_assert_eq!(digest(&zip(&sorted)), digest(&zip(&shuffled)));
    }
}

#[test]
fn extra_files_take_the_place_of_the_users() {
    let (_directory, store) = store();
    let user = zip(&[
        Raw::stored("m.py", "source"),
        Raw::stored("__pycache__/m.cpython-311.pyc", "stale"),
        Raw::stored("pkg/__pycache__", "a file where a directory should be"),
        Raw::stored("pkg/n.py", "source"),
        Raw::directory("dir.pyc/"),
    ]);
    let extra = [
        compiled("__pycache__/m.cpython-311.pyc", "fresh"),
        compiled("new/__pycache__/o.cpython-311.pyc", "made"),
        compiled("pkg/__pycache__/n.cpython-311.pyc", "left out"),
        compiled("dir.pyc", "left out"),
        compiled("../escape", "left out"),
        compiled("/absolute", "left out"),
    ];
    let published = store
        .publish_zip(&user, &extra, &ZipLimits::default())
        .unwrap();
    let seen = Mounted::new(&store.image_path(&published.digest)).contents();
    let expected = with_parents([
        ("m.py".to_owned(), file("source")),
        ("__pycache__/m.cpython-311.pyc".to_owned(), file("fresh")),
        ("new/__pycache__/o.cpython-311.pyc".to_owned(), file("made")),
        (
            "pkg/__pycache__".to_owned(),
            file("a file where a directory should be"),
        ),
        ("pkg/n.py".to_owned(), file("source")),
        ("dir.pyc".to_owned(), Item::Directory),
    ]);
    assert_eq!(seen, expected);
}

#[test]
fn extra_files_do_not_count_against_the_limits() {
    let (_directory, store) = store();
    let limits = ZipLimits {
        entries: 1,
        unpacked_bytes: 6,
        ..ZipLimits::default()
    };
    let user = zip(&[Raw::stored("m.py", "source")]);
    let extra = [compiled(
        "__pycache__/m.cpython-311.pyc",
        "longer than the source",
    )];
    let published = store.publish_zip(&user, &extra, &limits).unwrap();
    assert_eq!((published.entries, published.unpacked_bytes), (3, 28));
}

#[test]
fn names_are_utf8_whatever_the_archive_has() {
    let (_directory, store) = store();
    let user = zip(&[
        Raw::stored("unmarked-é", "utf-8"),
        Raw {
            flags: 1 << 11,
            ..Raw::stored("marked-é", "utf-8")
        },
        Raw::stored(b"old-\x82".to_vec(), "code page 437"),
    ]);
    let published = store
        .publish_zip(&user, &[], &ZipLimits::default())
        .unwrap();
    let seen = Mounted::new(&store.image_path(&published.digest)).contents();
    let names: Vec<&[u8]> = seen.keys().map(|name| &name[..]).collect();
    assert_eq!(
        names,
        ["marked-é", "old-é", "unmarked-é"].map(str::as_bytes)
    );
}

#[test]
fn links_within_the_package_are_kept() {
    let (_directory, store) = store();
    let links = [
        ("node_modules/.bin/tool", "../tool/cli.js"),
        ("lib64", "lib"),
        ("a/b/up", "../.."),
        ("here", "."),
        ("dangling", "not/there"),
    ];
    let raw: Vec<Raw> = links
        .iter()
        .map(|(name, target)| Raw::symlink(*name, *target))
        .collect();
    let published = store
        .publish_zip(&zip(&raw), &[], &ZipLimits::default())
        .unwrap();
    let seen = Mounted::new(&store.image_path(&published.digest)).contents();
    for (name, target) in links {
        assert_eq!(seen[name.as_bytes()], Item::Symlink(target.into()));
    }
}

#[test]
fn harmless_oddities_are_taken() {
    let (_directory, store) = store();
    let user = zip(&[
        Raw::directory("./"),
        Raw::directory("d/"),
        Raw::directory("d/"),
        Raw {
            mode: 0,
            ..Raw::stored("d/f", "no mode")
        },
        Raw {
            flags: 1 << 3,
            local_crc: Some(0),
            ..Raw::stored("streamed", "x")
        },
        Raw {
            mode: 0o040_755,
            ..Raw::stored("no-slash", "")
        },
    ]);
    let published = store
        .publish_zip(&user, &[], &ZipLimits::default())
        .unwrap();
    let seen = Mounted::new(&store.image_path(&published.digest)).contents();
    let expected = with_parents([
        ("d/f".to_owned(), file("no mode")),
        ("streamed".to_owned(), file("x")),
        ("no-slash".to_owned(), Item::Directory),
    ]);
    assert_eq!(seen, expected);
}
