//! Fairness, rests, and that nothing is lost or taken twice whatever happens.

use std::collections::HashSet;

use proptest::prelude::*;

use super::*;

const RESTS: Rests = Rests {
    first_ms: 1_000,
    longest_ms: 300_000,
};
const TAKEN: End = End {
    due_ms: None,
    pressure: Pressure::Taken,
};

/// `account/name`, or a name in the account of all tests that have one only.
fn lane(text: &str) -> Lane {
    let (account, name) = text.split_once('/').unwrap_or(("one", text));
    Lane::new(account, name)
}

fn entry(name: &str, id: i64, due_ms: u64) -> Entry {
    Entry {
        id,
        lane: lane(name),
        queued_ms: due_ms,
        due_ms,
    }
}

fn filled(room: usize, lanes: &[(&str, i64)]) -> Schedule {
    let mut schedule = Schedule::new(room, RESTS);
    let mut id = 0;
    for (lane, count) in lanes {
        for _ in 0..*count {
            id += 1;
            schedule.add(entry(lane, id, 0), 0);
        }
    }
    schedule
}

fn start_all(schedule: &mut Schedule, now_ms: u64) -> Vec<Entry> {
    std::iter::from_fn(|| schedule.next(now_ms)).collect()
}

fn of(name: &str, entries: &[Entry]) -> usize {
    let lane = lane(name);
    entries.iter().filter(|entry| entry.lane == lane).count()
}

fn of_account(account: &str, entries: &[Entry]) -> usize {
    let of = entries.iter().map(|entry| entry.lane.account());
    of.filter(|it| &***it == account).count()
}

/// Entries that wait.
fn waiting(schedule: &Schedule) -> usize {
    let lanes = schedule.lanes.values();
    lanes.map(|queue| queue.waiting.len()).sum()
}

#[test]
fn lanes_take_turns() {
    let mut schedule = filled(100, &[("a", 3), ("b", 3)]);
    let order: Vec<Lane> = start_all(&mut schedule, 0)
        .into_iter()
        .map(|entry| entry.lane)
        .collect();
    assert_eq!(order, ["a", "b", "a", "b", "a", "b"].map(lane));
}

#[test]
fn a_crowd_leaves_room_for_who_comes_anew() {
    let mut schedule = filled(8, &[("crowd", 1_000)]);
    let running = start_all(&mut schedule, 0);
    assert_eq!(running.len(), 4);
    schedule.add(entry("other", 2_000, 0), 0);
    let next = schedule.next(0).unwrap();
    assert_eq!(next.lane, lane("other"));
    // What ends of the crowd is made up for at once, as far as there is so much room again.
    schedule.ended(running[0].clone(), TAKEN, 0);
    assert_eq!(of("crowd", &start_all(&mut schedule, 0)), 0);
    schedule.ended(next, TAKEN, 0);
    assert_eq!(of("crowd", &start_all(&mut schedule, 0)), 1);
}

#[test]
fn accounts_take_turns_first_and_their_lanes_within_them() {
    let mut schedule = filled(100, &[("a/1", 2), ("a/2", 2), ("a/3", 2), ("b/1", 3)]);
    let order: Vec<Lane> = start_all(&mut schedule, 0)
        .into_iter()
        .map(|entry| entry.lane)
        .collect();
    let expected = [
        "a/1", "b/1", "a/2", "b/1", "a/3", "b/1", "a/1", "a/2", "a/3",
    ];
    assert_eq!(order, expected.map(lane));
}

#[test]
fn an_account_of_many_functions_leaves_room_for_one_of_one() {
    let names: Vec<String> = (0..200).map(|number| format!("flood/{number}")).collect();
    let lanes: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 5)).collect();
    let mut schedule = filled(128, &lanes);
    let mut running = start_all(&mut schedule, 0);
    assert_eq!(running.len(), 96);
    // What comes anew is taken at once, and more of it as what runs ends, up to its share.
    for id in 0..100 {
        schedule.add(entry("quiet/f", 10_000 + id, 0), 0);
    }
    running.extend(start_all(&mut schedule, 0));
    assert!(of_account("quiet", &running) >= 8);
    for _ in 0..96 {
        let at = running
            .iter()
            .position(|it| &**it.lane.account() == "flood");
        schedule.ended(running.remove(at.unwrap()), TAKEN, 0);
        running.extend(start_all(&mut schedule, 0));
    }
    let (flood, quiet) = (of_account("flood", &running), of_account("quiet", &running));
    assert!(flood <= 64 && quiet >= 24, "{flood} and {quiet}");
}

#[test]
fn many_crowds_still_leave_room() {
    let names: Vec<String> = (0..20).map(|number| format!("crowd-{number}")).collect();
    let lanes: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 50)).collect();
    let mut schedule = filled(32, &lanes);
    let running = start_all(&mut schedule, 0);
    for name in &names {
        assert!(of(name, &running) >= 1, "{name}");
    }
    assert!(running.len() <= 32);
}

#[test]
fn what_is_due_later_waits_and_says_when() {
    let mut schedule = Schedule::new(4, RESTS);
    schedule.add(entry("a", 1, 500), 0);
    assert_eq!((schedule.next(499), schedule.wake_ms()), (None, 500));
    assert_eq!(schedule.oldest_ms(), Some(500));
    let taken = schedule.next(500).unwrap();
    let put_off = End {
        due_ms: Some(900),
        pressure: Pressure::Taken,
    };
    schedule.ended(taken, put_off, 500);
    assert_eq!((schedule.next(899), schedule.wake_ms()), (None, 900));
    let taken = schedule.next(900).unwrap();
    assert_eq!(taken.queued_ms, 500, "its age stays");
    schedule.ended(taken, TAKEN, 900);
    assert_eq!((schedule.oldest_ms(), schedule.wake_ms()), (None, u64::MAX));
    assert!(schedule.lanes.is_empty());
}

#[test]
fn a_lane_that_refuses_rests_longer_each_time_and_proves_itself() {
    let mut schedule = filled(8, &[("full", 100), ("other", 1)]);
    let mut running = start_all(&mut schedule, 0);
    let refused = |at_ms: u64, due_ms| End {
        due_ms: Some(due_ms),
        pressure: Pressure::Refused { at_ms },
    };
    for entry in running.drain(..) {
        match entry.lane == lane("full") {
            true => schedule.ended(entry, refused(0, 1_000), 0),
            false => schedule.ended(entry, TAKEN, 0),
        }
    }
    // Ninety-odd of its entries are due, and none is tried.
    assert_eq!((schedule.next(999), schedule.wake_ms()), (None, 1_000));
    let mut now_ms = 1_000;
    for rest_ms in [2_000, 4_000, 8_000] {
        let tried = start_all(&mut schedule, now_ms);
        assert_eq!(tried.len(), 1, "one proves it for all");
        let end = refused(now_ms, now_ms + rest_ms);
        schedule.ended(tried[0].clone(), end, now_ms);
        assert_eq!(schedule.wake_ms(), now_ms + rest_ms);
        now_ms += rest_ms;
    }
    let tried = start_all(&mut schedule, now_ms);
    schedule.ended(tried[0].clone(), TAKEN, now_ms);
    assert_eq!(
        start_all(&mut schedule, now_ms).len(),
        2,
        "then two, and so on"
    );
}

#[test]
fn a_rest_counts_from_the_refusal_however_late_it_is_heard_of() {
    let mut schedule = filled(8, &[("full", 2)]);
    let running = start_all(&mut schedule, 0);
    assert_eq!(running.len(), 2);
    for entry in running {
        let refused = End {
            due_ms: Some(1_000),
            pressure: Pressure::Refused { at_ms: 0 },
        };
        schedule.ended(entry, refused, 1_000);
    }
    assert!(
        schedule.next(1_000).is_some(),
        "it is due, and the rest is over"
    );
}

#[test]
fn rests_double_up_to_the_longest() {
    let lengths: Vec<u64> = (0..12).map(|others| RESTS.after(others) / 1_000).collect();
    assert_eq!(lengths, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, 300]);
    assert_eq!(RESTS.after(u32::MAX), 300_000);
}

#[derive(Debug, Clone)]
enum Step {
    Add {
        account: u8,
        lane: u8,
        due_ms: u64,
    },
    Start,
    End {
        which: usize,
        due_ms: Option<u64>,
        pressure: Pressure,
    },
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let pressure = prop_oneof![
        Just(Pressure::Taken),
        (0..9_000_u64).prop_map(|at_ms| Pressure::Refused { at_ms }),
        Just(Pressure::Unknown)
    ];
    prop_oneof![
        (0..3_u8, 0..3_u8, 0..5_000_u64).prop_map(|(account, lane, due_ms)| Step::Add {
            account,
            lane,
            due_ms
        }),
        Just(Step::Start),
        (any::<usize>(), proptest::option::of(0..9_000_u64), pressure).prop_map(
            |(which, due_ms, pressure)| Step::End {
                which,
                due_ms,
                pressure
            }
        ),
        (0..2_000_u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #[test]
    fn nothing_is_lost_taken_twice_or_starved(room in 1..6_usize, steps in prop::collection::vec(step(), 0..200)) {
        let mut schedule = Schedule::new(room, RESTS);
        let (mut now_ms, mut id, mut alive) = (0, 0, 0_usize);
        let mut running: Vec<Entry> = Vec::new();
        for step in steps {
            match step {
                Step::Add { account, lane, due_ms } => {
                    id += 1;
                    alive += 1;
                    schedule.add(entry(&format!("{account}/{lane}"), id, due_ms), now_ms);
                }
                Step::Start => running.extend(schedule.next(now_ms)),
                Step::End { which, due_ms, pressure } if !running.is_empty() => {
                    let taken = running.swap_remove(which % running.len());
                    alive -= usize::from(due_ms.is_none());
                    schedule.ended(taken, End { due_ms, pressure }, now_ms);
                }
                Step::End { .. } => {}
                Step::Pass(ms) => now_ms += ms,
            }
            let ids: HashSet<i64> = running.iter().map(|entry| entry.id).collect();
            prop_assert_eq!(ids.len(), running.len());
            prop_assert!(running.len() <= room);
            prop_assert_eq!(waiting(&schedule) + running.len(), alive);
            prop_assert_eq!(schedule.ages.values().sum::<usize>(), alive);
            let in_turn = schedule.accounts.values().filter(|it| !it.ready.is_empty());
            prop_assert_eq!(schedule.turns.len(), in_turn.count());
        }
        // Whatever happened, all of it comes to its turn in the end.
        for _ in 0..2 * alive + 1 {
            while let Some(taken) = schedule.next(now_ms) {
                running.push(taken);
            }
            match running.pop() {
                Some(taken) => {
                    alive -= 1;
                    schedule.ended(taken, TAKEN, now_ms);
                }
                None if schedule.wake_ms() < u64::MAX => now_ms = schedule.wake_ms(),
                None => break,
            }
        }
        prop_assert_eq!((alive, waiting(&schedule)), (0, 0));
        prop_assert!(schedule.lanes.is_empty() && schedule.accounts.is_empty());
    }

    /// One account keeps all of its functions full, whatever its attempts come to; others come now and then. None of
    /// them ever waits without holding anything while there is room, and while they wait, none gets more than its share.
    #[test]
    fn a_flood_of_one_account_starves_no_other(
        room in 4..40_usize,
        functions in 1..50_u32,
        steps in prop::collection::vec((0..4_u8, any::<usize>()), 1..300),
    ) {
        let mut schedule = Schedule::new(room, RESTS);
        let mut running: Vec<Entry> = Vec::new();
        let mut id = 0;
        for (what, which) in steps {
            for function in 0..functions {
                while schedule.lanes.get(&lane(&format!("flood/{function}"))).is_none_or(|it| it.waiting.len() < 2) {
                    id += 1;
                    schedule.add(entry(&format!("flood/{function}"), id, 0), 0);
                }
            }
            match what {
                0 => {
                    id += 1;
                    schedule.add(entry(&format!("quiet-{}/f", which % 3), id, 0), 0);
                }
                _ if !running.is_empty() => {
                    let ended = running.swap_remove(which % running.len());
                    schedule.ended(ended, TAKEN, 0);
                }
                _ => {}
            }
            loop {
                let waits: Vec<Arc<str>> = schedule.turns.values().cloned().collect();
                let accounts = schedule.accounts.len();
                let Some(taken) = schedule.next(0) else { break };
                let account = taken.lane.account().clone();
                running.push(taken);
                let held = of_account(&account, &running);
                let contended = waits.iter().any(|other| *other != account);
                prop_assert!(!contended || held <= room.div_ceil(accounts).max(1));
            }
            if running.len() < room {
                for name in schedule.turns.values() {
                    prop_assert!(of_account(name, &running) > 0, "{name} waits for nothing");
                }
            }
        }
    }
}
