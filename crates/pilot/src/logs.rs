//! `pilot logs`: what a function's instances wrote, and the platform's lines about them.

use anyhow::Context;
use serde::{Deserialize, Serialize};

use crate::cli::{Format, LogsArgs, moment_ms};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::output;

/// Lines per request.
const LINES: usize = 1_000;
/// How long the platform holds a request back until there is a new line.
const WAIT_SECONDS: u64 = 20;

/// What the platform answers.
#[derive(Debug, Deserialize)]
struct Lines {
    lines: Vec<Line>,
    /// Where to read on.
    next: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at_ms: u64,
    stream: String,
    message: String,
}

/// Prints all kept lines, and with `--follow` those that come.
pub(crate) async fn run(args: LogsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    // The moment stays where it was while lines are followed.
    let since = args.since.map_or(0, moment_ms);
    let mut read = read(&client, &args.function, since, 0, 0).await?;
    if read.lines.is_empty() {
        // One that has not run yet has no lines; one that is not there is an error.
        let function = encode(&args.function);
        let path = format!("/2015-03-31/functions/{function}/configuration");
        client.get::<serde_json::Value>(&path).await?;
    }
    let print_all = async {
        let wait = if args.follow { WAIT_SECONDS } else { 0 };
        while args.follow || !read.lines.is_empty() {
            print(&read.lines, args.output)?;
            read = self::read(&client, &args.function, since, read.next, wait).await?;
        }
        Ok(Exit::Done)
    };
    tokio::select! {
        outcome = print_all => outcome,
        signal = tokio::signal::ctrl_c() => {
            signal.context("cannot wait for Ctrl-C")?;
            Ok(Exit::Done)
        }
    }
}

async fn read(
    client: &Client,
    function: &str,
    since: u128,
    position: u64,
    wait: u64,
) -> anyhow::Result<Lines> {
    let path = format!(
        "/pilotlight/v1/logs?function={}&since={since}&position={position}&limit={LINES}&wait={wait}",
        encode(function)
    );
    client.get(&path).await
}

fn print(lines: &[Line], format: Format) -> anyhow::Result<()> {
    let mut text = String::new();
    for line in lines {
        match format {
            Format::Table => text.push_str(&line.message),
            Format::Json => text.push_str(&serde_json::to_string(line)?),
        }
        text.push('\n');
    }
    Ok(output::print(&text)?)
}
