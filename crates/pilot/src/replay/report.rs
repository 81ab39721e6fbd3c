//! What a platform did beside what the simulator said.

use std::collections::BTreeMap;
use std::fmt::Write;

use pilotlight_model::StartKind;
use serde::Serialize;

use super::drive::Called;
use super::tally::{Shares, Tally, Times};
use crate::output;

/// What was replayed.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Settings {
    pub(super) policy: String,
    pub(super) speed: u32,
    pub(super) seed: u64,
    pub(super) templates: bool,
    pub(super) functions: usize,
    /// Requests of the trace that were not called, as `--most` has it.
    pub(super) left_out: u64,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    #[serde(flatten)]
    settings: Settings,
    live: Side,
    simulated: Side,
    differs: Differences,
    slowest: Vec<Called>,
}

/// What came of all requests.
#[derive(Debug, Serialize)]
struct Side {
    requests: u64,
    /// Without an answer; in a simulation, without an instance when it ended.
    failed: u64,
    starts: BTreeMap<StartKind, u64>,
    /// Those that found no idle instance.
    started: Shares,
    /// Those that paid user init.
    cold: Shares,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_ms: Option<Times>,
    beyond_ms: Times,
}

/// By how much the simulated shares differ from the live ones, relative to these; none where there was none live.
#[derive(Debug, Serialize)]
struct Differences {
    started: Relative,
    cold: Relative,
}

#[derive(Debug, Serialize)]
struct Relative {
    by_request: Option<f64>,
    by_function: Option<f64>,
}

impl Report {
    pub(super) fn new(
        settings: Settings,
        live: &Tally,
        simulated: &Tally,
        slowest: Vec<Called>,
    ) -> Self {
        Self {
            settings,
            differs: Differences {
                started: Relative::of(live.started(), simulated.started()),
                cold: Relative::of(live.cold(), simulated.cold()),
            },
            live: Side::of(live),
            simulated: Side::of(simulated),
            slowest,
        }
    }

    pub(super) fn table(&self) -> String {
        let Settings {
            policy,
            functions,
            left_out,
            templates,
            ..
        } = &self.settings;
        let mut text = format!(
            "{policy}, {functions} functions{}, {} requests, {} failed, {left_out} left out\n\n",
            if *templates { "" } else { " without templates" },
            self.live.requests,
            self.live.failed,
        );
        let mut rows = vec![
            ["", "live", "simulated", "differs"]
                .map(str::to_owned)
                .to_vec(),
        ];
        let (live, simulated, differs) = (&self.live, &self.simulated, &self.differs);
        for (what, live, simulated, differs) in [
            (
                "no idle instance",
                live.started,
                simulated.started,
                &differs.started,
            ),
            ("paid user init", live.cold, simulated.cold, &differs.cold),
        ] {
            rows.push(share(
                what,
                "by request",
                live.by_request,
                simulated.by_request,
                differs.by_request,
            ));
            rows.push(share(
                what,
                "by function",
                live.by_function,
                simulated.by_function,
                differs.by_function,
            ));
        }
        for kind in StartKind::ALL {
            let [live, simulated] = [live, simulated].map(|it| it.starts.get(&kind).copied());
            let number = |it: Option<u64>| it.unwrap_or_default().to_string();
            rows.push(vec![
                kind.to_string(),
                number(live),
                number(simulated),
                String::new(),
            ]);
        }
        let [live, simulated] = [live.beyond_ms, simulated.beyond_ms];
        for (what, live, simulated) in [
            ("beyond the handler, p50", live.p50, simulated.p50),
            ("beyond the handler, p99", live.p99, simulated.p99),
            ("beyond the handler, p99.9", live.p999, simulated.p999),
        ] {
            let ms = |ms: f64| output::duration((ms * 1e3) as u64);
            rows.push(vec![
                what.to_owned(),
                ms(live),
                ms(simulated),
                String::new(),
            ]);
        }
        text += &output::table(&rows, &[1, 2, 3]);
        if let Some(start) = &self.live.start_ms {
            let [p50, p99, p999] =
                [start.p50, start.p99, start.p999].map(|ms| output::duration((ms * 1e3) as u64));
            let _ = writeln!(
                text,
                "\nuntil the handler runs: p50 {p50}, p99 {p99}, p99.9 {p999}"
            );
        }
        if let Some(slowest) = self.slowest.first() {
            text += &told(slowest);
        }
        text
    }
}

fn share(what: &str, of: &str, live: f64, simulated: f64, differs: Option<f64>) -> Vec<String> {
    let percent = |share: f64| format!("{:.3} %", share * 100.0);
    let differs = differs.map_or(String::new(), |it| format!("{:+.1} %", it * 100.0));
    vec![
        format!("{what}, {of}"),
        percent(live),
        percent(simulated),
        differs,
    ]
}

/// Where the time of a start went.
fn told(call: &Called) -> String {
    let mut text = format!(
        "the longest start: {} at {} s, {}:",
        call.function,
        call.at_ms / 1_000,
        call.kind.map_or("failed", StartKind::as_str)
    );
    for phase in call.phases.iter().filter(|it| it.us > 0) {
        let _ = write!(
            text,
            " {} {}",
            phase.phase.as_str(),
            output::duration(phase.us)
        );
    }
    text + "\n"
}

impl Side {
    fn of(tally: &Tally) -> Self {
        let kinds = tally.kinds();
        Self {
            requests: kinds.iter().sum::<u64>() + tally.failed,
            failed: tally.failed,
            starts: StartKind::ALL.into_iter().zip(kinds).collect(),
            started: tally.started(),
            cold: tally.cold(),
            start_ms: tally.start_ms,
            beyond_ms: tally.beyond_ms,
        }
    }
}

impl Relative {
    fn of(live: Shares, simulated: Shares) -> Self {
        let relative = |live: f64, simulated: f64| (live > 0.0).then(|| simulated / live - 1.0);
        Self {
            by_request: relative(live.by_request, simulated.by_request),
            by_function: relative(live.by_function, simulated.by_function),
        }
    }
}
