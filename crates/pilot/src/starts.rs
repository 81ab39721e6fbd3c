//! `pilot starts`: where the time of starts went.

mod medians;
pub(crate) mod waterfall;

use std::fmt::Write;

use pilotlight_model::{StartKind, StartRecord};
use serde::Deserialize;

use crate::cli::{Format, StartsArgs, moment_ms};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::output;

/// What the platform answers.
#[derive(Debug, Deserialize)]
struct Starts {
    starts: Vec<StartRecord>,
}

/// Prints the last cold start and the medians by kind.
pub(crate) async fn run(args: StartsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let Starts { starts } = client.get(&path(&args, args.kind, args.limit)).await?;
    if args.output == Format::Json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&starts)?))?;
        return Ok(Exit::Done);
    }
    // A cold start is what people come for, and may be older than all the records asked for.
    let shown = match starts.iter().find(|start| start.kind != StartKind::Warm) {
        Some(cold) => Some(cold.clone()),
        None if args.kind.is_none() => last_cold(&client, &args).await?,
        None => None,
    };
    let Some(shown) = shown.or_else(|| starts.first().cloned()) else {
        if let Some(function) = &args.function {
            // A name that was mistyped has no starts either.
            let path = format!("/2015-03-31/functions/{}", encode(function));
            client.get::<serde::de::IgnoredAny>(&path).await?;
        }
        eprintln!("no such starts yet; `pilot invoke NAME` makes one");
        return Ok(Exit::Done);
    };
    let mut text = waterfall::draw(
        &title(&shown),
        &shown.phases,
        output::width(),
        output::unicode(),
    );
    let _ = write!(
        text,
        "\nmedians by kind, and of how many starts: {}\n{}",
        extent(starts.len(), args.limit),
        medians::table(&starts)
    );
    output::print(&text)?;
    Ok(Exit::Done)
}

/// How far the medians look.
fn extent(records: usize, limit: u32) -> String {
    match records < limit as usize {
        true => format!("all {records} that are kept"),
        false => format!("the newest {records}; --limit looks further"),
    }
}

/// The newest start that was not warm, of whichever kind.
async fn last_cold(client: &Client, args: &StartsArgs) -> anyhow::Result<Option<StartRecord>> {
    let mut last: Option<StartRecord> = None;
    for kind in StartKind::ALL {
        if kind == StartKind::Warm {
            continue;
        }
        let Starts { starts } = client.get(&path(args, Some(kind), 1)).await?;
        let newer = |start: &StartRecord| last.as_ref().is_none_or(|it| it.at_ms < start.at_ms);
        last = starts.into_iter().next().filter(newer).or(last);
    }
    Ok(last)
}

fn title(start: &StartRecord) -> String {
    format!(
        "{}:{}  {}{}  {}  {}  request {}",
        start.version.name,
        start.version.version,
        start
            .runs_on
            .map_or_else(String::new, |runtime| format!("{runtime}  ")),
        start.kind,
        output::duration(start.total_us),
        output::time(start.at_ms),
        start.request_id
    )
}

fn path(args: &StartsArgs, kind: Option<StartKind>, limit: u32) -> String {
    let mut path = format!("/pilotlight/v1/starts?limit={limit}");
    if let Some(function) = &args.function {
        path.push_str(&format!("&function={}", encode(function)));
    }
    if let Some(kind) = kind {
        path.push_str(&format!("&kind={kind}"));
    }
    if let Some(since) = args.since {
        path.push_str(&format!("&since={}", moment_ms(since)));
    }
    path
}
