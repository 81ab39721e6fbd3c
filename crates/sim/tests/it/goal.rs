//! What `pilot` is for, on the excerpt: at equal memory-time fewer and shorter waits than any other policy.

use pilotlight_policy::Bytes;
use pilotlight_sim::options::Cluster;
use pilotlight_sim::report::{Report, beside};
use pilotlight_sim::{Model, Options, Profile, by_names, run};

use crate::support::{add_on_a_node, assert_none_is_ahead, excerpt};

/// The others, with parameters from little memory to much.
const OTHERS: &[&str] = &[
    "fixed:10s",
    "fixed:1m",
    "fixed:2m",
    "fixed:5m",
    "fixed:10m",
    "fixed:20m",
    "fixed:1h",
    "hybrid:1h",
    "hybrid:4h",
    "hybrid:4h,least=1",
    "hybrid:4h,cv=5",
    "rainbowcake",
    "rainbowcake:quantile=0.95",
    "lru:400MiB",
    "lru:700MiB",
    "lfu:400MiB",
    "lfu:700MiB",
    "greedy-dual:400MiB",
    "greedy-dual:700MiB",
    "cidre:400MiB",
    "cidre:700MiB",
];

fn report(model: Model, names: &[String]) -> Report {
    let options = Options {
        model,
        ..Options::default()
    };
    let policies = by_names(names).expect("they are known");
    run(
        &excerpt(),
        &Profile::default(),
        &options,
        policies,
        2,
        &|_| {},
    )
    .expect("it can be run")
}

/// The others, and `pilot` with the budgets of many keep-alives.
fn all() -> Vec<String> {
    let mut names: Vec<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    let mut keep_alives_ms = vec![10.0, 1e3, 5e3, 10e3, 20e3, 3_600e3, 86_400e3];
    // Finely where most of the others are: with few functions each cold start counts.
    keep_alives_ms.extend((0..42).map(|step| 30e3 * 1.1f64.powi(step)));
    let ours = keep_alives_ms.into_iter();
    names.extend(ours.map(|ms| format!("pilot:shadow,keep-alive={ms:.0}ms")));
    names
}

#[test]
fn at_equal_memory_time_nobody_waits_less_than_with_pilot() {
    for model in [Model::Single, Model::Concurrent] {
        let report = report(model, &all());
        for row in beside(&report, "pilot") {
            // In 400 MiB next to nothing fits beside what runs, which is all that the smallest budget has.
            let nothing_kept = row.ours.is_none() && row.other.policy.ends_with(":400MiB");
            assert!(
                nothing_kept || row.is_as_rarely_cold() && row.is_as_fast(),
                "{model:?}: {row:#?}"
            );
        }
    }
}

#[test]
fn no_colder_than_hybrid_histogram_with_no_more_memory_than_ten_minutes() {
    let names = ["fixed:10m", "hybrid:4h", "pilot"].map(str::to_owned);
    let report = report(Model::Single, &names);
    let [ten, hybrid, pilot] = report.policies.as_slice() else {
        panic!("three were asked for");
    };
    assert!(pilot.cold_by_function.mean <= hybrid.cold_by_function.mean);
    assert!(pilot.wasted_mb_s <= ten.wasted_mb_s);
    assert!(pilot.latency_ms.p99 < 10.0);
}

/// One node, from what is half of what it would take to what is nearly enough. By sums over seeds: which function
/// has what user init is drawn.
#[test]
fn on_a_node_short_of_memory_nobody_pays_less_or_waits_less_than_with_pilot() {
    for mib in [700, 1_000] {
        let mut sums = [[0.0; 4]; 6];
        for seed in 1..=3 {
            let options = Options {
                model: Model::Concurrent,
                seed,
                cluster: Cluster {
                    nodes: 1,
                    memory: Some(Bytes::mib(mib)),
                },
                ..Options::default()
            };
            // Of a template that goes, forks keep what they shared: little more than there is, for a moment.
            add_on_a_node(&mut sums, &Profile::default(), &options, mib as f64 * 1.03);
        }
        assert_none_is_ahead(&sums, 1.0, &format!("{mib} MiB"));
    }
}
