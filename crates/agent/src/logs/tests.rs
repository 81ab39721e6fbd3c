//! Properties of the log store: nothing whole is lost, torn or told twice, whatever happens around it.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::time::Duration;

use proptest::prelude::*;

use pilotlight_model::ids::{AccountId, Region};
use pilotlight_model::logs::Logs;

use super::groups::folder_of;
use super::journal::{Journal, read};
use super::*;

mod instances;
mod queries;

const LIMITS: LogLimits = LogLimits {
    group: 1 << 20,
    account: 1 << 30,
};

fn group() -> LogGroup {
    LogGroup {
        account: AccountId::default(),
        region: Region::default(),
        name: "/aws/lambda/f".to_owned(),
    }
}

fn batch(messages: &[String]) -> Batch {
    let lines = messages
        .iter()
        .map(|message| Line {
            at_ms: 1_700_000_000_000,
            message: message.clone(),
        })
        .collect();
    Batch {
        group: Arc::new(group()),
        stream: "2026/01/02/[$LATEST]ab".into(),
        lines,
        ingested_ms: None,
    }
}

fn messages(lines: &[LogLine]) -> Vec<String> {
    lines.iter().map(|line| line.message.clone()).collect()
}

/// Reads everything behind a position in steps of `limit`.
fn read_on(folder: &Path, mut position: u64, limit: usize) -> Vec<LogLine> {
    let mut all = Vec::new();
    loop {
        let lines = read(folder, position, limit).unwrap();
        let Some(last) = lines.last() else { return all };
        assert!(lines.len() <= limit);
        assert!(lines.first().unwrap().position > position, "positions grow");
        position = last.position;
        all.extend(lines);
    }
}

fn any_message() -> impl Strategy<Value = String> {
    prop_oneof![
        "[ -~]{0,60}",
        "\\PC{0,20}",
        Just("\u{0}\n\r\"\\".to_owned())
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_written_is_read_whatever_the_steps(
        batches in proptest::collection::vec(proptest::collection::vec(any_message(), 1..5), 1..20),
        limit in 1..7usize,
        reopen in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), 1 << 20).unwrap();
        for lines in &batches {
            if reopen {
                journal = Journal::open(folder.path(), 1 << 20).unwrap();
            }
            journal.append(&batch(lines)).unwrap();
        }
        let all = read_on(folder.path(), 0, limit);
        prop_assert_eq!(messages(&all), batches.concat());
        // Any position that was told reads on exactly behind its line.
        for (index, line) in all.iter().enumerate() {
            let rest = read(folder.path(), line.position, 1).unwrap();
            prop_assert_eq!(rest.first(), all.get(index + 1));
        }
    }

    #[test]
    fn rotation_keeps_the_newest_within_the_limit_and_positions_stay_true(
        lengths in proptest::collection::vec(0..400usize, 50..200),
        limit in 2_000..20_000u64,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), limit).unwrap();
        let mut told: Vec<LogLine> = Vec::new();
        for (number, length) in lengths.iter().enumerate() {
            let message = format!("{number} {}", "x".repeat(*length));
            journal.append(&batch(&[message])).unwrap();
            let behind = told.last().map_or(0, |line| line.position);
            let new = read(folder.path(), behind, 10).unwrap();
            prop_assert_eq!(new.len(), 1, "a reader that follows misses nothing");
            told.extend(new);
        }
        let kept = read_on(folder.path(), 0, 1_000);
        prop_assert!(told.ends_with(&kept));
        let size: u64 = fs::read_dir(folder.path())
            .unwrap()
            .map(|entry| entry.unwrap().metadata().unwrap().len())
            .sum();
        prop_assert!(size <= limit + 1_000, "{size} of {limit}");
        prop_assert!(size * 2 >= limit.min(told.last().unwrap().position), "not much more goes than must");
    }

    #[test]
    fn a_torn_end_costs_the_torn_line_alone(cut in 1..200usize, garbage in "\\PC{0,30}") {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> = (0..5).map(|number| format!("line {number}")).collect();
        Journal::open(folder.path(), 1 << 20).unwrap().append(&batch(&lines)).unwrap();
        let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
        let whole = fs::metadata(&path).unwrap().len();
        let kept = whole.saturating_sub(cut as u64);
        OpenOptions::new().write(true).open(&path).unwrap().set_len(kept).unwrap();
        let survivors = messages(&read(folder.path(), 0, 100).unwrap());
        prop_assert!(lines.starts_with(&survivors));
        let mut file = OpenOptions::new().append(true).open(&path).unwrap();
        file.write_all(garbage.replace('\n', "").as_bytes()).unwrap();
        let mut journal = Journal::open(folder.path(), 1 << 20).unwrap();
        journal.append(&batch(&["after".to_owned()])).unwrap();
        let mut expected = survivors;
        expected.push("after".to_owned());
        prop_assert_eq!(messages(&read(folder.path(), 0, 100).unwrap()), expected);
    }

    #[test]
    fn any_position_is_safe_to_read_from(position in any::<u64>()) {
        let folder = tempfile::tempdir().unwrap();
        let lines: Vec<String> = (0..20).map(|number| format!("line {number}")).collect();
        Journal::open(folder.path(), 1 << 20).unwrap().append(&batch(&lines)).unwrap();
        let position = position % 3_000;
        let read = messages(&read(folder.path(), position, 100).unwrap());
        prop_assert!(lines.ends_with(&read));
    }
}

#[test]
fn garbage_in_the_middle_is_stepped_over() {
    let folder = tempfile::tempdir().unwrap();
    Journal::open(folder.path(), 1 << 20)
        .unwrap()
        .append(&batch(&["a".to_owned()]))
        .unwrap();
    let path = fs::read_dir(folder.path())
        .unwrap()
        .next()
        .unwrap()
        .unwrap()
        .path();
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"\xff\xfe not json\n{\"t\":1}\n").unwrap();
    Journal::open(folder.path(), 1 << 20)
        .unwrap()
        .append(&batch(&["b".to_owned()]))
        .unwrap();
    assert_eq!(messages(&read(folder.path(), 0, 100).unwrap()), ["a", "b"]);
}

#[tokio::test]
async fn a_reader_sees_what_was_pushed_before_it() {
    let folder = tempfile::tempdir().unwrap();
    let store = LogStore::open(folder.path(), LIMITS).unwrap();
    for number in 0..50 {
        store.push(batch(&[number.to_string()])).await;
        let lines = store.read(group(), 0, 1_000).await.unwrap();
        assert_eq!(lines.len(), number + 1);
    }
    drop(store);
    // A clean stop has lost nothing either, and the next start goes on behind it.
    let store = LogStore::open(folder.path(), LIMITS).unwrap();
    store.push(batch(&["50".to_owned()])).await;
    assert_eq!(store.read(group(), 0, 1_000).await.unwrap().len(), 51);
}

#[tokio::test]
async fn an_account_that_logs_too_much_loses_its_own_oldest_lines() {
    let folder = tempfile::tempdir().unwrap();
    let limits = LogLimits {
        group: 256 * 1024,
        account: 512 * 1024,
    };
    let of = |account: &str, name: String| LogGroup {
        account: account.parse().unwrap(),
        name,
        ..group()
    };
    let quiet = of("000000000002", "/aws/lambda/quiet".to_owned());
    let size = || -> u64 {
        let regions = folder.path().join("000000000001/us-east-1");
        let groups = fs::read_dir(regions).unwrap().map(|it| it.unwrap().path());
        let facts = groups.map(|it| super::groups::facts(&it).unwrap().unwrap());
        facts.map(|it| it.bytes).sum()
    };
    let store = LogStore::open(folder.path(), limits).unwrap();
    let said = |group: &LogGroup, message: String| Batch {
        group: Arc::new(group.clone()),
        ..batch(&[message])
    };
    store.push(said(&quiet, "first".to_owned())).await;
    for number in 0..40 {
        let flood = of("000000000001", format!("/aws/lambda/{number}"));
        for line in 0..5 {
            let message = format!("{line} {}", "x".repeat(8_000));
            store.push(said(&flood, message)).await;
        }
        store.written().await;
        assert!(size() <= limits.account, "{}", size());
        let newest = store.read(flood, 0, 10).await.unwrap();
        assert_eq!(newest.len(), 5, "the newest stays whole");
    }
    let oldest = of("000000000001", "/aws/lambda/0".to_owned());
    assert!(store.read(oldest, 0, 10).await.unwrap().is_empty());
    assert_eq!(
        messages(&store.read(quiet, 0, 10).await.unwrap()),
        ["first"]
    );
    assert_eq!(store.dropped(), 0);
}

#[tokio::test]
async fn what_is_asked_of_the_writer_while_it_is_busy_does_not_pile_up() {
    let folder = tempfile::tempdir().unwrap();
    let store = LogStore::open(folder.path(), LIMITS).unwrap();
    for number in 0..1_000 {
        let time = Some(Duration::from_secs(number));
        Logs::retain(&store, &group(), time);
        store.expire();
    }
    let deletions = (0..200).map(|_| Logs::delete_group(&store, &group()));
    for deleted in deletions {
        deleted.await.unwrap();
    }
    store.push(batch(&["after".to_owned()])).await;
    let lines = store.read(group(), 0, 10).await.unwrap();
    assert_eq!(messages(&lines), ["after"]);
}

#[tokio::test]
async fn an_unknown_group_is_empty() {
    let folder = tempfile::tempdir().unwrap();
    let store = LogStore::open(folder.path(), LIMITS).unwrap();
    assert!(store.read(group(), 0, 10).await.unwrap().is_empty());
}

#[tokio::test]
async fn a_full_disk_loses_lines_and_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let full = folder_of(folder.path(), &group());
    fs::create_dir_all(&full).unwrap();
    let segment = full.join(format!("{:020}.jsonl", 0));
    std::os::unix::fs::symlink("/dev/full", &segment).unwrap();
    let store = LogStore::open(folder.path(), LIMITS).unwrap();
    for _ in 0..3 {
        store
            .push(batch(&["lost".to_owned(), "too".to_owned()]))
            .await;
    }
    store.written().await;
    assert_eq!(store.dropped(), 6);
    // There is room again.
    fs::remove_file(&segment).unwrap();
    store.push(batch(&["kept".to_owned()])).await;
    assert_eq!(
        messages(&store.read(group(), 0, 10).await.unwrap()),
        ["kept"]
    );
    assert_eq!(store.dropped(), 6);
}
