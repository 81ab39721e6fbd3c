//! Whether forecasts come true as often as they say: on the excerpt, and on requests whose distribution is known.

use pilotlight_policy::Bytes;
use pilotlight_sim::draw::{Draw, Stream};
use pilotlight_sim::report::{ForecastSummary, TenthSummary};
use pilotlight_sim::trace::{Counts, Function};
use pilotlight_sim::{Model, Options, Profile, Trace, by_names, run};

use crate::support::excerpt;

/// What `pilot` said of a trace, and what came.
fn forecasts(trace: &Trace, model: Model) -> ForecastSummary {
    let options = Options {
        model,
        ..Options::default()
    };
    let policies = by_names(&["pilot".to_owned()]).expect("it is known");
    let report = run(trace, &Profile::default(), &options, policies, 2, &|_| {});
    report.expect("it can be run").policies[0].forecasts.clone()
}

/// Whether stated and observed lie apart by no more than so much, and what chance does besides: three standard
/// deviations, where each forecast counts for a quarter of one. Of one gap of one function several are made, which come
/// true or not together.
fn is_near(tenth: &TenthSummary, by: f64) -> bool {
    let p = tenth.stated.clamp(0.05, 0.95);
    let chance = 3.0 * (p * (1.0 - p) * 4.0 / tenth.made as f64).sqrt();
    (tenth.stated - tenth.came_true).abs() < by + chance
}

/// 16 functions for two hours, of which `pilot` knows nothing before.
#[test]
fn confidence_is_about_what_comes_on_the_excerpt() {
    for model in [Model::Single, Model::Concurrent] {
        let forecasts = forecasts(&excerpt(), model);
        let made: u64 = forecasts.reliability.iter().map(|tenth| tenth.made).sum();
        assert!(made > 100, "{model:?}: {made}");
        let error = forecasts.calibration_error.expect("there are some");
        assert!(error < 0.08, "{model:?}: {error} {forecasts:#?}");
        for tenth in &forecasts.reliability {
            assert!(is_near(tenth, 0.1), "{model:?}: {tenth:?}");
        }
    }
}

/// Functions for a day: a third at random (each minute with the same probability, once in 10 minutes to once in 6
/// hours), a third every so often but for a tenth of the times, when it is twice as long, and a third with one of two
/// gaps, drawn anew each time.
fn drawn(functions: u32, seed: u64) -> Trace {
    let (draw, end) = (Draw::new(seed), 1_440);
    let mut trace = Trace {
        end,
        ..Trace::default()
    };
    for index in 0..functions {
        let at = |number: u64| draw.unit(Stream::Generate, u64::from(index), number);
        let mean = 10.0 * 36f64.powf(at(1 << 40));
        let (mut minute, mut number) = ((at(1 << 41) * mean) as u32, 0);
        let mut counts = Counts::default();
        while minute < end {
            assert!(counts.push(minute, 1));
            number += 1;
            let gap = match index % 3 {
                0 => -at(number).ln() * mean,
                1 if at(number) < 0.1 => 2.0 * mean,
                2 if at(number) < 0.5 => mean / 3.0,
                _ => mean,
            };
            minute += (gap.ceil() as u32).max(1);
        }
        trace.counts.push(counts);
        trace.functions.push(Function {
            name: format!("f{index}"),
            weight: 1.0,
            memory: Some(Bytes::mib(100)),
            ..Function::default()
        });
    }
    trace
}

#[test]
fn confidence_is_what_comes_where_the_distribution_is_known() {
    let seed = 7;
    let forecasts = forecasts(&drawn(60, seed), Model::Single);
    let tenths = &forecasts.reliability;
    let often = tenths.iter().filter(|it| it.made >= 100);
    assert!(often.count() >= 5, "seed {seed}: {tenths:#?}");
    assert!(
        tenths.iter().all(|tenth| is_near(tenth, 0.08)),
        "seed {seed}: {tenths:#?}"
    );
    assert!(
        forecasts.calibration_error < Some(0.03),
        "seed {seed}: {forecasts:#?}"
    );
}
