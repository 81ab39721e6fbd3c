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

fn entry(lane: &str, id: i64, due_ms: u64) -> Entry {
    Entry {
        id,
        lane: Lane::new(lane),
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

fn of(lane: &str, entries: &[Entry]) -> usize {
    let lane = Lane::new(lane);
    entries.iter().filter(|entry| entry.lane == lane).count()
}

#[test]
fn lanes_take_turns() {
    let mut schedule = filled(100, &[("a", 3), ("b", 3)]);
    let order: Vec<Lane> = start_all(&mut schedule, 0)
        .into_iter()
        .map(|entry| entry.lane)
        .collect();
    assert_eq!(order, ["a", "b", "a", "b", "a", "b"].map(Lane::new));
}

#[test]
fn a_crowd_leaves_room_for_who_comes_anew() {
    let mut schedule = filled(8, &[("crowd", 1_000)]);
    let running = start_all(&mut schedule, 0);
    assert_eq!(running.len(), 4);
    schedule.add(entry("other", 2_000, 0), 0);
    let next = schedule.next(0).unwrap();
    assert_eq!(next.lane, Lane::new("other"));
    // What ends of the crowd is made up for at once.
    schedule.ended(running[0].clone(), TAKEN, 0);
    assert_eq!(of("crowd", &start_all(&mut schedule, 0)), 1);
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
        match entry.lane == Lane::new("full") {
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
        (0..5_u8, 0..5_000_u64).prop_map(|(lane, due_ms)| Step::Add { lane, due_ms }),
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
                Step::Add { lane, due_ms } => {
                    id += 1;
                    alive += 1;
                    schedule.add(entry(&lane.to_string(), id, due_ms), now_ms);
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
            prop_assert_eq!(schedule.waiting() + running.len(), alive);
            prop_assert_eq!(schedule.ages.values().sum::<usize>(), alive);
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
        prop_assert_eq!((alive, schedule.waiting()), (0, 0));
        prop_assert!(schedule.lanes.is_empty());
    }
}
