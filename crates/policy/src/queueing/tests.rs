//! The rule beside a simulation of what it plans, and beside all other plans.

use proptest::prelude::*;

use super::*;

fn distribution() -> impl Strategy<Value = Distribution> {
    proptest::collection::vec((0..5_000u32, 1..100u32), 1..12).prop_map(|atoms| {
        let atoms = atoms
            .into_iter()
            .map(|(ms, weight)| (f64::from(ms) / 1e3, f64::from(weight)));
        Distribution::new(atoms.collect()).unwrap()
    })
}

/// Steele, Lea and Flood's SplitMix64.
struct Random(u64);

impl Random {
    /// From 0 to 1.
    fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ (bits >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }

    fn draw(&mut self, from: &Distribution) -> f64 {
        let mut point = self.next();
        for &(value, weight) in from.atoms() {
            if point < weight {
                return value;
            }
            point -= weight;
        }
        from.atoms().last().unwrap().0
    }
}

/// How long a request waits that follows the plan, when R and S have come out so.
fn follow(plan: Plan, free: f64, start: f64) -> f64 {
    match plan {
        Plan::Start => free.min(start),
        Plan::Wait(until) if free > until.as_secs_f64() + 1e-9 => {
            free.min(until.as_secs_f64() + start)
        }
        Plan::Wait(_) | Plan::Stay => free,
    }
}

const ROUNDS: u32 = 4_000;

proptest! {
    /// Mean waits over 4,000 simulated requests, the same for all three. The margin is what chance leaves:
    /// six standard errors of the difference from either alone.
    #[test]
    fn never_loses_to_always_starting_or_always_waiting(
        free in distribution(),
        start in distribution(),
        slack in 0..200u32,
        seed in any::<u64>(),
    ) {
        let decision = decide(&free, &start, f64::from(slack) / 1e2);
        let mut random = Random(seed);
        let mut over = [Vec::new(), Vec::new()];
        let mut waits = 0.0;
        for _ in 0..ROUNDS {
            let (free, start) = (random.draw(&free), random.draw(&start));
            let wait = follow(decision.plan, free, start);
            waits += wait / f64::from(ROUNDS);
            over[0].push(wait - start);
            over[1].push(wait - free);
        }
        for over in over {
            let mean = over.iter().sum::<f64>() / f64::from(ROUNDS);
            let variance = over.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / f64::from(ROUNDS);
            let margin = 6.0 * (variance / f64::from(ROUNDS)).sqrt() + 1e-9;
            prop_assert!(mean <= margin, "{mean} over, {margin} left to chance");
        }
        prop_assert!((waits - decision.wait).abs() < 0.5, "{waits} for {}", decision.wait);
    }

    /// By the sums themselves, to their rounding.
    #[test]
    fn expects_no_more_than_either_alone_or_what_is_allowed(
        free in distribution(),
        start in distribution(),
        slack in 0..200u32,
    ) {
        let decision = decide(&free, &start, f64::from(slack) / 1e2);
        let alone = free.mean().min(start.mean());
        prop_assert!(decision.wait <= alone * (1.0 + ROUNDING) + ROUNDING);
        let both = wait(&free, &start, None) * (1.0 + f64::from(slack) / 1e2);
        prop_assert!(decision.wait <= both * (1.0 + ROUNDING) + ROUNDING);
    }

    /// No other time to start, on a fine grid, makes fewer starts and is as quick.
    #[test]
    fn no_other_plan_starts_less(free in distribution(), start in distribution(), slack in 0..200u32) {
        let slack = f64::from(slack) / 1e2;
        let decision = decide(&free, &start, slack);
        let alone = free.mean().min(start.mean());
        let longest = (wait(&free, &start, None) * (1.0 + slack)).min(alone);
        for step in 0..600 {
            let until = f64::from(step) / 100.0;
            if wait(&free, &start, Some(until)) <= longest {
                let starts = 1.0 - free.by(until);
                prop_assert!(decision.starts <= starts + 1e-9, "{until} starts less");
            }
        }
    }

    /// The time of the k-th of several is what counting their draws says.
    #[test]
    fn first_free_is_when_enough_are_over(
        takes in proptest::collection::vec((distribution(), 0..3_000u32), 1..5),
        ahead in 0..5usize,
    ) {
        let servers: Vec<Server<'_>> = takes
            .iter()
            .map(|(takes, since)| Server { takes, since: f64::from(*since) / 1e3 })
            .collect();
        let Some(free) = first_free(&servers, ahead) else {
            prop_assert!(ahead >= servers.len());
            return Ok(());
        };
        let mut random = Random(7);
        let left: Vec<Distribution> = servers.iter().map(|server| server.takes.after(server.since)).collect();
        let mean = (0..ROUNDS).map(|_| {
            let mut over: Vec<f64> = left.iter().map(|left| random.draw(left)).collect();
            over.sort_by(f64::total_cmp);
            over[ahead]
        }).sum::<f64>() / f64::from(ROUNDS);
        prop_assert!((free.mean() - mean).abs() < 0.2, "{} for {mean}", free.mean());
    }
}

fn ms(ms: u64) -> Distribution {
    Distribution::always(Duration::from_millis(ms))
}

#[test]
fn a_start_that_takes_longer_than_the_wait_is_not_made() {
    assert_eq!(decide(&ms(50), &ms(100), 0.0).plan, Plan::Stay);
}

#[test]
fn a_wait_that_takes_longer_than_a_start_is_not_made() {
    assert_eq!(decide(&ms(101), &ms(100), 9.0).plan, Plan::Start);
}

/// Mostly free after 10 ms, else after 10 s; a start takes 100 ms. Waiting the 10 ms costs one in ten
/// requests 10 ms, 20 ms instead of 19 ms on average, and saves nine in ten starts.
#[test]
fn a_start_is_put_off_while_the_wait_is_probably_short() {
    let free = Distribution::new(vec![(0.01, 9.0), (10.0, 1.0)]).unwrap();
    let decision = decide(&free, &ms(100), 0.1);
    assert_eq!(decision.plan, Plan::Wait(Duration::from_millis(10)));
    assert!((decision.wait - 0.02).abs() < 1e-12);
    assert!((decision.starts - 0.1).abs() < 1e-12);
    assert_eq!(decide(&free, &ms(100), 0.05).plan, Plan::Start);
}

#[test]
fn those_ahead_take_the_first() {
    let takes = ms(100);
    let server = |since| Server {
        takes: &takes,
        since,
    };
    let servers = [server(0.09), server(0.05)];
    let mean = |ahead| first_free(&servers, ahead).map(|free| (free.mean() * 1e3).round());
    assert_eq!((mean(0), mean(1), mean(2)), (Some(10.0), Some(50.0), None));
}
