//! Properties of fixed keep-alive, on random histories beside a model that is plainly right.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Idle {
        instance: u64,
        memory_mb: u64,
        keep_alive: u64,
    },
    Busy(u64),
    Gone(u64),
    Pressure {
        memory_mb: u64,
        instances: u64,
    },
    Tick,
}

fn steps() -> impl Strategy<Value = Vec<(u64, Step)>> {
    let step = prop_oneof![
        4 => (0..20u64, 0..500u64, 0..40u64).prop_map(|(instance, memory_mb, keep_alive)| {
            Step::Idle { instance, memory_mb, keep_alive }
        }),
        2 => (0..20u64).prop_map(Step::Busy),
        1 => (0..20u64).prop_map(Step::Gone),
        1 => (0..2_000u64, 0..5u64)
            .prop_map(|(memory_mb, instances)| Step::Pressure { memory_mb, instances }),
        2 => Just(Step::Tick),
    ];
    vec((0..10u64, step), 0..200)
}

/// Idle instances with since, until and memory: scanned in full where the policy uses its indexes.
type Model = BTreeMap<u64, (u64, u64, u64)>;

fn reclaimed(actions: &[Action]) -> Vec<u64> {
    actions
        .iter()
        .map(|Action::Reclaim(instance)| instance.0)
        .collect()
}

fn check_pressure(model: &mut Model, gone: &[u64], memory_mb: u64, instances: u64) {
    let mut order: Vec<(u64, u64)> = model.iter().map(|(id, entry)| (entry.0, *id)).collect();
    order.sort_unstable();
    let oldest: Vec<u64> = order.iter().map(|(_, id)| *id).take(gone.len()).collect();
    assert_eq!(
        gone, oldest,
        "the longest idle go first, and none that is busy"
    );
    let freed: Vec<u64> = gone.iter().map(|id| model.remove(id).unwrap().2).collect();
    let met =
        |freed: &[u64]| freed.iter().sum::<u64>() >= memory_mb && freed.len() as u64 >= instances;
    assert!(
        met(&freed) || model.is_empty(),
        "enough is freed, or all there is"
    );
    if let Some((_, all_but_last)) = freed.split_last() {
        assert!(!met(all_but_last), "no more is freed than needed");
    }
}

fn check_tick(model: &mut Model, gone: &[u64], now: u64) {
    let mut due: Vec<(u64, u64)> = model
        .iter()
        .filter(|(_, entry)| entry.1 <= now)
        .map(|(id, entry)| (entry.1, *id))
        .collect();
    due.sort_unstable();
    assert_eq!(gone, due.iter().map(|(_, id)| *id).collect::<Vec<_>>());
    model.retain(|_, entry| entry.1 > now);
}

proptest! {
    #[test]
    fn agrees_with_the_model(history in steps()) {
        let mut policy = KeepAlive::new();
        let mut model = Model::new();
        let mut now = 0;
        for (gap, step) in history {
            now += gap;
            let at = Instant(now);
            match step {
                Step::Idle { instance, memory_mb, keep_alive } => {
                    let idle = Idle {
                        instance: InstanceId(instance),
                        memory_mb,
                        keep_alive: Duration::from_nanos(keep_alive),
                    };
                    prop_assert!(policy.observe(at, Event::Idle(idle)).is_empty());
                    model.insert(instance, (now, now + keep_alive, memory_mb));
                }
                Step::Busy(instance) => {
                    prop_assert!(policy.observe(at, Event::Busy(InstanceId(instance))).is_empty());
                    model.remove(&instance);
                }
                Step::Gone(instance) => {
                    prop_assert!(policy.observe(at, Event::Gone(InstanceId(instance))).is_empty());
                    model.remove(&instance);
                }
                Step::Pressure { memory_mb, instances } => {
                    let shortage = Shortage { memory_mb, instances };
                    let gone = reclaimed(&policy.observe(at, Event::Pressure(shortage)));
                    check_pressure(&mut model, &gone, memory_mb, instances);
                }
                Step::Tick => {
                    let gone = reclaimed(&policy.observe(at, Event::Tick));
                    check_tick(&mut model, &gone, now);
                }
            }
            prop_assert_eq!(policy.idle(), model.len());
            let soonest = model.values().map(|entry| Instant(entry.1)).min();
            prop_assert_eq!(policy.wake_at(), soonest);
        }
    }
}

#[test]
fn a_keep_alive_beyond_the_clock_never_ends() {
    let mut policy = KeepAlive::new();
    let idle = Idle {
        instance: InstanceId(1),
        memory_mb: 128,
        keep_alive: Duration::MAX,
    };
    policy.observe(Instant(5), Event::Idle(idle));
    assert_eq!(policy.wake_at(), Some(Instant(u64::MAX)));
    assert!(
        policy
            .observe(Instant(u64::MAX - 1), Event::Tick)
            .is_empty()
    );
}
