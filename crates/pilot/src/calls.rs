//! `pilot calls`: which functions call which, as the node's policy has learned it.

use pilotlight_model::node::{CallsAnswer, CallsOf};

use crate::cli::{CallsArgs, Format};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::output;

/// Calls of one page: the most that the API gives.
const PAGE: usize = 1_000;

/// Reads page after page, and prints what there is.
pub(crate) async fn run(args: CallsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let limit = args.limit as usize;
    let function = args.function.as_deref().map_or_else(String::new, encode);
    let mut all: Option<CallsAnswer> = None;
    loop {
        let (known, from) = all
            .as_ref()
            .map_or((0, 0), |it| (it.calls.len(), it.next.unwrap_or_default()));
        let page = (limit - known).min(PAGE);
        let path = format!("/pilotlight/v1/calls?function={function}&from={from}&limit={page}");
        let answer: CallsAnswer = client.get(&path).await?;
        let all = match &mut all {
            Some(all) => {
                all.calls.extend(answer.calls);
                all.next = answer.next;
                all
            }
            None => all.insert(answer),
        };
        if all.next.is_none() || all.calls.len() >= limit {
            break;
        }
    }
    let Some(answer) = all else {
        return Ok(Exit::Done);
    };
    match args.output {
        Format::Json => output::print(&format!("{}\n", serde_json::to_string_pretty(&answer)?))?,
        Format::Table if answer.calls.is_empty() => {
            eprintln!("the policy, {}, knows of no calls", answer.policy);
        }
        Format::Table => output::print(&table(&answer))?,
    }
    Ok(Exit::Done)
}

fn table(answer: &CallsAnswer) -> String {
    let head = [
        "CALLER",
        "CALLS",
        "SHARE",
        "AT ONCE",
        "P50",
        "P90",
        "SEEN",
        "FORESEEN",
        "PRECISION",
        "RECALL",
        "AHEAD",
        "MB·S IN VAIN",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    rows.extend(answer.calls.iter().map(row));
    let mut text = output::table(&rows, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    if answer.next.is_some() {
        text.push_str("there are more: --limit\n");
    }
    text
}

fn row(of: &CallsOf) -> Vec<String> {
    let calls = &of.calls;
    let time = |ms: u64| output::duration(ms.saturating_mul(1_000));
    let percent = |share: f32| format!("{:.0} %", share * 100.0);
    // Of what was not foreseen, or did not come, there is no share.
    let worth = |of: u32, text: String| if of > 0 { text } else { "-".to_owned() };
    vec![
        short(&of.caller).to_owned(),
        format!(
            "{}{}",
            short(&calls.function),
            if calls.declared { " (declared)" } else { "" }
        ),
        percent(calls.probability),
        format!("{:.1}", calls.fan_out),
        worth(calls.calls, time(calls.p50_ms)),
        worth(calls.calls, time(calls.p90_ms)),
        calls.calls.to_string(),
        calls.forecasts.to_string(),
        worth(calls.forecasts, percent(calls.precision)),
        worth(calls.calls, percent(calls.recall)),
        worth(calls.hits, time(calls.lead_ms)),
        format!("{:.1}", calls.wasted_mb_s),
    ]
}

/// A version's name with its qualifier: account and region are the caller's own.
fn short(arn: &str) -> &str {
    arn.split_once(":function:").map_or(arn, |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use pilotlight_model::node::Calls;

    use super::*;

    #[test]
    fn a_call_is_a_row_and_what_is_not_known_is_a_dash() {
        let calls = Calls {
            function: "arn:aws:lambda:us-east-1:1:function:stock:$LATEST".to_owned(),
            declared: true,
            probability: 0.75,
            fan_out: 1.5,
            from_ms: 90,
            until_ms: 1_500,
            p50_ms: 200,
            p90_ms: 900,
            calls: 0,
            forecasts: 4,
            hits: 0,
            precision: 0.0,
            recall: 0.0,
            lead_ms: 0,
            wasted_mb_s: 2.5,
        };
        let declared = CallsOf {
            caller: "arn:aws:lambda:us-east-1:1:function:orders:7".to_owned(),
            calls: calls.clone(),
        };
        let seen = CallsOf {
            calls: Calls {
                declared: false,
                calls: 9,
                hits: 3,
                precision: 0.75,
                recall: 0.33,
                lead_ms: 40,
                ..calls
            },
            ..declared.clone()
        };
        let text = table(&CallsAnswer {
            policy: "pilot:node".to_owned(),
            calls: vec![declared, seen],
            next: Some(9),
        });
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines.len(), 4, "{text}");
        let declared = "orders:7 stock:$LATEST (declared) 75 % 1.5 - - 0 4 0 % - - 2.5";
        assert_eq!(lines[1].join(" "), declared);
        let seen = "orders:7 stock:$LATEST 75 % 1.5 200 ms 900 ms 9 4 75 % 33 % 40.0 ms 2.5";
        assert_eq!(lines[2].join(" "), seen);
        assert!(text.ends_with("there are more: --limit\n"), "{text}");
    }
}
