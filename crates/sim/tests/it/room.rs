//! A node that promises room, as ours do: what instances take of it, and what the node does when it is short.

use pilotlight_policy::Bytes;
use pilotlight_sim::options::{Cluster, Ladder, Room};
use pilotlight_sim::profile::Weight;
use pilotlight_sim::report::Report;
use pilotlight_sim::{Model, Options, Profile, Trace};

use crate::support::{add_on_a_node, assert_none_is_ahead, by_request, simulate};

/// Functions of 100 MiB whose templates take 50 and spares 2; a fork weighs 10 beside its template.
fn on(memory_mib: u64, room: Room, trace: &Trace, policy: &str) -> Report {
    let options = Options {
        model: Model::Concurrent,
        cluster: Cluster {
            nodes: 1,
            memory: Some(Bytes::mib(memory_mib)),
        },
        room,
        ladder: Some(Ladder::Spare),
        ..Options::default()
    };
    simulate(trace, &options, &[policy])
}

#[test]
fn an_instance_takes_what_its_function_may_use_and_weighs_what_it_does() {
    // One that runs for ten seconds, and idles until the trace ends.
    let trace = by_request(1, &[(0, 0, 10_000)], 5);
    for (room, peak) in [(Room::Weighed, 62.0), (Room::Promised, 152.0)] {
        let report = on(1_000, room, &trace, "fixed:10m");
        let summary = &report.policies[0];
        assert!(
            (summary.peak_mb - peak).abs() < 1e-6,
            "{room:?}: {summary:?}"
        );
        let held = report.runs[0].outcome.functions[0].held;
        assert!((held.busy - 100.0).abs() < 1.0, "{held:?}");
        assert!((held.idle - 10.0 * 290.0).abs() < 10.0, "{held:?}");
    }
}

/// Starts of a function, from warm to booted.
fn kinds(report: &Report, function: usize) -> [u64; 5] {
    report.runs[0].outcome.functions[function].kinds
}

#[test]
fn for_a_start_the_node_gives_up_what_its_policy_does_not() {
    // Both templates and spares take 104 MiB, so that the first request's instance has no room beside them: the spares
    // go, and the template of the function that nobody has asked for. So its own first start has none, and once its
    // instance is idle that gives way to the template, which the next is forked from.
    let trace = by_request(
        2,
        &[(9_000, 0, 1_000), (600_000, 1, 1_000), (606_000, 1, 1_000)],
        20,
    );
    let report = on(190, Room::Promised, &trace, "fixed:10s");
    assert_eq!(kinds(&report, 0), [0, 0, 1, 0, 0]);
    assert_eq!(kinds(&report, 1), [0, 0, 1, 1, 0]);
    assert!(report.policies[0].peak_mb <= 190.0);
    // Where memory is weighed, all of it fits.
    let report = on(190, Room::Weighed, &trace, "fixed:10s");
    assert_eq!(kinds(&report, 0), [0, 1, 0, 0, 0]);
}

/// `rainbowcake` starts an instance ahead once it has seen two gaps. There is room for one.
#[test]
fn for_what_nobody_waits_for_nothing_goes() {
    let requests: Vec<(u64, u32, u32)> = (0..20u64)
        .flat_map(|n| [(n * 120_000, 0, 1_000), (n * 120_000 + 5_000, 1, 1_000)])
        .collect();
    let trace = by_request(2, &requests, 60);
    let options = Options {
        model: Model::Concurrent,
        cluster: Cluster {
            nodes: 1,
            memory: Some(Bytes::mib(100)),
        },
        ..Options::default()
    };
    let policies = ["rainbowcake:least=100s,most=100s"];
    let report = simulate(&trace, &options, &policies);
    let summary = &report.policies[0];
    // What is idle goes for each request of the second function, and for nothing that is ordered ahead.
    let run = &summary.run;
    assert_eq!((run.pressures, run.no_room), (20, 19), "{summary:?}");
}

#[test]
fn a_template_that_found_no_room_is_made_once_there_is() {
    // While a template is made it takes all that its function may use: the second's has no room beside the first's. It
    // is made when the instance is idle, which gives way to it.
    let trace = by_request(2, &[(0, 1, 1_000), (300_000, 1, 1_000)], 10);
    let report = on(150, Room::Promised, &trace, "fixed:1m");
    let [warm, spare, forked, zygote, booted] = kinds(&report, 1);
    assert_eq!((warm, spare + forked, zygote, booted), (0, 1, 1, 0));
}

/// So few requests of the excerpt pay user init there that the order of two starts makes a difference.
const NOISE: f64 = 1.01;

/// The excerpt on a node of ours, from just enough for what runs to enough for everything: of those that pay user init,
/// by function and by request, and of waits, nobody has fewer than `pilot`.
#[test]
fn on_a_node_that_promises_room_nobody_pays_less_than_with_pilot() {
    // What hellos' templates weigh.
    let mut profile = Profile::default();
    for class in profile.classes.values_mut() {
        class.memory.template = Weight {
            mb: 10.0,
            share: 0.0,
        };
    }
    // Sums over sizes and seeds: few requests pay at all.
    let mut sums = [[0.0; 4]; 6];
    for (mib, seed) in [1_000, 1_200, 1_500]
        .into_iter()
        .flat_map(|mib| (1..=5).map(move |seed| (mib, seed)))
    {
        let options = Options {
            model: Model::Concurrent,
            seed,
            cluster: Cluster {
                nodes: 1,
                memory: Some(Bytes::mib(mib)),
            },
            room: Room::Promised,
            ladder: Some(Ladder::Spare),
            ..Options::default()
        };
        add_on_a_node(&mut sums, &profile, &options, mib as f64);
    }
    assert_none_is_ahead(&sums, NOISE, "all");
}
