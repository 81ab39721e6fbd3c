//! The sums of the books, beside sums made anew from a list of what is there.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::event::Held;

#[derive(Debug, Clone)]
enum Step {
    Starting(u64, u32, u32),
    Idle(u64, u64),
    Busy(u64),
    Gone(u64),
    Held(u32, u32, Rung, u64),
    Lost(u32, u32, Rung),
}

fn step() -> impl Strategy<Value = Step> {
    let rung = prop_oneof![Just(Rung::Zygote), Just(Rung::Template), Just(Rung::Spare)];
    prop_oneof![
        (0..9u64, 0..4u32, 0..3u32)
            .prop_map(|(id, version, node)| Step::Starting(id, version, node)),
        (0..9u64, 0..500u64).prop_map(|(id, memory)| Step::Idle(id, memory)),
        (0..9u64).prop_map(Step::Busy),
        (0..9u64).prop_map(Step::Gone),
        (0..4u32, 0..3u32, rung.clone(), 0..500u64)
            .prop_map(|(version, node, rung, memory)| Step::Held(version, node, rung, memory)),
        (0..4u32, 0..3u32, rung).prop_map(|(version, node, rung)| Step::Lost(version, node, rung)),
    ]
}

fn event(step: &Step) -> Event {
    match *step {
        Step::Starting(id, version, node) => Event::Starting(Starting {
            instance: InstanceId(id),
            version: VersionId(version),
            node: NodeId(node),
            ticket: None,
        }),
        Step::Idle(id, memory) => Event::Idle(Idle {
            instance: InstanceId(id),
            memory: Bytes(memory),
        }),
        Step::Busy(id) => Event::Busy(InstanceId(id)),
        Step::Gone(id) => Event::Gone(InstanceId(id)),
        Step::Held(version, node, rung, memory) => Event::Held(Held {
            version: VersionId(version),
            node: NodeId(node),
            rung,
            memory: Bytes(memory),
            took: Duration::ZERO,
        }),
        Step::Lost(version, node, rung) => Event::Lost {
            version: VersionId(version),
            node: NodeId(node),
            rung,
        },
    }
}

proptest! {
    #[test]
    fn sums_are_those_of_what_is_there(steps in proptest::collection::vec(step(), 0..200)) {
        let mut books = Books::default();
        let mut held: BTreeMap<(u32, u32, Rung), u64> = BTreeMap::new();
        for step in &steps {
            books.observe(Instant(0), &event(step));
            match *step {
                Step::Held(version, node, rung, memory) => {
                    held.insert((version, node, rung), memory);
                }
                Step::Lost(version, node, rung) => {
                    held.remove(&(version, node, rung));
                }
                _ => {}
            }
            let all: Vec<(InstanceId, Instance)> =
                (0..4).flat_map(|version| books.instances_of(VersionId(version)).collect::<Vec<_>>()).collect();
            prop_assert_eq!(all.len(), books.instances.len());
            for node in 0..3 {
                let here = all.iter().filter(|(_, at)| at.node == NodeId(node));
                let instances: u64 = here.map(|(_, at)| at.memory.0).sum();
                let kept: u64 = held.iter().filter(|((_, at, _), _)| *at == node).map(|(_, memory)| memory).sum();
                prop_assert_eq!(books.used(NodeId(node)), Bytes(instances + kept));
            }
            for version in 0..4 {
                let version = VersionId(version);
                let of = |state| books.instances_of(version).filter(|(_, at)| at.state == state).count() as u32;
                let known = books.version(version);
                prop_assert_eq!(
                    (known.starting, known.idle, known.busy),
                    (of(State::Starting), of(State::Idle), of(State::Busy))
                );
                let highest = held.keys().filter(|(whose, at, _)| *whose == version.0 && *at == 1);
                let highest = highest.map(|(_, _, rung)| *rung).max().unwrap_or_default();
                prop_assert_eq!(known.rung(NodeId(1)), highest);
            }
        }
    }
}

#[test]
fn numbers_beyond_the_limit_are_not_written_down() {
    let mut books = Books::default();
    let far = Step::Starting(1, MOST_VERSIONS, 0);
    assert_eq!(books.observe(Instant(0), &event(&far)), Seen::Nothing);
    let far = Step::Starting(1, 0, MOST_NODES);
    assert_eq!(books.observe(Instant(0), &event(&far)), Seen::Nothing);
    assert_eq!(books.nodes().collect::<Vec<_>>(), [NodeId(0)]);
}

/// What the documentation says of them; maps and trees come to that again.
#[test]
fn entries_are_as_small_as_they_are_said_to_be() {
    assert!(size_of::<Version>() <= 104, "{}", size_of::<Version>());
    assert!(size_of::<Instance>() <= 40, "{}", size_of::<Instance>());
}
