//! A policy at sixty times its speed says of a day in 24 minutes what it says of the day.

use std::time::Duration;

use proptest::prelude::*;

use crate::action::{Action, Because, Source};
use crate::event::{Deployed, Event, Runtime};
use crate::policies::by_name;
use crate::policies::trial::{MEMORY, S, Trial};
use crate::{Bytes, NodeId, Policy, VersionId};
use pilotlight_model::start::Instant;

const BY: u64 = 60;
/// Ticks that can follow from one another within one play.
const TICKS: u64 = 1_000;

/// Requests of three versions, with the time before each and what each takes, in seconds.
fn requests() -> impl Strategy<Value = Vec<(u64, u32, u64)>> {
    let wait = prop_oneof![4 => 0..20u64, 3 => Just(10u64), 1 => 0..900u64];
    proptest::collection::vec((wait, 0..3u32, 0..4u64), 0..60)
}

fn play(spec: &str, unit: u64, requests: &[(u64, u32, u64)]) -> Trial {
    let mut trial = Trial::named(spec).starts_take(Duration::from_secs(2 * unit));
    trial.room(0, Bytes::mib(1_000));
    (0..3).for_each(|version| trial.deploy(version, MEMORY, None));
    let mut now = 0;
    for (wait, version, takes) in requests {
        now += wait * unit;
        trial.request(now, *version, takes * unit);
    }
    trial.until(now + 3_600 * unit);
    trial
}

proptest! {
    // A day of each policy, ticked through twice.
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// With a budget of its own `pilot` is a controller, in which a tick that is late by a nanosecond may decide
    /// otherwise; on a node that has room it is none.
    #[test]
    fn what_is_said_is_the_same_and_when_it_is_said(requests in requests()) {
        for spec in ["fixed:10m", "hybrid:4h,least=1", "rainbowcake", "pilot:node", "greedy-dual:250MiB"] {
            let slow = play(spec, BY, &requests);
            let fast = play(&format!("60x:{spec}"), 1, &requests);
            prop_assert_eq!(&slow.served, &fast.served, "{}", spec);
            prop_assert_eq!(slow.said.len(), fast.said.len(), "{}", spec);
            for ((slow_at, slow), (fast_at, fast)) in slow.said.iter().zip(&fast.said) {
                // Each tick is late by less than a nanosecond of the node's clock.
                prop_assert!((fast_at * BY).abs_diff(*slow_at) < TICKS * BY, "{} {} {}", spec, slow_at, fast_at);
                prop_assert_eq!(std::mem::discriminant(slow), std::mem::discriminant(fast));
                if let (Action::Reclaim { instance: slow, .. }, Action::Reclaim { instance: fast, .. }) = (slow, fast) {
                    prop_assert_eq!(slow, fast);
                }
            }
        }
    }
}

/// A policy that says once what it expects, and repeats what keep-alive it was told of.
struct Expects(Option<Duration>);

impl Policy for Expects {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        if let Event::Deployed(deployed) = event {
            self.0 = deployed.keep_alive;
        }
        actions.push(Action::PreStart {
            version: VersionId(0),
            node: NodeId(0),
            instances: 1,
            by: Instant(now.0 + 61),
            because: Because::Forecast(crate::action::Forecast {
                by: Source::Gaps,
                confidence: 0.5,
                from: Instant(now.0 + 59),
                until: Instant(now.0 + 61),
            }),
        });
    }

    fn wake_at(&self) -> Option<Instant> {
        self.0.map(|after| Instant(after.as_nanos() as u64 + 1))
    }
}

#[test]
fn times_go_in_longer_and_come_out_shorter() {
    let mut policy = super::SpedUp::new(Box::new(Expects(None)), 60);
    let deployed = Deployed {
        version: VersionId(0),
        runtime: Runtime::Python,
        memory: MEMORY,
        keep_alive: Some(Duration::from_secs(10)),
        after: None,
        weight: 1.0,
    };
    let mut actions = Vec::new();
    policy.observe(Instant(S), Event::Deployed(deployed), &mut actions);
    let [
        Action::PreStart {
            by,
            because: Because::Forecast(forecast),
            ..
        },
    ] = actions[..]
    else {
        panic!("{actions:?}");
    };
    // Ready before it is needed, and expected for no less than the whole of its time.
    assert_eq!(
        (by, forecast.from, forecast.until),
        (Instant(S + 1), Instant(S), Instant(S + 2))
    );
    // Ten minutes of the policy's clock, and not a nanosecond of it earlier.
    assert_eq!(policy.wake_at(), Some(Instant(10 * S + 1)));
}

#[test]
fn the_log_of_one_can_be_replayed_by_its_name() {
    assert!(by_name("60x:hybrid:4h,least=5").is_ok());
    assert!(by_name(" 60x:hybrid:4h,least=5").is_ok());
}
