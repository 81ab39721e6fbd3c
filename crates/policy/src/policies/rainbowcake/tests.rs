//! Hand-computed traces. Instances take 100 MiB and start in 10 s, so that α t / ((1 - α) m) is 24.9 s for the
//! default α of 0.996, and 99.9 s for 0.999.

use std::time::Duration;

use pilotlight_model::ladder::Rung;

use super::super::trial::{Served, Trial};
use crate::action::Action;
use crate::{Bytes, NodeId};

const SPEC: &str = "rainbowcake:quantile=0.8,waiting=0.999,least=30s";

fn trial(spec: &str) -> Trial {
    let mut trial = Trial::named(spec).starts_take(Duration::from_secs(10));
    (0..2).for_each(|version| trial.deploy(version, Bytes::mib(100), None));
    trial
}

fn stripped(trial: &Trial) -> Vec<f64> {
    trial.when(|action| {
        matches!(
            action,
            Action::Strip {
                rung: Rung::Zygote,
                ..
            }
        )
    })
}

fn bare(trial: &Trial) -> Vec<(f64, u32)> {
    let held = |(at, action): &(u64, Action)| match action {
        Action::Hold {
            version,
            node: NodeId(0),
            rung: Rung::Cached,
            ..
        } => Some((*at as f64 / 1e9, version.0)),
        _ => None,
    };
    trial.said.iter().filter_map(held).collect()
}

/// One request at 0, ready at 10, over at 15. The mean is 15 s then, and -ln(0.2) × 15 = 24.1 s, less than
/// the least of 30: User until 45 s. Lang: its mean is 45 s then, its cost unknown: 72.4 s, to 117.4 s.
#[test]
fn an_instance_is_taken_down_layer_by_layer() {
    let mut trial = trial(SPEC);
    trial.request(0, 0, 5);
    trial.until(1_000);
    assert_eq!(stripped(&trial), [45.0]);
    let bare = bare(&trial);
    assert_eq!(bare.len(), 1);
    assert!(
        (bare[0].0 - (45.0 + 45.0 * 5f64.ln())).abs() < 1e-3,
        "{bare:?}"
    );
    assert!(trial.made_ahead().is_empty(), "one arrival tells nothing");
}

/// Arrivals at 0 and 100 s: the mean at 100 is 50 s, so an instance is started at 100 + 80.5 s if none is idle.
/// That of the second request is over at 110 s; its mean is 55 s, the quantile 88.5 s and the cost's bound
/// 99.9 s: User until 198.5 s, so that nothing is started. With a quarter of the waiting's worth the bound is
/// below the least, so User until 140 s, and one is started at 180.5 s, ready and kept for 30 s from 190.5 s.
#[test]
fn an_instance_is_started_ahead_where_none_is_idle() {
    let play = |spec: &str| {
        let mut trial = trial(spec);
        trial.request(0, 0, 5);
        trial.request(100, 0, 0);
        trial.until(1_000);
        trial
    };
    let close = |times: Vec<f64>, expected: &[f64]| {
        assert_eq!(times.len(), expected.len(), "{times:?}");
        times
            .iter()
            .zip(expected)
            .for_each(|(a, b)| assert!((a - b).abs() < 0.1, "{times:?}"));
    };
    let kept = play(SPEC);
    close(kept.made_ahead(), &[]);
    close(stripped(&kept), &[45.0, 198.5]);
    let let_go = play("rainbowcake:quantile=0.8,waiting=0.996,least=30s");
    close(let_go.made_ahead(), &[180.5]);
    close(stripped(&let_go), &[45.0, 140.0, 220.5]);
}

/// What Lang is kept for follows from the arrivals of all versions of the runtime, and ends with the version's own
/// next start.
#[test]
fn a_language_is_shared() {
    let mut trial = trial(SPEC);
    trial.request(0, 0, 5);
    (1..=40).for_each(|number| trial.request(number, 1, 1_000));
    trial.until(46);
    assert_eq!(stripped(&trial), [45.0]);
    trial.until(1_000);
    // The last six arrivals were from 35 s to 40 s: a mean of 10 / 6 s at 45 s, so the least again.
    assert_eq!(bare(&trial).first(), Some(&(75.0, 0)));
    // Stripped at 35 s, the zygote kept until 91 s: but for the start at 41 s, which uses it. What is started
    // ahead at 74 s is kept until 104 s.
    let mut again = Trial::named(SPEC);
    again.request(0, 0, 5);
    again.request(41, 0, 500);
    again.until(100);
    assert_eq!(stripped(&again), [35.0]);
    assert_eq!(again.served, [Served::Cold, Served::Cold]);
    assert!(bare(&again).is_empty());
}

#[test]
fn retired_versions_leave_nothing() {
    let mut trial = trial(SPEC);
    trial.request(0, 0, 5);
    trial.until(50);
    trial.retire(0);
    assert_eq!(bare(&trial), [(50.0, 0)]);
    assert_eq!(trial.idle(0), 0);
}
