//! `pilot why`: why the last starts of a function were cold or warm.

mod forecasts;

use std::fmt::Write;

use pilotlight_model::StartKind;
use pilotlight_model::node::{Why, WhyAnswer, WhyReason, WhyRoute, WhyStart};

use crate::cli::{Format, WhyArgs};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::output;

/// Prints what the node remembers.
pub(crate) async fn run(args: WhyArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let path = format!("/pilotlight/v1/why?function={}", encode(&args.function));
    let why: WhyAnswer = client.get(&path).await?;
    output::print(&match args.output {
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&why)?),
        Format::Table => why
            .versions
            .iter()
            .map(words)
            .collect::<Vec<_>>()
            .join("\n"),
    })?;
    Ok(Exit::Done)
}

fn words(route: &WhyRoute) -> String {
    let WhyRoute { weight, why } = route;
    let mut text = format!("{}  policy {}", why.version, why.policy);
    if *weight < 1.0 {
        let _ = write!(text, "  gets {}% of the invocations", percent(*weight));
    }
    text.push('\n');
    if why.starts.is_empty() {
        text.push_str("the node remembers no start of it\n");
    } else {
        text.push_str(&starts(why));
    }
    if let Some(forecasts) = &why.forecasts {
        text.push_str(&forecasts::words(forecasts));
    }
    text
}

/// As a number that people read: 12.5, but 30 for what fractions make of 0.3.
fn percent(weight: f64) -> f64 {
    (weight * 1e4).round() / 100.0
}

fn starts(why: &Why) -> String {
    let mut rows = vec![
        ["at", "start", "waited", "warm before", "why"]
            .map(str::to_owned)
            .into(),
    ];
    rows.extend(why.starts.iter().map(row));
    let mut text = output::table(&rows, &[2, 3]);
    let _ = writeln!(
        text,
        "{} since then found an idle instance",
        requests(why.warm)
    );
    text
}

fn row(start: &WhyStart) -> Vec<String> {
    vec![
        output::time(start.at_ms),
        start.kind.as_str().to_owned(),
        output::duration(start.waited_us),
        start.warm_before.to_string(),
        format!("{}: {}", origin(start.kind), reason(&start.reason)),
    ]
}

/// What the kind of a start says of what there was.
fn origin(kind: StartKind) -> &'static str {
    match kind {
        StartKind::Warm => "one became idle meanwhile",
        StartKind::Spare => "its spare was there",
        StartKind::Forked => "its template was there",
        StartKind::Zygote => "it had no template",
        StartKind::Booted => "it had neither template nor zygote",
    }
}

fn reason(reason: &WhyReason) -> String {
    let before = |ms: &u64| output::duration(ms.saturating_mul(1_000));
    match reason {
        WhyReason::Asked => "a start was asked for".to_owned(),
        WhyReason::First => "no instance before it".to_owned(),
        WhyReason::Burst { busy, starting } => {
            format!("all instances in use, {busy} with requests and {starting} starting")
        }
        WhyReason::Reclaimed { before_ms, because } => {
            let because = match because.as_str() {
                "expired" => "its time was over",
                "pressure" => "its room was needed",
                "worth" => "its memory saved more elsewhere",
                "forecast" => "no request was expected so soon",
                other => other,
            };
            format!(
                "the last instance was reclaimed {} before, {because}",
                before(before_ms)
            )
        }
        WhyReason::Changed { before_ms } => {
            format!("the version changed {} before", before(before_ms))
        }
        WhyReason::Ended { before_ms } => {
            format!(
                "the last instance ended by itself {} before",
                before(before_ms)
            )
        }
    }
}

fn requests(count: u64) -> String {
    match count {
        1 => "1 request".to_owned(),
        count => format!("{count} requests"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_remembered_is_said_in_words() {
        let start = |kind, reason| WhyStart {
            at_ms: 0,
            kind,
            waited_us: 1_200,
            warm_before: 3,
            reason,
        };
        let why = Why {
            version: "arn:f".to_owned(),
            policy: "fixed:600000ms".to_owned(),
            warm: 1,
            starts: vec![
                start(
                    StartKind::Forked,
                    WhyReason::Reclaimed {
                        before_ms: 2_000,
                        because: "expired".to_owned(),
                    },
                ),
                start(StartKind::Booted, WhyReason::First),
            ],
            forecasts: None,
        };
        let text = words(&WhyRoute { weight: 0.3, why });
        for said in [
            "arn:f  policy fixed:600000ms  gets 30% of the invocations",
            "its template was there: the last instance was reclaimed 2.00 s before, its time was over",
            "it had neither template nor zygote: no instance before it",
            "1 request since then found an idle instance",
        ] {
            assert!(text.contains(said), "{said}\n{text}");
        }
    }
}
