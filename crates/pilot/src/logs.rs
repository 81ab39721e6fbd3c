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
    log_group: String,
    lines: Vec<Line>,
    /// Where to read on.
    next: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct Line {
    at_ms: u64,
    stream: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    message: String,
}

/// Where reading is.
#[derive(Debug, Clone, Default)]
struct Place {
    /// Empty before the first answer.
    log_group: String,
    position: u64,
    /// Older lines are passed over, in milliseconds since 1970.
    since_ms: u128,
}

/// Prints all kept lines, and with `--follow` those that come.
pub(crate) async fn run(args: LogsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    tokio::select! {
        outcome = print_all(&client, &args) => outcome,
        signal = tokio::signal::ctrl_c() => {
            signal.context("cannot wait for Ctrl-C")?;
            Ok(Exit::Done)
        }
    }
}

async fn print_all(client: &Client, args: &LogsArgs) -> anyhow::Result<Exit> {
    let mut place = Place {
        // The moment stays where it was while lines are followed.
        since_ms: args.since.map_or(0, moment_ms),
        ..Place::default()
    };
    let wait = if args.follow { WAIT_SECONDS } else { 0 };
    // The first look is not held back, so that a mistyped name is told at once.
    let mut read = read(client, args, &place, 0).await?;
    if read.lines.is_empty() {
        explain_silence(client, args, &read.log_group).await?;
    }
    loop {
        let moved = place.log_group != read.log_group;
        if moved {
            tell_group(args, &read.log_group);
        }
        print(&read.lines, args)?;
        if !args.follow && !moved && read.lines.is_empty() {
            return Ok(Exit::Done);
        }
        // What has been shown is not shown again where the function comes back to a group.
        let shown = read.lines.last().map_or(0, |line| line.at_ms.into());
        place = Place {
            log_group: read.log_group,
            position: read.next,
            since_ms: place.since_ms.max(if args.follow { shown } else { 0 }),
        };
        read = self::read(client, args, &place, wait).await?;
    }
}

/// A function that has not run yet has no lines; one that is not there is an error.
async fn explain_silence(client: &Client, args: &LogsArgs, group: &str) -> anyhow::Result<()> {
    match &args.function {
        Some(function) => {
            let path = format!("/2015-03-31/functions/{}/configuration", encode(function));
            client.get::<serde::de::IgnoredAny>(&path).await?;
        }
        None => eprintln!("the log group {group} has no such lines"),
    }
    Ok(())
}

/// A group that is not the function's own by name is one that people do not expect.
fn tell_group(args: &LogsArgs, group: &str) {
    let name = args.function.as_deref().map(bare);
    if name.is_some_and(|name| group.strip_prefix("/aws/lambda/") != Some(name)) {
        eprintln!(
            "lines in the log group {group}, as its LoggingConfig has it now; \
             `pilot logs --log-group` reads others"
        );
    }
}

/// The name within a name, `name:qualifier` or ARN; empty where that is malformed.
fn bare(function: &str) -> &str {
    let name = function
        .rsplit_once("function:")
        .map_or(function, |it| it.1);
    name.split(':').next().unwrap_or_default()
}

async fn read(client: &Client, args: &LogsArgs, place: &Place, wait: u64) -> anyhow::Result<Lines> {
    let asked = match (&args.function, &args.log_group) {
        (Some(function), _) => format!("function={}", encode(function)),
        (None, group) => format!("log_group={}", encode(group.as_deref().unwrap_or_default())),
    };
    let Place {
        log_group,
        position,
        since_ms,
    } = place;
    let place = match log_group.as_str() {
        "" => format!("position={position}"),
        group => format!("position={position}&position_in={}", encode(group)),
    };
    client
        .get(&format!(
            "/pilotlight/v1/logs?{asked}&{place}&since={since_ms}&limit={LINES}&wait={wait}"
        ))
        .await
}

/// Lines of all that write to a group are marked by function.
fn print(lines: &[Line], args: &LogsArgs) -> anyhow::Result<()> {
    let mut text = String::new();
    for line in lines {
        match args.output {
            Format::Json => text.push_str(&serde_json::to_string(line)?),
            Format::Table => {
                if let (Some(function), Some(_)) = (&line.function, &args.log_group) {
                    text.push_str(function);
                    text.push_str("  ");
                }
                text.push_str(&line.message);
            }
        }
        text.push('\n');
    }
    Ok(output::print(&text)?)
}

#[cfg(test)]
mod tests {
    use super::bare;

    #[test]
    fn names_are_found_in_all_their_forms() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:hello";
        for form in ["hello", "hello:live", "123456789012:function:hello:1", arn] {
            assert_eq!(bare(form), "hello", "{form}");
        }
    }
}
