//! Traces and profiles made by hand.

use std::path::PathBuf;

use pilotlight_policy::Bytes;
use pilotlight_sim::read::read;
use pilotlight_sim::report::Report;
use pilotlight_sim::trace::{Counts, Durations, Function, Request};
use pilotlight_sim::{Options, Profile, Trace, by_names, run};

/// The excerpt of a public trace that is committed here.
pub(crate) fn excerpt() -> Trace {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/azure2019");
    read(&[folder], &mut |_| {}).expect("the excerpt is a trace")
}

/// A function with 100 MiB whose handler runs for so long.
fn function(index: usize, ms: f32) -> Function {
    Function {
        name: format!("f{index}"),
        weight: 1.0,
        memory: Some(Bytes::mib(100)),
        durations: Some(Durations::constant(ms)),
        ..Function::default()
    }
}

/// A trace of functions whose handlers run a second, from their minutes with requests.
pub(crate) fn by_minute(rows: &[&[(u32, u32)]], end: u32) -> Trace {
    let mut trace = Trace {
        end,
        ..Trace::default()
    };
    for (index, row) in rows.iter().enumerate() {
        let mut counts = Counts::default();
        for &(minute, requests) in *row {
            assert!(counts.push(minute, requests));
        }
        trace.counts.push(counts);
        trace.functions.push(function(index, 1_000.0));
    }
    trace
}

/// A trace of requests: when, of which function, and how long they run, in milliseconds.
pub(crate) fn by_request(functions: usize, requests: &[(u64, u32, u32)], end: u32) -> Trace {
    let request = |&(at_ms, function, took_ms): &_| Request {
        at_ms,
        function,
        took_ms,
        caller: None,
    };
    let mut trace = Trace {
        functions: (0..functions).map(|index| function(index, 0.0)).collect(),
        counts: vec![Counts::default(); functions],
        requests: requests.iter().map(request).collect(),
        hints: Vec::new(),
        begin: 0,
        end,
    };
    trace.count_requests();
    trace
}

/// Starts always take the same: warm and spare 1 ms, forked 10, zygote 100, booted 200, and user init nothing.
pub(crate) fn profile() -> Profile {
    let spread = |ms: u32| format!("{{\"p50\": {ms}, \"p99\": {ms}}}");
    let text = format!(
        "{{\"format\": \"pilotlight-profile\", \"version\": 1, \"source\": \"by hand\", \
         \"user_init_ms\": {}, \"classes\": {{\"python\": {{\"share\": 1, \"start_ms\": \
         {{\"warm\": {}, \"spare\": {}, \"forked\": {}, \"zygote\": {}, \"booted\": {}}}, \"memory\": \
         {{\"zygote_mb\": 10, \"template\": {{\"mb\": 0, \"share\": 0.5}}, \
         \"spare\": {{\"mb\": 2, \"share\": 0}}, \"forked\": {{\"mb\": 0, \"share\": 0.1}}}}}}}}}}",
        spread(0),
        spread(1),
        spread(1),
        spread(10),
        spread(100),
        spread(200),
    );
    Profile::read(&text).expect("it is one")
}

pub(crate) fn simulate(trace: &Trace, options: &Options, policies: &[&str]) -> Report {
    let names: Vec<String> = policies.iter().map(|name| (*name).to_owned()).collect();
    let policies = by_names(&names).expect("they are known");
    run(trace, &profile(), options, policies, 2, &|_| {}).expect("trace and policies are right")
}

/// Policies that are held against each other on nodes short of memory; ours is the last.
pub(crate) const ON_A_NODE: [&str; 6] = [
    "fixed:10m",
    "lru",
    "greedy-dual",
    "cidre",
    "hybrid:4h",
    "pilot:node",
];

/// What each of them came to on the excerpt: cold by function and by request, mean wait in milliseconds, unserved. Adds
/// to `sums`; nobody has more than `most_mb` at once.
pub(crate) fn add_on_a_node(
    sums: &mut [[f64; 4]; 6],
    profile: &Profile,
    options: &Options,
    most_mb: f64,
) {
    let policies = by_names(&ON_A_NODE.map(str::to_owned)).expect("they are known");
    let report = run(&excerpt(), profile, options, policies, 2, &|_| {}).expect("it can be run");
    for (sums, it) in sums.iter_mut().zip(&report.policies) {
        assert!(it.peak_mb <= most_mb, "{}: {}", it.policy, it.peak_mb);
        assert_eq!(it.run.ignored, 0, "{}", it.policy);
        let came = [
            it.cold_by_function.mean,
            it.cold_by_request,
            it.latency_ms.mean,
            it.run.unserved as f64,
        ];
        for (sum, came) in sums.iter_mut().zip(came) {
            *sum += came;
        }
    }
}

/// None of the others has less of any than the last, within so many times.
pub(crate) fn assert_none_is_ahead(sums: &[[f64; 4]; 6], within: f64, what: &str) {
    let [others @ .., pilot] = sums;
    for (name, other) in ON_A_NODE.iter().zip(others) {
        let mut both = pilot.iter().zip(other);
        let no_worse = both.all(|(ours, other)| *ours <= other * within);
        assert!(no_worse, "{what}: {pilot:?}, {name} {other:?}");
    }
}
