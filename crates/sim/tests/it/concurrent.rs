//! The concurrent model, by hand.

use pilotlight_policy::Bytes;
use pilotlight_sim::options::{Arrivals, Cluster};
use pilotlight_sim::{Model, Options};

use crate::support::{by_minute, by_request, simulate};

fn options() -> Options {
    Options {
        model: Model::Concurrent,
        ..Options::default()
    }
}

fn near(value: f64, expected: f64) -> bool {
    (value / expected - 1.0).abs() < 0.011
}

#[test]
fn each_request_has_an_instance_of_its_own() {
    // Starts take 100 ms. The second finds the first one's instance busy, the third finds both idle.
    let trace = by_request(1, &[(0, 0, 1_000), (500, 0, 1_000), (3_000, 0, 1_000)], 1);
    let report = simulate(&trace, &options(), &["fixed:10m"]);
    let function = report.runs[0].outcome.functions[0];
    assert_eq!(function.kinds, [1, 0, 0, 2, 0]);
    assert!((function.held.busy - 3.0 * 100.0).abs() < 1e-6);
    // There from 0 and from 0.5 s on, until the trace ends.
    assert!((function.held.idle - (60.0 + 59.5 - 3.0) * 100.0).abs() < 1e-6);
    let latency = report.policies[0].latency_ms;
    assert!(
        near(latency.p50, 100.0) && near(latency.mean, 67.0),
        "{latency:?}"
    );
    assert_eq!(report.policies[0].peak_mb, 200.0);
}

#[test]
fn what_becomes_idle_serves_what_waits() {
    // The first is served from 100 to 150; the second waits from 60 on, and is served then; its own start is
    // over at 160 and waits for nobody.
    // Later two come at once, and find both instances idle.
    let requests = [(0, 0, 50), (60, 0, 50), (1_000, 0, 50), (1_000, 0, 50)];
    let trace = by_request(1, &requests, 1);
    let report = simulate(&trace, &options(), &["fixed:10m"]);
    assert_eq!(report.runs[0].outcome.functions[0].kinds, [3, 0, 0, 1, 0]);
    assert!(near(
        report.policies[0].latency_ms.mean,
        (100.0 + 91.0 + 1.0 + 1.0) / 4.0
    ));
}

#[test]
fn what_has_no_room_waits_until_there_is() {
    // The second function has no room before the first is done at 1,100 ms, and then takes it.
    let trace = by_request(2, &[(0, 0, 1_000), (200, 1, 10)], 1);
    let options = Options {
        cluster: Cluster {
            nodes: 1,
            memory: Some(Bytes::mib(150)),
        },
        ..options()
    };
    let report = simulate(&trace, &options, &["fixed:10m"]);
    let latency = report.policies[0].latency_ms;
    assert!(near(latency.mean, (100.0 + 1_000.0) / 2.0), "{latency:?}");
    assert_eq!(report.policies[0].peak_mb, 100.0);
    assert_eq!(report.policies[0].run.unserved, 0);
    let two = Options {
        cluster: Cluster {
            nodes: 2,
            ..options.cluster
        },
        ..options
    };
    let latency = simulate(&trace, &two, &["fixed:10m"]).policies[0].latency_ms;
    assert!(near(latency.mean, 100.0), "{latency:?}");
}

#[test]
fn a_crew_is_as_large_as_its_minute_needs() {
    // 6,000 requests of a second: 100 in service, and one standard deviation more.
    let trace = by_minute(&[&[(1, 6_000), (2, 6_000), (3, 1_500), (5, 1)]], 10);
    let report = simulate(&trace, &options(), &["fixed:20m"]);
    let function = report.runs[0].outcome.functions[0];
    assert_eq!(function.kinds, [13_501 - 110, 0, 0, 110, 0]);
    let busy = (6_000.0 + 6_000.0 + 1_500.0 + 1.0) * 100.0;
    assert!(
        near(function.held.busy, busy),
        "{} {busy}",
        function.held.busy
    );
    let all = 110.0 * 9.0 * 60.0 * 100.0;
    assert!((function.held.busy + function.held.idle - all).abs() < 1e-3);

    // Followed one by one, it comes to nearly the same.
    let each = Options {
        each_up_to: 10_000,
        ..options()
    };
    let report = simulate(&trace, &each, &["fixed:20m"]);
    let followed = report.runs[0].outcome.functions[0];
    assert_eq!(followed.requests(), 13_501);
    assert!(
        (100..=125).contains(&followed.cold()),
        "{}",
        followed.cold()
    );
    assert!(near(followed.held.busy, busy));
}

#[test]
fn requests_come_as_the_rule_says() {
    let trace = by_minute(&[&[(0, 4)]], 2);
    let cold = |arrivals| {
        let options = Options {
            arrivals,
            ..options()
        };
        simulate(&trace, &options, &["fixed:10m"]).runs[0]
            .outcome
            .functions[0]
            .cold()
    };
    assert_eq!((cold(Arrivals::Uniform), cold(Arrivals::Once)), (1, 4));
    assert!((1..=4).contains(&cold(Arrivals::Poisson)));
}

#[test]
fn the_same_seed_gives_the_same_bytes() {
    let rows: Vec<Vec<(u32, u32)>> = (1..40u32)
        .map(|n| {
            (0..120)
                .filter(|m| m % n == n / 2)
                .map(|m| (m, 1 + m * n % 90))
                .collect()
        })
        .collect();
    let rows: Vec<&[(u32, u32)]> = rows.iter().map(Vec::as_slice).collect();
    let trace = by_minute(&rows, 120);
    let run = |seed, model| {
        let options = Options {
            model,
            seed,
            arrivals: Arrivals::Poisson,
            ..Options::default()
        };
        simulate(
            &trace,
            &options,
            &["hybrid", "fixed:1m", "rainbowcake", "cidre"],
        )
        .json()
    };
    for model in [Model::Single, Model::Concurrent] {
        assert_eq!(run(7, model), run(7, model));
        assert_ne!(run(7, model), run(8, model));
    }
}
