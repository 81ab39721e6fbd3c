//! What is replayed is the trace, only faster.

use std::path::Path;

use pilotlight_sim::options::Ladder;
use pilotlight_sim::profile::ClassName;
use pilotlight_sim::read::read;
use pilotlight_sim::schedule::{Plan, Schedule};
use pilotlight_sim::{Model, Options, Outcome, Trace, by_names, outcome};

use crate::support::{by_minute, by_request, profile};

const CLASSES: [ClassName; 1] = [ClassName::Python];
const ALL: Plan = Plan {
    speed: 60,
    minutes: None,
    most: 10,
};

fn options() -> Options {
    Options {
        model: Model::Concurrent,
        ladder: Some(Ladder::Spare),
        ..Options::default()
    }
}

fn excerpt() -> Trace {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/azure2019");
    read(&[data], &mut |_| {}).expect("it is one")
}

fn played(trace: &Trace, policy: &str) -> Outcome {
    let policy = by_names(&[policy.to_owned()]).expect("it is known").pop();
    outcome(trace, &profile(), &options(), policy.expect("there is one")).expect("it runs")
}

/// Starts do not shrink with the time between requests, so that shares are near each other, not the same.
#[test]
fn a_trace_at_sixty_times_its_speed_meets_a_policy_at_sixty_times_its_own() {
    let trace = excerpt();
    let shares = |speed: u32, policy: &str| {
        let schedule = Schedule::new(
            &trace,
            &profile(),
            &options(),
            Plan { speed, ..ALL },
            &CLASSES,
        );
        let outcome = played(&schedule.trace, policy);
        let share = |it: &pilotlight_sim::outcome::PerFunction| {
            1.0 - it.kinds[0] as f64 / it.requests() as f64
        };
        let functions = outcome.functions.len() as f64;
        outcome.functions.iter().map(share).sum::<f64>() / functions
    };
    for policy in ["fixed:10m", "hybrid:4h"] {
        let [slow, fast] = [shares(1, policy), shares(60, &format!("60x:{policy}"))];
        assert!(slow > 0.1, "{policy}: {slow}");
        assert!((fast / slow - 1.0).abs() < 0.05, "{policy}: {slow} {fast}");
    }
}

#[test]
fn what_is_called_is_what_the_trace_has() {
    let trace = by_minute(&[&[(0, 3), (61, 12)], &[(200, 1)], &[(59, 1)]], 300);
    let plan = Plan {
        minutes: Some(120),
        ..ALL
    };
    let schedule = Schedule::new(&trace, &profile(), &options(), plan, &CLASSES);
    let names: Vec<_> = schedule
        .functions
        .iter()
        .map(|it| it.name.as_str())
        .collect();
    assert_eq!((names, schedule.left_out), (vec!["f0", "f2"], 2));
    let requests = &schedule.trace.requests;
    assert_eq!(requests.len(), 3 + 10 + 1);
    // A second of the trace is the sixtieth part of one here, and no handler takes no time.
    assert!(requests.iter().all(|it| it.took_ms == 17));
    let of_minute = |minute: u64| {
        requests
            .iter()
            .filter(|it| it.at_ms / 1_000 == minute)
            .count()
    };
    assert_eq!([of_minute(0), of_minute(59), of_minute(61)], [3, 1, 10]);
    assert_eq!(
        requests
            .iter()
            .find(|it| it.function == 1)
            .map(|it| it.at_ms / 1_000),
        Some(59)
    );
    // Requests that are known by their own times keep them.
    let exact = by_request(1, &[(60_000, 0, 30), (119_940, 0, 6_000)], 2);
    let schedule = Schedule::new(&exact, &profile(), &options(), ALL, &CLASSES);
    let times: Vec<_> = schedule
        .trace
        .requests
        .iter()
        .map(|it| (it.at_ms, it.took_ms))
        .collect();
    assert_eq!(times, [(1_000, 1), (1_999, 100)]);
}

#[test]
fn a_version_has_from_its_deploy_on_what_such_versions_have() {
    let trace = by_request(1, &[(1_000, 0, 500), (1_200, 0, 500), (90_000, 0, 500)], 3);
    let kinds = |ladder: Ladder| {
        let options = Options {
            ladder: Some(ladder),
            ..options()
        };
        let policy = by_names(&["fixed:1m".to_owned()])
            .expect("it is known")
            .pop();
        let outcome = outcome(&trace, &profile(), &options, policy.expect("there is one"));
        outcome.expect("it runs").functions[0].kinds
    };
    assert_eq!(kinds(Ladder::Spare), [0, 3, 0, 0, 0]);
    assert_eq!(kinds(Ladder::Template), [0, 0, 3, 0, 0]);
    assert_eq!(kinds(Ladder::None), [0, 0, 0, 3, 0]);
    // A policy that wants a template gets none where there are to be none.
    let with = |ladder: Option<Ladder>| {
        let trace = by_request(1, &[(1_000, 0, 500), (660_000, 0, 500)], 20);
        let policy = by_names(&["pilot:node".to_owned()])
            .expect("it is known")
            .pop();
        let options = Options {
            ladder,
            ..options()
        };
        let outcome = outcome(&trace, &profile(), &options, policy.expect("there is one"));
        outcome.expect("it runs").functions[0].held.template
    };
    assert!(with(None) > 0.0);
    assert_eq!(with(Some(Ladder::Never)), 0.0);
}
