//! Queries against a plain list of everything that was written.

use std::collections::BTreeSet;
use std::time::SystemTime;

use pilotlight_model::logs::{Cursor, LogEvent, LogQuery, NewEvent, Streams};
use proptest::collection::vec;

use super::super::index::Index;
use super::super::{segment, select};
use super::*;

/// An event to be written: stream, time and message.
type Written = (usize, u64, String);

fn stream(number: usize) -> String {
    format!("stream-{number}")
}

fn append(journal: &mut Journal, (number, at_ms, message): &Written) {
    let line = Line {
        at_ms: *at_ms,
        message: message.clone(),
    };
    let batch = Batch {
        group: Arc::new(group()),
        stream: stream(*number).into(),
        lines: vec![line],
        ingested_ms: Some(7),
    };
    journal.append(&batch).unwrap();
}

fn everything() -> LogQuery {
    LogQuery {
        streams: Streams::All,
        from_ms: 0,
        until_ms: u64::MAX,
        after: None,
        backwards: false,
        matcher: None,
        limit: 10_000,
        bytes: 1 << 20,
    }
}

/// All pages of a query, oldest event first, and how many there were.
fn pages(index: &Index, query: &LogQuery) -> (Vec<LogEvent>, usize) {
    let (mut all, mut count, mut query) = (Vec::new(), 0, query.clone());
    loop {
        let page = select::page(index.plan(&query), &query).unwrap();
        assert!(page.events.len() <= query.limit);
        let bytes: usize = page.events.iter().map(|it| it.message.len()).sum();
        assert!(bytes <= query.bytes || page.events.len() == 1);
        count += 1;
        match query.backwards {
            false => all.extend(page.events),
            true => {
                all.splice(0..0, page.events);
            }
        }
        let Some(next) = page.next else {
            return (all, count);
        };
        assert_ne!(query.after, Some(next), "every page gets on");
        query.after = Some(next);
    }
}

fn shown(events: &[LogEvent]) -> Vec<(String, u64, String)> {
    let shown = events.iter();
    shown
        .map(|it| (it.stream.to_string(), it.cursor.at_ms, it.message.clone()))
        .collect()
}

fn any_written() -> impl Strategy<Value = Vec<Written>> {
    // Mostly in order, as logs are; some far off.
    vec((0..4usize, 0..1_000u64, 0..9u8, "[a-z]{0,30}"), 1..120).prop_map(|written| {
        let mut clock = 10_000;
        let told = written.into_iter();
        told.map(|(stream, shift, kind, message)| {
            clock += shift % 7;
            let at_ms = if kind == 0 {
                clock - shift * 5
            } else {
                clock - shift % 5
            };
            (stream, at_ms, message)
        })
        .collect()
    })
}

fn any_streams() -> impl Strategy<Value = Streams> {
    prop_oneof![
        Just(Streams::All),
        proptest::collection::btree_set(0..5usize, 0..3)
            .prop_map(|it| Streams::Named(it.into_iter().map(stream).collect::<BTreeSet<_>>())),
        Just(Streams::Prefix("stream-".to_owned())),
        Just(Streams::Prefix("stream-2".to_owned())),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn pages_are_the_whole_in_order(
        written in any_written(),
        streams in any_streams(),
        (from_ms, length) in (5_000..11_000u64, 0..6_000u64),
        limit in 1..20usize,
        bytes in 10..400usize,
        letter in proptest::option::of("[a-z]"),
        backwards in any::<bool>(),
        (deleted, deleted_at) in (0..6usize, 0..120usize),
        looks in 1..4usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), 1 << 30).unwrap();
        let mut index = Index::default();
        for (number, event) in written.iter().enumerate() {
            append(&mut journal, event);
            if number == deleted_at {
                journal.delete_stream(&stream(deleted), 1).unwrap();
            }
            if number % looks == 0 {
                index.refresh(folder.path()).unwrap();
            }
        }
        index.refresh(folder.path()).unwrap();
        let mut fresh = Index::default();
        fresh.refresh(folder.path()).unwrap();

        let query = LogQuery {
            streams: streams.clone(),
            from_ms,
            until_ms: from_ms + length,
            matcher: letter.clone().map(|letter| -> pilotlight_model::logs::Matcher {
                Arc::new(move |message| message.contains(&letter))
            }),
            limit,
            bytes,
            backwards,
            ..everything()
        };
        let mut wanted: Vec<(u64, usize)> = written
            .iter()
            .enumerate()
            .filter(|(number, (of, at_ms, message))| {
                streams.contain(&stream(*of))
                    && (from_ms..from_ms + length).contains(at_ms)
                    && letter.as_ref().is_none_or(|it| message.contains(it.as_str()))
                    && !(*of == deleted && *number <= deleted_at && deleted_at < written.len())
            })
            .map(|(number, (_, at_ms, _))| (*at_ms, number))
            .collect();
        wanted.sort_unstable();
        let wanted: Vec<_> = wanted
            .into_iter()
            .map(|(at_ms, number)| (stream(written[number].0), at_ms, written[number].2.clone()))
            .collect();
        for index in [&index, &fresh] {
            prop_assert_eq!(&shown(&pages(index, &query).0), &wanted);
        }

        // A stream is known by what it has said since it was deleted.
        let mut known: Vec<_> = index.streams().into_iter().map(|it| (it.name, it.first_ms, it.last_ms)).collect();
        known.sort_unstable();
        let mut there: Vec<(Arc<str>, u64, u64)> = Vec::new();
        for of in 0..4 {
            let times = written.iter().enumerate().filter(|(number, event)| {
                event.0 == of && !(of == deleted && *number <= deleted_at && deleted_at < written.len())
            });
            let times: Vec<u64> = times.map(|(_, event)| event.1).collect();
            if let (Some(first), Some(last)) = (times.iter().min(), times.iter().max()) {
                there.push((stream(of).into(), *first, *last));
            }
        }
        prop_assert_eq!(known, there);
    }

    #[test]
    fn an_index_follows_rotation(
        lengths in vec(0..400usize, 50..150),
        limit in 2_000..20_000u64,
        every in 1..20usize,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), limit).unwrap();
        let mut index = Index::default();
        for (number, length) in lengths.iter().enumerate() {
            append(&mut journal, &(number / 10, number as u64, "x".repeat(*length)));
            if number % every == 0 {
                index.refresh(folder.path()).unwrap();
            }
        }
        index.refresh(folder.path()).unwrap();
        let (events, _) = pages(&index, &LogQuery { limit: 7, ..everything() });
        let kept: Vec<u64> = read_on(folder.path(), 0, 1_000).iter().map(|it| it.at_ms).collect();
        let found: Vec<u64> = events.iter().map(|it| it.cursor.at_ms).collect();
        prop_assert_eq!(found, kept);
        let streams: BTreeSet<_> = events.iter().map(|it| it.stream.to_string()).collect();
        let known: BTreeSet<_> = index.streams().iter().map(|it| it.name.to_string()).collect();
        prop_assert_eq!(known, streams);
    }

    #[test]
    fn any_cursor_is_safe(at_ms in any::<u64>(), position in any::<u64>(), backwards in any::<bool>()) {
        let folder = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(folder.path(), 1 << 20).unwrap();
        for number in 0..20 {
            append(&mut journal, &(0, number * 1_000, number.to_string()));
        }
        let mut index = Index::default();
        index.refresh(folder.path()).unwrap();
        let at_ms = at_ms % 30_000;
        let after = Some(Cursor { at_ms, position });
        let (events, _) = pages(&index, &LogQuery { after, backwards, ..everything() });
        for event in events {
            let behind = event.cursor > Cursor { at_ms, position };
            prop_assert_eq!(behind, !backwards);
        }
    }
}

#[test]
fn garbage_and_torn_lines_are_stepped_over() {
    let folder = tempfile::tempdir().unwrap();
    let mut index = Index::default();
    let mut journal = Journal::open(folder.path(), 1 << 20).unwrap();
    append(&mut journal, &(0, 1, "a".to_owned()));
    let path = segment::path_of(folder.path(), 0);
    let mut file = OpenOptions::new().append(true).open(&path).unwrap();
    file.write_all(b"\xff\xfe not json\n{\"t\":1}\n{\"t\":2,\"s\":\"torn")
        .unwrap();
    index.refresh(folder.path()).unwrap();
    let found = |index: &Index| shown(&pages(index, &everything()).0);
    assert_eq!(found(&index), [(stream(0), 1, "a".to_owned())]);
    // The next open cuts the torn end off, and what is written then stands where it was.
    let mut journal = Journal::open(folder.path(), 1 << 20).unwrap();
    append(&mut journal, &(1, 3, "b".to_owned()));
    index.refresh(folder.path()).unwrap();
    assert_eq!(
        found(&index),
        [
            (stream(0), 1, "a".to_owned()),
            (stream(1), 3, "b".to_owned())
        ]
    );
}

#[test]
fn a_page_looks_at_the_blocks_of_its_time_alone() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), 1 << 30).unwrap();
    for number in 0..3_000 {
        append(&mut journal, &(0, number, "x".repeat(1_000)));
    }
    let mut index = Index::default();
    index.refresh(folder.path()).unwrap();
    let newest = LogQuery {
        from_ms: 2_990,
        ..everything()
    };
    let plan = index.plan(&newest);
    assert!(plan.spans.len() <= 2, "{}", plan.spans.len());
    assert_eq!(pages(&index, &newest).0.len(), 10);
}

#[test]
fn what_matches_seldom_is_looked_for_in_parts() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), 1 << 30).unwrap();
    for number in 0..250 {
        append(&mut journal, &(0, number, "x".repeat(LINE_BYTES)));
    }
    append(&mut journal, &(0, 250, "needle".to_owned()));
    let mut index = Index::default();
    index.refresh(folder.path()).unwrap();
    let query = LogQuery {
        matcher: Some(Arc::new(|message| message == "needle")),
        ..everything()
    };
    let (found, count) = pages(&index, &query);
    assert_eq!(shown(&found), [(stream(0), 250, "needle".to_owned())]);
    assert!(count > 2, "no call looks at all of 60 MB: {count}");
}

#[tokio::test]
async fn a_group_s_life() {
    let folder = tempfile::tempdir().unwrap();
    let store = LogStore::open(folder.path(), LIMITS).unwrap();
    let (account, region) = (AccountId::default(), Region::default());
    assert!(store.groups(&account, &region).await.unwrap().is_empty());
    assert_eq!(store.facts(vec![group()]).await.unwrap(), [None]);

    store.push(batch(&["line".to_owned()])).await;
    let event = NewEvent {
        at_ms: 5,
        message: "put".to_owned(),
    };
    store.put(&group(), "mine", vec![event]).await.unwrap();
    assert_eq!(
        store.groups(&account, &region).await.unwrap(),
        ["/aws/lambda/f"]
    );
    let facts = store.facts(vec![group()]).await.unwrap();
    assert!(facts[0].as_ref().unwrap().bytes > 0);
    let page = store.query(&group(), everything()).await.unwrap();
    let told: Vec<_> = page.events.iter().map(|it| it.message.as_str()).collect();
    // A function's line has the line end that it was written with.
    assert_eq!(told, ["put", "line\n"]);

    store.delete_stream(&group(), "mine").await.unwrap();
    assert_eq!(store.streams(&group()).await.unwrap().len(), 1);
    assert_eq!(
        store
            .query(&group(), everything())
            .await
            .unwrap()
            .events
            .len(),
        1
    );
    let last = store.read(group(), 0, 10).await.unwrap()[0].position;

    store.delete_group(&group()).await.unwrap();
    assert!(store.groups(&account, &region).await.unwrap().is_empty());
    assert!(
        store
            .query(&group(), everything())
            .await
            .unwrap()
            .events
            .is_empty()
    );
    // The next line makes it anew, also for who has followed it.
    store.push(batch(&["n".to_owned()])).await;
    let page = store.query(&group(), everything()).await.unwrap();
    assert_eq!(page.events.len(), 1);
    assert_eq!(
        messages(&store.read(group(), last + 100, 10).await.unwrap()),
        ["n"]
    );
}

#[test]
fn old_segments_expire_and_new_ones_stay() {
    const DAY: Duration = Duration::from_secs(86_400);
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::open(folder.path(), 1 << 20).unwrap();
    journal.append(&batch(&["old".to_owned()])).unwrap();
    // The batch's own time is long ago: its segment is closed, and kept as it was just written.
    journal.expire(3 * DAY, SystemTime::now()).unwrap();
    journal.append(&batch(&["new".to_owned()])).unwrap();
    assert_eq!(
        messages(&read(folder.path(), 0, 10).unwrap()),
        ["old", "new"]
    );
    assert_eq!(segment::all(folder.path()).unwrap().len(), 2);

    let oldest = segment::path_of(folder.path(), 0);
    let file = OpenOptions::new().append(true).open(oldest).unwrap();
    file.set_modified(SystemTime::now() - 4 * DAY).unwrap();
    journal.expire(3 * DAY, SystemTime::now()).unwrap();
    assert_eq!(messages(&read(folder.path(), 0, 10).unwrap()), ["new"]);
    // Long after the last line, everything has gone, and what comes is kept.
    journal
        .expire(3 * DAY, SystemTime::now() + 9 * DAY)
        .unwrap();
    assert!(read(folder.path(), 0, 10).unwrap().is_empty());
    journal.append(&batch(&["newer".to_owned()])).unwrap();
    assert_eq!(messages(&read(folder.path(), 0, 10).unwrap()), ["newer"]);
}
