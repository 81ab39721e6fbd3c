//! Fixed keep-alive in the single model, by hand and against a loop that is plainly right.

use pilotlight_policy::Bytes;
use pilotlight_sim::Options;
use pilotlight_sim::options::{Cluster, Ties};
use proptest::prelude::*;

use crate::support::{by_minute, simulate};

#[test]
fn by_hand() {
    // Cold at 0; warm at 10, just when the keep-alive ends; cold at 21; three requests then, one cold.
    let trace = by_minute(&[&[(0, 1), (10, 2), (21, 3)]], 60);
    let report = simulate(&trace, &Options::default(), &["fixed:10m"]);
    let function = report.runs[0].outcome.functions[0];
    assert_eq!((function.arrivals, function.cold_arrivals), (3, 2));
    assert_eq!((function.requests(), function.cold()), (6, 2));
    // There from 0 to 20 and from 21 to 31.
    assert!((function.held.wasted() - 30.0 * 60.0 * 100.0).abs() < 1e-6);
    let summary = &report.policies[0];
    assert_eq!(summary.wasted_relative, 1.0);
    assert!((summary.cold_by_function.mean - 2.0 / 3.0).abs() < 1e-12);
    assert!((summary.cold_by_request - 2.0 / 6.0).abs() < 1e-12);

    let ticks = Options {
        ties: Ties::Ticks,
        ..Options::default()
    };
    let report = simulate(&trace, &ticks, &["fixed:10m"]);
    assert_eq!(report.runs[0].outcome.functions[0].cold_arrivals, 3);
}

#[test]
fn a_node_that_is_full_asks_for_room() {
    // Two of 100 MiB do not fit into 150: each start ends the other's instance.
    let trace = by_minute(&[&[(0, 1), (2, 1)], &[(1, 1)]], 10);
    let options = Options {
        cluster: Cluster {
            nodes: 1,
            memory: Some(Bytes::mib(150)),
        },
        ..Options::default()
    };
    let report = simulate(&trace, &options, &["fixed:1h"]);
    let [first, second] = [0, 1].map(|n| report.runs[0].outcome.functions[n]);
    assert_eq!((first.cold_arrivals, second.cold_arrivals), (2, 1));
    assert_eq!(report.policies[0].run.pressures, 2);
    assert_eq!(report.policies[0].peak_mb, 100.0);
}

proptest! {
    #[test]
    fn as_a_loop_over_minutes_says(
        rows in prop::collection::vec(prop::collection::btree_map(0u32..300, 1u32..100, 1..40), 1..8),
        keep in 0u32..100,
    ) {
        let rows: Vec<Vec<(u32, u32)>> = rows.into_iter().map(|row| row.into_iter().collect()).collect();
        let slices: Vec<&[(u32, u32)]> = rows.iter().map(Vec::as_slice).collect();
        let report = simulate(&by_minute(&slices, 400), &Options::default(), &[&format!("fixed:{keep}m")]);
        for (row, function) in rows.iter().zip(&report.runs[0].outcome.functions) {
            let (mut cold, mut there, mut until) = (0, 0, None);
            for &(minute, _) in row {
                match until {
                    Some(until) if minute <= until => there -= until - minute,
                    _ => cold += 1,
                }
                let next = (minute + keep).min(400);
                there += next - minute;
                until = Some(next);
            }
            prop_assert_eq!(function.cold_arrivals, cold);
            prop_assert_eq!(function.arrivals, row.len() as u64);
            prop_assert!((function.held.wasted() - f64::from(there) * 60.0 * 100.0).abs() < 1e-3);
        }
    }
}
