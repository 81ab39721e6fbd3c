//! Hand-computed traces, and the order of eviction beside a model that sorts everything at every eviction.

use std::time::Duration;

use proptest::prelude::*;

use super::super::trial::{Served, Trial};
use crate::Bytes;
use crate::action::Action;

/// A node with room for that many MiB, and versions of these sizes.
fn node(spec: &str, room: u64, sizes: &[u64]) -> Trial {
    let mut trial = Trial::named(spec).starts_take(Duration::from_secs(1));
    trial.room(0, Bytes::mib(room));
    for (version, size) in sizes.iter().enumerate() {
        trial.deploy(version as u32, Bytes::mib(*size), None);
    }
    trial
}

fn idle(trial: &Trial, versions: u32) -> Vec<usize> {
    (0..versions).map(|version| trial.idle(version)).collect()
}

#[test]
fn nothing_goes_while_there_is_room() {
    for spec in ["lru", "lfu", "greedy-dual", "cidre"] {
        let mut trial = node(spec, 300, &[100, 100, 100]);
        (0..3).for_each(|version| trial.request(u64::from(version) * 10, version, 1));
        trial.until(1_000_000);
        assert_eq!(idle(&trial, 3), [1, 1, 1], "{spec}");
    }
}

/// Room for two of a size. At 30 s version 0 was last used at 20 s, version 1 at 10 s, so version 1 makes room,
/// although version 0 came first.
#[test]
fn lru_gives_up_what_was_used_longest_ago() {
    let mut trial = node("lru", 200, &[100, 100, 100]);
    trial.request(0, 0, 1);
    trial.request(10, 1, 1);
    trial.request(20, 0, 1);
    trial.request(30, 2, 1);
    trial.until(40);
    assert_eq!(idle(&trial, 3), [1, 0, 1]);
}

/// Room for two of a size. At 30 s version 0 has had two requests, version 1 one, so version 1 makes room, although
/// it was used last.
#[test]
fn lfu_gives_up_what_was_used_least_often() {
    let mut trial = node("lfu", 200, &[100, 100, 100]);
    trial.request(0, 0, 1);
    trial.request(10, 0, 1);
    trial.request(20, 1, 1);
    trial.request(30, 2, 1);
    trial.until(40);
    assert_eq!(idle(&trial, 3), [1, 0, 1]);
}

/// Every start costs 1,000 ms. At 30 s version 0 has 2 × 1000 / 100 = 20, version 1 has 1 × 1000 / 20 = 50:
/// the large one goes although it is used more, and later. The clock is 20 then; version 2 comes with
/// 20 + 1000 / 100 = 30. At 50 s version 1 has been used twice: 20 + 2 × 1000 / 20 = 120.
#[test]
fn greedy_dual_weighs_frequency_cost_and_size() {
    let mut trial = node("greedy-dual", 140, &[100, 20, 100]);
    trial.request(0, 1, 1);
    trial.request(10, 0, 1);
    trial.request(20, 0, 1);
    trial.request(30, 2, 1);
    trial.until(40);
    assert_eq!(idle(&trial, 3), [0, 1, 1]);
    trial.request(50, 1, 1);
    trial.request(60, 0, 1);
    trial.until(70);
    assert_eq!(idle(&trial, 3), [1, 1, 0]);
}

/// A version that lost its last instance begins anew. Version 0 had three requests before it was evicted at
/// 40 s; with one since it is worth less than version 1 with two, so that it goes at 80 s.
#[test]
fn greedy_dual_forgets_the_frequency_of_what_has_no_instance() {
    let mut trial = node("greedy-dual", 200, &[100, 100, 200, 100]);
    (0..3).for_each(|number| trial.request(number * 10, 0, 1));
    trial.request(40, 2, 1);
    trial.until(45);
    assert_eq!(idle(&trial, 3), [0, 0, 1]);
    // Version 2 had 0 + 1 × 1000 / 200 + the clock, which is 30 since then.
    trial.request(50, 0, 1);
    trial.request(60, 1, 1);
    trial.request(70, 1, 1);
    assert_eq!(idle(&trial, 3), [1, 0, 0]);
    trial.request(80, 3, 1);
    trial.until(90);
    assert_eq!((trial.idle(0), trial.idle(1), trial.idle(3)), (0, 1, 1));
}

/// The same requests, twice at a time for version 0: greedy-dual counts four for each of its two instances and
/// gives up version 1's only one, CIDRE halves them (4 / 2) and takes one of the two (3 for version 1).
#[test]
fn cidre_takes_from_those_that_have_many() {
    for (spec, left) in [("greedy-dual", [2, 0, 1]), ("cidre", [1, 1, 1])] {
        let mut trial = node(spec, 300, &[100, 100, 100]);
        for number in 0..2 {
            trial.request(number * 10, 0, 5);
            trial.request(number * 10, 0, 5);
        }
        (2..5).for_each(|number| trial.request(number * 10, 1, 1));
        trial.request(60, 2, 1);
        trial.until(70);
        assert_eq!(idle(&trial, 3), left, "{spec}");
    }
}

/// A handler takes 20 s and a start ten. A request that finds one busy since 15 s is served by it after five;
/// one that finds it busy since a second gets a start.
#[test]
fn cidre_waits_for_an_instance_that_is_nearly_done() {
    let mut trial = node("cidre", 1_000, &[100]).starts_take(Duration::from_secs(10));
    for number in 0..5 {
        trial.request(number * 100, 0, 20);
    }
    trial.request(1_000, 0, 20);
    trial.request(1_015, 0, 20);
    trial.until(1_100);
    let starts = |trial: &Trial| {
        let start = |(_, action): &&(u64, Action)| matches!(action, Action::Start { .. });
        trial.said.iter().filter(start).count()
    };
    assert_eq!(starts(&trial), 1, "the first request's");
    assert_eq!(trial.served.last(), Some(&Served::Late));
    trial.request(2_000, 0, 20);
    trial.request(2_001, 0, 20);
    trial.until(2_100);
    assert_eq!(starts(&trial), 2);
}

/// Versions 0 and 2 go to node 1, where most is free, version 1 to node 0. For version 3 neither has room, so
/// the lower number counts: what is given up is there, although version 0 has been idle for longer.
#[test]
fn each_node_is_a_cache_of_its_own() {
    for spec in ["lru", "lfu", "greedy-dual", "cidre"] {
        let mut trial = node(spec, 100, &[100, 100, 100, 100]);
        trial.room(1, Bytes::mib(200));
        for version in 0..4 {
            trial.request(u64::from(version) * 10, version, 1);
        }
        trial.until(50);
        assert_eq!(idle(&trial, 4), [1, 0, 1, 1], "{spec}");
    }
}

#[test]
fn retired_versions_leave_nothing() {
    let mut trial = node("greedy-dual", 1_000, &[100, 100]);
    trial.request(0, 0, 1);
    trial.request(0, 1, 50);
    trial.until(10);
    trial.retire(0);
    trial.retire(1);
    assert_eq!(trial.idle(0), 0);
    trial.until(100);
    assert_eq!(trial.idle(1), 0);
}

/// What the model knows of an idle or busy instance.
#[derive(Debug, Clone, Copy)]
struct Known {
    version: usize,
    clock: f64,
    since: u64,
    born: u64,
}

/// Everything in one list, sorted at every eviction.
#[derive(Debug, Default)]
struct Model {
    instances: Vec<Known>,
    frequency: [u64; 4],
    clock: f64,
    evicted: Vec<(u64, usize)>,
}

const SIZES: [u64; 4] = [50, 100, 150, 200];
const ROOM: u64 = 400;

impl Model {
    /// A request that takes no time, at a time when nothing runs.
    fn request(&mut self, now: u64, version: usize) {
        let of_version = |known: &&Known| known.version == version;
        let there = self
            .instances
            .iter()
            .filter(of_version)
            .map(|known| known.born)
            .min();
        if there.is_none() {
            self.frequency[version] = 0;
            self.evict_for(now, version);
            self.instances.push(Known {
                version,
                clock: 0.0,
                since: now,
                born: now,
            });
        }
        self.frequency[version] += 1;
        let clock = self.clock;
        let used = self
            .instances
            .iter_mut()
            .find(|known| known.version == version)
            .unwrap();
        used.clock = clock;
        used.since = now;
    }

    fn evict_for(&mut self, now: u64, version: usize) {
        let used = |model: &Self| {
            model
                .instances
                .iter()
                .map(|known| SIZES[known.version])
                .sum::<u64>()
        };
        while used(self) + SIZES[version] > ROOM {
            let worth = |known: &Known| {
                let value =
                    self.frequency[known.version] as f64 * 1_000.0 / SIZES[known.version] as f64;
                known.clock + value
            };
            let order = |a: &&Known, b: &&Known| {
                worth(a)
                    .total_cmp(&worth(b))
                    .then(a.since.cmp(&b.since))
                    .then(a.version.cmp(&b.version))
            };
            let victim = *self.instances.iter().min_by(order).unwrap();
            self.clock = self.clock.max(worth(&victim));
            self.instances.retain(|known| known.born != victim.born);
            self.evicted.push((now, victim.version));
        }
    }
}

/// Of two instances that become idle at once the only request that waits gets one: the other is not about to be used.
#[test]
fn what_becomes_idle_beside_the_instance_that_serves_leaves_the_room_that_is_exceeded() {
    let mut trial = node("cidre", ROOM, &SIZES);
    let requests = [
        (0, 3, 2),
        (0, 0, 0),
        (0, 1, 53),
        (1, 0, 0),
        (1, 0, 0),
        (15, 0, 0),
        (8, 0, 0),
        (17, 0, 0),
        (5, 1, 0),
        (1, 0, 0),
        (5, 3, 3),
        (0, 1, 3),
        (0, 1, 3),
        (3, 3, 0),
    ];
    let mut now = 0;
    for (wait, version, takes) in requests {
        now += wait;
        trial.request(now, version, takes);
        let (used, any_idle) = trial.used(0);
        assert!(used <= Bytes::mib(ROOM) || !any_idle, "{used} at {now}");
    }
}

proptest! {
    /// One instance of each version at most, each request over before the next: when which version is
    /// evicted is what the paper's formula says.
    #[test]
    fn greedy_dual_evicts_as_the_formula_says(requests in proptest::collection::vec(0..4usize, 0..150)) {
        let mut trial = node("greedy-dual", ROOM, &SIZES);
        let mut model = Model::default();
        for (number, version) in requests.iter().enumerate() {
            let now = number as u64 * 10;
            trial.request(now, *version as u32, 0);
            trial.until(now + 5);
            model.request(now, *version);
        }
        let idle = idle(&trial, 4);
        let known: Vec<usize> = (0..4)
            .map(|version| model.instances.iter().filter(|known| known.version == version).count())
            .collect();
        prop_assert_eq!(idle, known);
        let evicted: Vec<u64> = trial.ended().iter().map(|at| *at as u64).collect();
        let expected: Vec<u64> = model.evicted.iter().map(|(at, _)| *at).collect();
        prop_assert_eq!(evicted, expected);
    }

    /// Memory is never above the room while anything idle is left to give up.
    #[test]
    fn the_room_is_only_exceeded_by_what_is_busy(
        requests in proptest::collection::vec((0..20u64, 0..4u32, 0..60u64), 0..150),
        spec in prop_oneof![Just("lru"), Just("lfu"), Just("greedy-dual"), Just("cidre")],
        budget in proptest::option::of(100..600u64),
    ) {
        let spec = budget.map_or(spec.to_owned(), |budget| format!("{spec}:{budget}"));
        let mut trial = node(&spec, ROOM, &SIZES);
        let room = Bytes::mib(budget.unwrap_or(ROOM).min(ROOM));
        let mut now = 0;
        for (wait, version, takes) in requests {
            now += wait;
            trial.request(now, version, takes);
            let (used, any_idle) = trial.used(0);
            prop_assert!(used <= room || !any_idle, "{used} of {room}");
        }
        trial.until(now + 100);
        prop_assert!(trial.used(0).0 <= room, "nothing is busy any more");
    }
}
