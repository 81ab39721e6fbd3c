//! Clusters: what is done on one node is done there alone, and once.

use pilotlight_model::start::Instant;
use pilotlight_policy::event::Announced;
use pilotlight_policy::{Bytes, Event, VersionId};
use pilotlight_sim::options::{Cluster, Ladder};
use pilotlight_sim::report::Report;
use pilotlight_sim::{Model, Options, Trace};

use crate::support::{by_request, simulate};

const POLICIES: &[&str] = &[
    "fixed:1m",
    "hybrid:1h,least=3",
    "lru",
    "greedy-dual",
    "cidre",
    "rainbowcake",
    "pilot",
    "pilot:node",
];

fn options(nodes: u32, memory_mib: Option<u64>) -> Options {
    Options {
        model: Model::Concurrent,
        cluster: Cluster {
            nodes,
            memory: memory_mib.map(Bytes::mib),
        },
        ..Options::default()
    }
}

/// Requests of three functions, one every 5 to 75 s, none of which begins before the last is over.
fn one_after_the_other() -> Trace {
    let mut at = 0;
    let requests: Vec<(u64, u32, u32)> = (0..400u64)
        .map(|number| {
            at += 5_000 + number * 7_919 % 70_000;
            (at, (number * number % 3) as u32, 200)
        })
        .collect();
    by_request(3, &requests, 400)
}

/// What a policy's run came to, but for the order of actions.
fn figures(report: &Report, number: usize) -> String {
    let summary = &report.policies[number];
    format!(
        "{:?} {:?} {:.3?} {} {:?}",
        summary.starts,
        summary.cold_by_function,
        summary.memory_mb_s,
        summary.started_ahead,
        summary.latency_ms
    )
}

#[test]
fn where_one_instance_serves_further_nodes_change_nothing() {
    let trace = one_after_the_other();
    for ladder in [None, Some(Ladder::Spare)] {
        let [one, four] = [1, 4].map(|nodes| {
            let options = Options {
                ladder,
                ..options(nodes, None)
            };
            simulate(&trace, &options, POLICIES)
        });
        assert_eq!((one.setting.ladder, four.setting.nodes), (ladder, 4));
        for (number, policy) in POLICIES.iter().enumerate() {
            let [one, four] = [&one, &four].map(|report| figures(report, number));
            assert_eq!(one, four, "{policy}, {ladder:?}");
        }
    }
}

/// Two instances are announced for minute 5: two are made, wherever, and not two on each node.
#[test]
fn starts_ahead_are_not_made_on_every_node() {
    let mut trace = by_request(1, &[(0, 0, 100), (330_000, 0, 100), (330_010, 0, 100)], 10);
    let minutes = |minutes: u64| Instant(minutes * 60_000_000_000);
    let announced = Event::Announced(Announced {
        version: VersionId(0),
        requests: 2,
        at: minutes(5),
    });
    trace.hints.push((minutes(4), announced));
    for nodes in [1, 4] {
        let report = simulate(&trace, &options(nodes, None), &["pilot:node"]);
        let there_already = report.runs[0].outcome.functions[0].kinds[0];
        assert_eq!(there_already, 2, "{nodes} nodes");
        assert!(report.policies[0].started_ahead <= 2, "{nodes} nodes");
    }
}

/// Functions of 90, 100, 100, 30 and 100 MiB on two nodes of 150 MiB. The first has node 0 for 10 s, the second node 1
/// for a second. The third finds most free on node 0, and waits there until 10.1 s; the fourth takes 30 MiB there, so
/// that the fifth waits on node 1, where the second's instance makes room for it at 1.1 s.
#[test]
fn a_wait_for_room_on_one_node_holds_up_no_other() {
    let requests = [
        (0, 0, 10_000),
        (0, 1, 1_000),
        (200, 2, 10),
        (250, 3, 10_000),
        (300, 4, 10),
    ];
    let mut trace = by_request(5, &requests, 1);
    trace.functions[0].memory = Some(Bytes::mib(90));
    trace.functions[3].memory = Some(Bytes::mib(30));
    let report = simulate(&trace, &options(2, Some(150)), &["fixed:10m"]);
    let waited_ms = 100.0 + 100.0 + (10_100.0 - 200.0 + 100.0) + 100.0 + (1_100.0 - 300.0 + 100.0);
    let mean = report.policies[0].latency_ms.mean;
    assert!((mean / (waited_ms / 5.0) - 1.0).abs() < 0.011, "{mean}");
}

/// On four nodes each has what it has: the most that is there at once stays within each node's memory, and within
/// what one node of the same memory has.
#[test]
fn memory_is_each_nodes_own() {
    // Each function is larger than what the others leave on a node, so that a node has one at a time.
    let requests: Vec<(u64, u32, u32)> = (0..40u64)
        .map(|number| (number * 20_000, (number % 4) as u32, 100))
        .collect();
    let trace = by_request(4, &requests, 20);
    let cold = |nodes, memory| {
        let report = simulate(&trace, &options(nodes, Some(memory)), &["lru"]);
        let summary = &report.policies[0];
        assert!(summary.peak_mb <= f64::from(nodes) * memory as f64);
        summary.starts.zygote
    };
    assert_eq!(cold(1, 600), 4.0, "one node holds all four");
    assert_eq!(cold(4, 150), 4.0, "so do four, one each");
    // All three are as full, so that the fourth goes to node 0, and what makes room is there: after that the first and
    // the fourth take each other's place there, and the others stay where they are.
    assert_eq!(cold(3, 150), 4.0 + 9.0 * 2.0, "three nodes hold three");
    assert_eq!(
        cold(6, 90),
        0.0,
        "nowhere is room for any, whatever they have together"
    );
}

/// The templates of three functions take 50 MiB each, two of them on the first node, where three idle forks have taken
/// what was left.
#[test]
fn a_start_goes_where_its_template_is_and_idle_instances_make_room() {
    let busy = [(1_000, 0, 2_000); 3];
    let trace = by_request(3, &[&busy[..], &[(20_000, 2, 500)]].concat(), 1);
    let options = Options {
        ladder: Some(Ladder::Template),
        ..options(2, Some(130))
    };
    let report = simulate(&trace, &options, &["pilot:node"]);
    let kinds = report.runs[0].outcome.functions[2].kinds;
    // Warm, spare, forked, zygote, booted.
    assert_eq!((kinds[3], kinds[4]), (0, 0), "{kinds:?}");
    assert_eq!(kinds.iter().sum::<u64>(), 1, "{kinds:?}");
}
