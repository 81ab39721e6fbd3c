//! What is whole in a file stays, and nothing else, whatever tears it.

use super::*;

#[test]
fn lines_are_appended_whole() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("123/us-east-1/q.jsonl");
    append(&path, b"{}\n", 1_000).unwrap();
    append(&path, b"{\"a\":1}\n{}\n", 1_000).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert_eq!(text, "{}\n{\"a\":1}\n{}\n");
}

#[test]
fn wherever_the_last_line_is_torn_it_is_cut_off_and_written_anew() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q.jsonl");
    // Longer than what is looked at at once.
    let long = format!("{{\"Body\":\"{}\"}}\n", "ü".repeat(100_000));
    for (before, last) in [
        ("", "{\"Body\":\"\\n x\"}\n"),
        ("{}\n", "{\"a\":[1,2]}\n"),
        ("{}\n", &*long),
    ] {
        let step = 1 + last.len() / 100;
        for kept in (0..=last.len()).step_by(step) {
            std::fs::write(
                &path,
                [before.as_bytes(), &last.as_bytes()[..kept]].concat(),
            )
            .unwrap();
            append(&path, b"{\"next\":1}\n", 1_000_000).unwrap();
            let whole = if kept == last.len() { last } else { "" };
            let text = std::fs::read_to_string(&path).unwrap();
            assert_eq!(text, format!("{before}{whole}{{\"next\":1}}\n"), "{kept}");
        }
    }
}

#[test]
fn a_full_disk_leaves_no_half_line_and_is_told_once() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (mut failing, now) = (Failing::default(), Instant::now());
    for _ in 0..3 {
        let written = append(&path, b"{}\n", 1_000);
        assert!(written.is_err());
        failing.heed(&path, &written, now);
        assert_eq!(failing.0.len(), 1);
    }
    std::fs::remove_file(&path).unwrap();
    let written = append(&path, b"{}\n", 1_000);
    assert!(written.is_ok());
    failing.heed(&path, &written, now);
    assert_eq!(failing.0.len(), 1, "it may fail again in a moment");
    failing.heed(&path, &written, now + CALM);
    assert!(failing.0.is_empty());
}

#[test]
fn a_torn_end_does_not_move_to_the_older_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q.jsonl");
    std::fs::write(&path, "1234567\n12").unwrap();
    append(&path, b"2345678\n", 10).unwrap();
    let older = dir.path().join("q.1.jsonl");
    assert_eq!(std::fs::read_to_string(older).unwrap(), "1234567\n");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "2345678\n");
}

#[test]
fn a_full_file_makes_room_and_the_one_before_it_is_dropped() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("q.jsonl");
    let dropped: Vec<bool> = (1..=4)
        .map(|number| {
            let line = format!("{number}234567\n");
            append(&path, line.as_bytes(), 10).unwrap().dropped
        })
        .collect();
    assert_eq!(dropped, [false, false, true, true]);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "4234567\n");
    let older = dir.path().join("q.1.jsonl");
    assert_eq!(std::fs::read_to_string(older).unwrap(), "3234567\n");
}

#[test]
fn users_cannot_name_more_files_than_there_may_be() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a", "b"] {
        let path = dir.path().join(format!("{name}.jsonl"));
        assert_eq!(among_named(path.clone(), 2), path);
        append(&path, b"{}\n", 1_000).unwrap();
    }
    let (known, new) = (dir.path().join("b.jsonl"), dir.path().join("c.jsonl"));
    assert_eq!(among_named(known.clone(), 2), known);
    assert_eq!(among_named(new, 2), dir.path().join(OTHERS));
}

#[tokio::test]
async fn the_writer_answers_each_and_survives_what_cannot_be_written() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("file"), "").unwrap();
    let files = Files::start(1_000).unwrap();
    let blocked = dir.path().join("file/q.jsonl");
    let error = files.append(blocked, b"{}\n".to_vec()).await.unwrap_err();
    assert!(error.starts_with("cannot write "), "{error}");
    let path = dir.path().join("q.jsonl");
    let all = (0..100).map(|number| files.append(path.clone(), format!("{number}\n").into_bytes()));
    for written in all {
        written.await.unwrap();
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 100);
}
