//! What goes first, and that nothing goes in vain.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const NOW: Instant = Instant(10_000 * SECOND);

fn holding(instance: u64, rung: Rung, memory_mb: u64, saves_ms: u64, idle_s: u64) -> Holding {
    Holding {
        instance: InstanceId(instance),
        rung,
        memory: Bytes::mib(memory_mb),
        saves: Duration::from_millis(saves_ms),
        last_used: Instant(NOW.0 - idle_s * SECOND),
    }
}

fn memory(memory_mb: u64) -> Shortage {
    Shortage {
        memory: Bytes::mib(memory_mb),
        instances: 0,
    }
}

fn given_up(holdings: &[Holding], shortage: Shortage) -> Vec<u64> {
    let ids = give_up(NOW, holdings, shortage, Duration::ZERO);
    ids.into_iter().map(|id| id.0).collect()
}

#[test]
fn spares_go_before_templates_and_these_before_zygotes() {
    let all = [
        holding(1, Rung::Zygote, 10, 30, 900),
        holding(2, Rung::Template, 10, 1, 900),
        holding(3, Rung::Spare, 10, 10_000, 0),
    ];
    assert_eq!(given_up(&all, memory(1)), [3]);
    assert_eq!(given_up(&all, memory(11)), [3, 2]);
    assert_eq!(given_up(&all, memory(30)), [3, 2, 1]);
}

#[test]
fn of_one_rung_the_least_worth_for_its_memory_goes_first() {
    let small = holding(1, Rung::Template, 10, 100, 60);
    let large = holding(2, Rung::Template, 100, 100, 60);
    let costly_init = holding(3, Rung::Template, 100, 5_000, 60);
    let forgotten = holding(4, Rung::Template, 10, 100, 6_000);
    let all = [small, large, costly_init, forgotten];
    assert_eq!(given_up(&all, memory(220)), [4, 2, 1, 3]);
}

#[test]
fn nothing_is_given_up_in_vain() {
    let all = [holding(1, Rung::Spare, 10, 1, 60)];
    assert_eq!(given_up(&all, memory(11)), [0; 0]);
    assert_eq!(given_up(&all, memory(0)), [0; 0]);
}

#[test]
fn places_count_beside_memory() {
    let all = [1, 2, 3].map(|id| holding(id, Rung::Spare, 10, 1, 60 * id));
    let shortage = Shortage {
        memory: Bytes::mib(5),
        instances: 2,
    };
    assert_eq!(given_up(&all, shortage), [3, 2]);
}

#[test]
fn what_was_just_used_is_spared() {
    let all = [
        holding(1, Rung::Spare, 10, 1, 5),
        holding(2, Rung::Template, 10, 1_000, 500),
    ];
    let spared = Duration::from_secs(60);
    assert_eq!(give_up(NOW, &all, memory(1), spared), [InstanceId(2)]);
    assert_eq!(give_up(NOW, &all, memory(11), spared), []);
}

fn holdings() -> impl Strategy<Value = Vec<Holding>> {
    let rung = prop_oneof![Just(Rung::Spare), Just(Rung::Template), Just(Rung::Zygote)];
    let one = (rung, 0..5_000u64, any::<u64>(), 0..=NOW.0);
    vec(one, 0..50).prop_map(|all| {
        let number = |(id, (rung, memory_mb, saves, last_used))| Holding {
            instance: InstanceId(id),
            rung,
            memory: Bytes::mib(memory_mb),
            saves: Duration::from_nanos(saves),
            last_used: Instant(last_used),
        };
        (0..).zip(all).map(number).collect()
    })
}

proptest! {
    /// Whatever the numbers: the shortage is met or nothing goes, nothing more goes than it takes, and a
    /// template goes only when every spare has gone, a zygote only when every template has.
    #[test]
    fn a_shortage_is_met_with_no_more_than_it_takes(all in holdings(), memory_mb in 0..50_000u64, instances in 0..10u32) {
        let shortage = Shortage { memory: Bytes::mib(memory_mb), instances };
        let gone = give_up(NOW, &all, shortage, Duration::ZERO);
        let size = |ids: &[InstanceId]| {
            Bytes(all.iter().filter(|it| ids.contains(&it.instance)).map(|it| it.memory.0).sum())
        };
        if let Some((_, before)) = gone.split_last() {
            prop_assert!(met(&gone, size(&gone), shortage));
            prop_assert!(!met(before, size(before), shortage));
        }
        for kept in all.iter().filter(|it| !gone.contains(&it.instance)) {
            let lower_gone = all.iter().any(|it| gone.contains(&it.instance) && it.rung < kept.rung);
            prop_assert!(!lower_gone);
        }
    }
}
