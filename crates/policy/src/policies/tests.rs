//! What holds for every policy, on random days of a small node that checks what it is told to do.

use proptest::prelude::*;

use super::trial::{MEMORY, Trial};
use super::{POLICIES, by_name};
use crate::action::Action;
use crate::event::{Announced, Event, Idle, Shift};
use crate::{Bytes, VersionId};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;

#[derive(Debug, Clone)]
enum Step {
    Request { version: u32, takes: u64 },
    Pressure(u64),
    Lose(u32),
    Retire(u32),
    Deploy(u32, Option<u64>),
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        12 => (0..5u32, 0..400u64).prop_map(|(version, takes)| Step::Request { version, takes }),
        1 => (0..1_000u64).prop_map(Step::Pressure),
        1 => (0..5u32).prop_map(Step::Lose),
        1 => (0..5u32).prop_map(Step::Retire),
        1 => (0..5u32, proptest::option::of(0..2_000u64))
            .prop_map(|(version, keep_alive)| Step::Deploy(version, keep_alive)),
        1 => Just(Step::Tick),
    ];
    let wait = prop_oneof![6 => 0..600u64, 1 => 0..30_000u64];
    proptest::collection::vec((wait, step), 0..120)
}

fn play(spec: &str, steps: &[(u64, Step)]) -> Trial {
    let mut trial = Trial::named(spec).starts_take(std::time::Duration::from_secs(2));
    let mut now = 0;
    for (wait, step) in steps {
        now += wait;
        trial.until(now);
        match *step {
            Step::Request { version, takes } => trial.request(now, version, takes),
            Step::Pressure(mib) => trial.pressure(0, Bytes::mib(mib)),
            Step::Lose(version) => trial.lose(version),
            Step::Retire(version) => trial.retire(version),
            Step::Deploy(version, keep_alive) => trial.deploy(version, MEMORY, keep_alive),
            Step::Tick => trial.tick(),
        }
    }
    trial.until(now + 10 * 3_600);
    trial
}

proptest! {
    /// The small node fails when a policy speaks of an instance that is not idle there, of a request that
    /// does not wait, or has something due after a tick.
    #[test]
    fn says_the_same_each_time_and_nothing_that_cannot_be_done(steps in steps()) {
        for entry in POLICIES {
            let (once, again) = (play(entry.name, &steps), play(entry.name, &steps));
            prop_assert_eq!(&once.said, &again.said, "{}", entry.name);
            prop_assert_eq!(&once.served, &again.served, "{}", entry.name);
            let requests = steps.iter().filter(|(_, step)| matches!(step, Step::Request { .. }));
            prop_assert_eq!(once.served.len(), requests.count(), "{} serves everybody", entry.name);
        }
    }
}

#[test]
fn what_was_never_heard_of_is_left_alone() {
    for entry in POLICIES {
        let mut policy = by_name(entry.name).unwrap();
        let mut actions: Vec<Action> = Vec::new();
        let instance = InstanceId(7);
        let version = VersionId(u32::MAX);
        let events = [
            Event::Idle(Idle {
                instance,
                memory: MEMORY,
            }),
            Event::Busy(instance),
            Event::Gone(instance),
            Event::Retired(VersionId(9)),
            Event::Retired(version),
            Event::Shift(Shift {
                from: version,
                to: VersionId(1),
                part: 0.5,
                at: Instant(1),
            }),
            Event::Announced(Announced {
                version,
                requests: 1,
                at: Instant(5),
            }),
            Event::Tick,
        ];
        for event in events {
            policy.observe(Instant(0), event, &mut actions);
        }
        assert_eq!(actions, [], "{}", entry.name);
    }
}

/// Two instances at once, one on each of two nodes that have room for one. What is short on a node is given up there,
/// whichever of the two it is.
#[test]
fn what_a_node_needs_is_given_up_on_that_node() {
    for entry in POLICIES {
        for node in 0..2 {
            let mut trial = Trial::named(entry.on_node.map_or(entry.name, |_| "pilot:node"));
            trial.room(0, Bytes::mib(150));
            trial.room(1, Bytes::mib(150));
            trial.deploy(0, MEMORY, None);
            trial.request(0, 0, 5);
            trial.request(0, 0, 5);
            trial.until(10);
            assert_eq!(
                (trial.used(0).0, trial.used(1).0),
                (MEMORY, MEMORY),
                "{}",
                entry.name
            );
            trial.pressure(node, MEMORY);
            let left = |at| if at == node { Bytes(0) } else { MEMORY };
            let used = (trial.used(0).0, trial.used(1).0);
            assert_eq!(used, (left(0), left(1)), "{}, node {node}", entry.name);
        }
    }
}
