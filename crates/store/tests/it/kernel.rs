//! What goes into an image comes out of a mount.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Cursor, Write};
use std::os::unix::fs::MetadataExt;

use pilotlight_store::{Store, ZipLimits};
use proptest::prelude::*;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

use crate::mounted::{Contents, Item, Mounted, file};

/// Sizes around the edges of blocks and of what fits behind an inode.
const EDGES: [usize; 12] = [
    0, 1, 31, 32, 4063, 4064, 4065, 4095, 4096, 4097, 8160, 12_288,
];

/// An empty store, on a disk: the kernel does not mount images that are in memory (tmpfs).
pub(crate) fn store() -> (tempfile::TempDir, Store) {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(directory.path()).unwrap();
    (directory, store)
}

/// Bytes that differ from place to place and from seed to seed.
pub(crate) fn noise(seed: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    let mut hasher = blake3::Hasher::new();
    hasher.update(&seed.to_le_bytes());
    hasher.finalize_xof().fill(&mut bytes);
    bytes
}

/// A zip of those contents, made by another program's code than ours.
pub(crate) fn zip_of<'c>(items: impl IntoIterator<Item = (&'c Vec<u8>, &'c Item)>) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (path, item) in items {
        let path = str::from_utf8(path).unwrap();
        let options = SimpleFileOptions::default();
        match item {
            Item::Directory => zip.add_directory(path, options).unwrap(),
            Item::Symlink(target) => {
                zip.add_symlink(path, str::from_utf8(target).unwrap(), options)
                    .unwrap();
            }
            Item::File { executable, bytes } => {
                let mode = if *executable { 0o4711 } else { 0o600 };
                zip.start_file(path, options.unix_permissions(mode))
                    .unwrap();
                zip.write_all(bytes).unwrap();
            }
        }
    }
    zip.finish().unwrap().into_inner()
}

#[track_caller]
pub(crate) fn round_trip(contents: &Contents) {
    let (_directory, store) = store();
    let published = store
        .publish_zip(&zip_of(contents), &[], &ZipLimits::default())
        .unwrap();
    let image = store.image_path(&published.digest);
    assert_eq!(fs::metadata(&image).unwrap().len(), published.image_bytes);
    assert_eq!(published.entries, contents.len() as u64);
    let size = |item: &Item| match item {
        Item::Directory => 0,
        Item::File { bytes, .. } | Item::Symlink(bytes) => bytes.len() as u64,
    };
    assert_eq!(
        published.unpacked_bytes,
        contents.values().map(size).sum::<u64>()
    );
    assert!(
        Mounted::new(&image).contents() == *contents,
        "the mount differs from the zip"
    );
}

/// Adds the directories that lead to each path.
pub(crate) fn with_parents(items: impl IntoIterator<Item = (String, Item)>) -> Contents {
    let mut contents = Contents::new();
    for (path, item) in items {
        for (at, _) in path.match_indices('/') {
            contents.insert(path[..at].into(), Item::Directory);
        }
        contents.insert(path.into(), item);
    }
    contents
}

fn name() -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "-", "!", ".a", "..b", "...", "a", "é", "中文", "😀", "/x",
    ]);
    prop_oneof![
        known.prop_map(|name| name.replace('/', "_")),
        "[ -.0-\\[\\]-~]{1,20}",
        "[a-z]{180,255}",
    ]
    .prop_filter("dots are not names", |name| name != "." && name != "..")
}

fn item() -> impl Strategy<Value = Item> {
    let size = prop_oneof![prop::sample::select(EDGES.to_vec()), 0usize..20_000];
    let content = (any::<bool>(), size, 0u64..4).prop_map(|(executable, len, seed)| Item::File {
        executable,
        bytes: noise(seed, len),
    });
    let target = prop_oneof![Just("x".to_owned()), "[a-z]{1,255}(/[a-z]{1,255}){0,14}"]
        .prop_map(|target| Item::Symlink(target.into()));
    prop_oneof![6 => content, 1 => target, 1 => Just(Item::Directory)]
}

fn contents() -> impl Strategy<Value = Contents> {
    let path = prop::collection::vec(name(), 1..5).prop_map(|names| names.join("/"));
    prop::collection::vec((path, item()), 1..40)
        .prop_map(|items| {
            // A path that another one leads through has to be a directory.
            let paths: Vec<String> = items.iter().map(|(path, _)| format!("{path}/")).collect();
            let through: BTreeSet<&str> = paths
                .iter()
                .flat_map(|path| path.match_indices('/').map(|(at, _)| &path[..at]))
                .filter(|prefix| {
                    paths.iter().any(|path| {
                        path.len() > prefix.len() + 1 && path.starts_with(&format!("{prefix}/"))
                    })
                })
                .collect();
            with_parents(
                items
                    .iter()
                    .filter(|(path, _)| !through.contains(&**path))
                    .cloned(),
            )
        })
        .prop_filter("something is left", |contents| !contents.is_empty())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_tree_survives(contents in contents()) {
        round_trip(&contents);
    }
}

#[test]
fn sizes_around_block_edges_survive() {
    let files = EDGES
        .iter()
        .map(|&len| (format!("f{len:05}"), file(noise(len as u64, len))));
    round_trip(&with_parents(files));
}

#[test]
fn directories_over_many_blocks_survive() {
    let short = (0..2000).map(|at| (format!("many/{at:x}"), file(format!("{at}"))));
    let long = (0..300).map(|at| (format!("wide/{at:0>255}"), file("")));
    let deep = std::iter::once((["d"; 32].join("/"), file("deep")));
    // Before and after `.` and `..` in the order of names.
    let odd = ["-", "!", ".a", "...", "/"]
        .map(|name| (format!("odd/{}", name.replace('/', "0")), file("odd")));
    round_trip(&with_parents(short.chain(long).chain(deep).chain(odd)));
}

#[test]
fn a_root_of_any_size_survives() {
    for count in [1, 150, 160, 170, 5000] {
        round_trip(&with_parents(
            (0..count).map(|at| (format!("entry-{at:010}"), file("x"))),
        ));
    }
}

#[test]
fn long_links_survive() {
    let target = |len: usize| Item::Symlink("t/".repeat(len).into_bytes()[..len].to_vec());
    let links = [1, 4063, 4064, 4065, 4094, 4095].map(|len| (format!("link{len}"), target(len)));
    round_trip(&with_parents(links));
}

#[test]
fn equal_contents_are_stored_once() {
    let (_directory, store) = store();
    let megabyte = noise(1, 1 << 20);
    let limits = ZipLimits::default();
    let one = with_parents([("a/x".to_owned(), file(megabyte.clone()))]);
    let ten = with_parents((0..10).map(|at| (format!("a/x{at}"), file(megabyte.clone()))));
    let one = store.publish_zip(&zip_of(&one), &[], &limits).unwrap();
    let shared = store.publish_zip(&zip_of(&ten), &[], &limits).unwrap();
    assert_eq!(shared.image_bytes, one.image_bytes);
    assert_eq!(
        Mounted::new(&store.image_path(&shared.digest)).contents(),
        ten
    );
}

#[test]
fn small_packages_are_small() {
    let (_directory, store) = store();
    let contents = with_parents([("lambda_function.py".to_owned(), file(noise(1, 900)))]);
    let published = store
        .publish_zip(&zip_of(&contents), &[], &ZipLimits::default())
        .unwrap();
    assert_eq!(published.image_bytes, 4096);
    let mounted = Mounted::new(&store.image_path(&published.digest));
    assert_eq!(fs::metadata(mounted.root()).unwrap().mode(), 0o040_755);
}
