//! What is refused, and with which words.

use std::fs;

use pilotlight_store::{PublishError, ZipLimits};
use proptest::prelude::*;

use crate::kernel::{noise, store};
use crate::rawzip::{Raw, zip};

const GENERAL: &str =
    "Could not unzip uploaded file. Please check your file, then try to upload again. Reason: ";

/// Publishes, and gives the message that the user gets. Nothing may be left behind.
#[track_caller]
fn refusal_within(archive: &[u8], limits: &ZipLimits) -> String {
    let (directory, store) = store();
    let error = store
        .publish_zip(archive, &[], limits)
        .expect_err("it is refused");
    for part in ["images", "tmp"] {
        assert_eq!(
            fs::read_dir(directory.path().join(part)).unwrap().count(),
            0,
            "{part}"
        );
    }
    error
        .user_message()
        .expect("the user can do something about it")
}

#[track_caller]
fn refusal(archive: &[u8]) -> String {
    refusal_within(archive, &ZipLimits::default())
}

#[track_caller]
fn refused(entries: &[Raw], reason: &str) {
    assert_eq!(refusal(&zip(entries)), format!("{GENERAL}{reason}."));
}

#[test]
fn what_is_no_zip() {
    let not = "Could not unzip uploaded file. Please check your file, then try to upload again.";
    assert_eq!(refusal(b"#!/bin/sh\necho hello\n"), not);
    assert_eq!(refusal(&noise(1, 100_000)), not);
    assert_eq!(refusal(b"PK"), not);
    assert_eq!(refusal(b""), "Uploaded file must be a non-empty zip");
    assert_eq!(refusal(&zip(&[])), "Uploaded file must be a non-empty zip");
}

#[test]
fn a_truncated_archive() {
    let whole = zip(&[
        Raw::deflated("a", &noise(1, 9000)),
        Raw::stored("b", noise(2, 9000)),
    ]);
    let truncated = format!("{GENERAL}the archive is truncated or damaged.");
    for len in [
        30,
        5000,
        whole.len() - 100,
        whole.len() - 22,
        whole.len() - 1,
    ] {
        assert_eq!(refusal(&whole[..len]), truncated, "cut to {len}");
    }
    assert_eq!(refusal(&whole[100..]), truncated, "cut at the front");
}

#[test]
fn a_wrong_count_of_entries() {
    let mut archive = zip(&[Raw::stored("a", "x"), Raw::stored("b", "y")]);
    let count = archive.len() - 12;
    archive[count] = 3;
    assert_eq!(
        refusal(&archive),
        format!("{GENERAL}the archive is truncated or damaged.")
    );
}

#[test]
fn contents_that_are_not_what_the_headers_say() {
    let good = Raw::deflated("f.py", b"print('hello')");
    let stored = Raw::stored("f.py", "print('hello')");
    let checksum = "the contents of 'f.py' do not match their checksum";
    let size = "the contents of 'f.py' do not have the size that the archive declares";
    let deflate = "the contents of 'f.py' cannot be decompressed";
    refused(
        &[Raw {
            crc: 1,
            ..good.clone()
        }],
        checksum,
    );
    refused(
        &[Raw {
            crc: 1,
            ..stored.clone()
        }],
        checksum,
    );
    refused(
        &[Raw {
            size: 3,
            ..good.clone()
        }],
        size,
    );
    refused(
        &[Raw {
            size: 300,
            ..good.clone()
        }],
        size,
    );
    refused(&[Raw { size: 3, ..stored }], size);
    let cut = good.data[..good.data.len() - 4].to_vec();
    refused(
        &[Raw {
            data: cut,
            ..good.clone()
        }],
        deflate,
    );
    let longer = [&good.data[..], b"more"].concat();
    refused(
        &[Raw {
            data: longer,
            ..good.clone()
        }],
        deflate,
    );
    refused(
        &[Raw {
            data: b"\xff\xff\xff".to_vec(),
            ..good.clone()
        }],
        deflate,
    );
    refused(
        &[Raw {
            data: Vec::new(),
            ..good
        }],
        deflate,
    );
}

#[test]
fn what_cannot_be_read() {
    let file = Raw::stored("f", "x");
    refused(
        &[Raw {
            flags: 1,
            ..file.clone()
        }],
        "the entry 'f' is encrypted",
    );
    refused(
        &[Raw {
            flags: 1 << 6,
            ..file.clone()
        }],
        "the entry 'f' is encrypted",
    );
    refused(
        &[Raw {
            method: 99,
            ..file.clone()
        }],
        "the entry 'f' is encrypted",
    );
    for method in [9, 12, 14, 93] {
        refused(
            &[Raw {
                method,
                ..file.clone()
            }],
            &format!("the entry 'f' is compressed by method {method}, which is not supported"),
        );
    }
}

#[test]
fn headers_that_contradict_each_other() {
    let file = Raw::stored("f", "x");
    let reason = "the headers of 'f' contradict each other";
    refused(
        &[Raw {
            local_name: Some(b"g".to_vec()),
            ..file.clone()
        }],
        reason,
    );
    refused(
        &[Raw {
            local_method: Some(8),
            ..file.clone()
        }],
        reason,
    );
    refused(
        &[Raw {
            local_crc: Some(7),
            ..file.clone()
        }],
        reason,
    );
    refused(
        &[Raw {
            local_crc: Some(0),
            ..file
        }],
        reason,
    );
}

#[test]
fn entries_that_overlap() {
    let first = Raw::stored("f", noise(1, 1000));
    let again = Raw {
        offset: Some(0),
        ..first.clone()
    };
    refused(
        &[first.clone(), again],
        "the entry 'f' overlaps another one",
    );
    // The quoted kind: the contents of one hold the headers of the next.
    let inner = zip(&[Raw::stored("g", "inner")]);
    let outer = Raw::stored("f", inner);
    let quoted = Raw {
        offset: Some(31),
        ..Raw::stored("g", "inner")
    };
    refused(&[outer, quoted], "the entry 'f' overlaps another one");
    // Contents that reach into the directory.
    let mut greedy = Raw::stored("f", "x");
    let long = zip(&[greedy.clone()]);
    greedy.data_len = Some(10);
    greedy.size = 10;
    greedy.crc = crc32fast::hash(&long[31..41]);
    refused(&[greedy], "the entry 'f' overlaps another one");
}

#[test]
fn names_that_leave_the_tree() {
    let cases: [(&[u8], &str); 14] = [
        (
            b"../f",
            "the name of entry '../f' leads out of the archive with '..'",
        ),
        (
            b"a/../../f",
            "the name of entry 'a/../../f' leads out of the archive with '..'",
        ),
        (
            b"a/..",
            "the name of entry 'a/..' leads out of the archive with '..'",
        ),
        (
            b"/etc/passwd",
            "the name of entry '/etc/passwd' is absolute",
        ),
        (
            b"a\\b",
            "the name of entry 'a\\\\b' has a backslash; use '/' between directories",
        ),
        (
            b"..\\f",
            "the name of entry '..\\\\f' has a backslash; use '/' between directories",
        ),
        (b"a\0b", "the name of entry 'a\\0b' has a NUL byte"),
        (b"a//b", "the name of entry 'a//b' has an empty component"),
        (b"a//", "the name of entry 'a//' has an empty component"),
        (b"", "the name of entry '' has an empty component"),
        (b".", "the entry '.' has no name of its own"),
        (b"/", "the name of entry '/' is absolute"),
        (
            b"a/./..",
            "the name of entry 'a/./..' leads out of the archive with '..'",
        ),
        (
            b"\x1b[2Jf\\",
            "the name of entry '\\u{1b}[2Jf\\\\' has a backslash; use '/' between directories",
        ),
    ];
    for (name, reason) in cases {
        refused(&[Raw::stored(name, "")], reason);
    }
    let marked = Raw {
        flags: 1 << 11,
        ..Raw::stored(b"\xff".to_vec(), "")
    };
    refused(&[marked], "the name of entry '\u{fffd}' is not UTF-8");
}

#[test]
fn names_that_are_there_twice() {
    let file = |name: &str| Raw::stored(name, "x");
    refused(
        &[file("f"), file("f")],
        "the archive holds 'f' more than once",
    );
    refused(
        &[file("f"), file("./f")],
        "the archive holds './f' more than once",
    );
    refused(
        &[file("f"), Raw::symlink("f", "g")],
        "the archive holds 'f' more than once",
    );
    refused(
        &[file("d"), Raw::directory("d/")],
        "'d/' is a file and a directory at once",
    );
    refused(
        &[Raw::directory("d/"), file("d")],
        "'d' is a file and a directory at once",
    );
    refused(
        &[file("d"), file("d/f")],
        "'d/f' is a file and a directory at once",
    );
    refused(
        &[file("d/f"), file("d")],
        "'d' is a file and a directory at once",
    );
    refused(
        &[Raw::symlink("d", "e"), file("d/f")],
        "'d/f' is a file and a directory at once",
    );
    refused(
        &[Raw::stored("d/", "contents")],
        "'d/' is a file and a directory at once",
    );
}

#[test]
fn links_out_of_the_package() {
    let link = |target: &str| [Raw::symlink("d/l", target)];
    refused(
        &link("/etc/passwd"),
        "the symbolic link 'd/l' leads to an absolute path",
    );
    refused(
        &link("../../x"),
        "the symbolic link 'd/l' leads out of the archive",
    );
    refused(
        &link("./.././../x"),
        "the symbolic link 'd/l' leads out of the archive",
    );
    let winding = "the symbolic link 'd/l' goes down and up again; only leading '..' are supported";
    refused(&link("x/../../../y"), winding);
    refused(&link("../x/.."), winding);
    let none = "the symbolic link 'd/l' has no valid target";
    refused(&link(""), none);
    refused(&link("a\0b"), none);
    refused(&link(&"x/".repeat(2048)), none);
}

#[test]
fn files_that_are_not_files() {
    for kind in [0o010_000, 0o020_000, 0o060_000, 0o140_000] {
        let special = Raw {
            mode: kind | 0o644,
            ..Raw::stored("dev", "")
        };
        let reason = "the entry 'dev' is neither a file nor a directory nor a symbolic link";
        refused(&[special], reason);
    }
}

#[test]
fn archives_over_the_limits() {
    let limits = ZipLimits {
        entries: 4,
        unpacked_bytes: 20_000,
        ratio: 10,
        small_bytes: 5_000,
        depth: 3,
        path_bytes: 40,
    };
    let refusal = |entries: &[Raw]| refusal_within(&zip(entries), &limits);
    let many: Vec<Raw> = (0..5).map(|at| Raw::stored(format!("f{at}"), "")).collect();
    let too_many = format!("{GENERAL}the archive holds more than 4 files and directories.");
    assert_eq!(refusal(&many), too_many);
    let implied = ["a/b/c", "d/e/f"].map(|name| Raw::stored(name, ""));
    assert_eq!(refusal(&implied), too_many, "directories count");
    let halves = [
        Raw::stored("a", noise(1, 10_001)),
        Raw::stored("b", noise(2, 10_000)),
    ];
    assert_eq!(
        refusal(&halves),
        "Unzipped size must be smaller than 20000 bytes"
    );
    let bomb = [Raw::deflated("zeros", &[0; 20_000])];
    assert_eq!(
        refusal(&bomb),
        format!("{GENERAL}the archive unpacks to more than 10 times its size.")
    );
    assert_eq!(
        refusal(&[Raw::stored("a/b/c/d", "")]),
        format!("{GENERAL}the name of entry 'a/b/c/d' is more than 3 directories deep.")
    );
    let long = "n".repeat(41);
    assert_eq!(
        refusal(&[Raw::stored(&*long, "")]),
        format!("{GENERAL}the name of entry '{long}' is longer than 40 bytes.")
    );
    let component = "n".repeat(256);
    assert!(self::refusal(&zip(&[Raw::stored(component, "")])).contains("longer than 255 bytes"));
}

#[test]
fn a_liar_about_its_size_is_stopped_at_what_it_declares() {
    let bomb = Raw {
        size: 10,
        ..Raw::deflated("zeros", &vec![0; 64 << 20])
    };
    refused(
        &[bomb],
        "the contents of 'zeros' do not have the size that the archive declares",
    );
}

#[test]
fn long_names_are_cut_in_messages() {
    let name = "é/".repeat(500);
    let message = refusal(&zip(&[Raw::stored(name, "")]));
    assert!(message.len() < 500, "{message}");
}

fn sample() -> Vec<u8> {
    zip(&[
        Raw::deflated("pkg/a.py", &noise(1, 3000)),
        Raw::stored("pkg/b.py", noise(2, 500)),
        Raw::directory("pkg/empty/"),
        Raw::symlink("link", "pkg/a.py"),
    ])
}

/// Garbage is refused or, where it makes no difference, taken; it never panics, and never leaves half
/// an image.
fn survives(archive: &[u8]) {
    let (directory, store) = store();
    let images = || {
        fs::read_dir(directory.path().join("images"))
            .unwrap()
            .count()
    };
    match store.publish_zip(archive, &[], &ZipLimits::default()) {
        Ok(published) => {
            assert!(store.contains(&published.digest));
            crate::mounted::Mounted::new(&store.image_path(&published.digest)).contents();
        }
        Err(PublishError::Store(error)) => panic!("not the store's fault: {error}"),
        Err(_) => assert_eq!(images(), 0),
    }
    assert_eq!(
        fs::read_dir(directory.path().join("tmp")).unwrap().count(),
        0
    );
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn flipped_bytes_never_panic(flips in prop::collection::vec((any::<prop::sample::Index>(), 1u8..), 1..4)) {
        let mut archive = sample();
        for (index, mask) in flips {
            let at = index.index(archive.len());
            archive[at] ^= mask;
        }
        survives(&archive);
    }

    #[test]
    fn flipped_headers_never_panic(at in any::<prop::sample::Index>(), bytes in prop::collection::vec(any::<u8>(), 1..9)) {
        let mut archive = sample();
        let directory = archive.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
        let at = directory + at.index(archive.len() - directory);
        for (place, byte) in archive[at..].iter_mut().zip(bytes) {
            *place = byte;
        }
        survives(&archive);
    }

    #[test]
    fn truncation_never_panics(len in any::<prop::sample::Index>()) {
        let archive = sample();
        survives(&archive[..len.index(archive.len())]);
    }
}
