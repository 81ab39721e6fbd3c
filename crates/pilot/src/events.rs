//! `pilot events` and `pilot dead-letters`: what of asynchronous invocations waits, and what was written down of
//! those that ended.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::cli::{DeadLettersArgs, EventsArgs, Format};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::output;

/// What the platform answers.
#[derive(Debug, Deserialize, Serialize)]
struct Waiting {
    events: Vec<Event>,
    deliveries: Vec<Delivery>,
    #[serde(default)]
    firings: Vec<Firing>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Event {
    request_id: String,
    function: String,
    qualifier: Option<String>,
    queued_ms: u64,
    due_ms: u64,
    attempts: u32,
    refusals: u32,
    bytes: u64,
    last_error: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Delivery {
    message_id: String,
    request_id: String,
    function: String,
    kind: String,
    target: String,
    queued_ms: u64,
    due_ms: u64,
    attempts: u32,
    bytes: u64,
    last_error: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
struct Firing {
    schedule: String,
    execution_id: String,
    target: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    function: Option<String>,
    scheduled_ms: u64,
    due_ms: u64,
    attempts: u32,
    last_error: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Files {
    files: Vec<LetterFile>,
}

#[derive(Debug, Deserialize, Serialize)]
struct LetterFile {
    name: String,
    bytes: u64,
}

#[derive(Debug, Deserialize)]
struct Messages {
    messages: Vec<Value>,
}

/// Prints what waits.
pub(crate) async fn run(args: EventsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let mut path = format!("/pilotlight/v1/events?limit={}", args.limit);
    if let Some(function) = &args.function {
        path.push_str(&format!("&function={}", encode(function.as_str())));
    }
    let waiting: Waiting = client.get(&path).await?;
    if args.output == Format::Json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&waiting)?))?;
        return Ok(Exit::Done);
    }
    if waiting.events.is_empty() && waiting.deliveries.is_empty() && waiting.firings.is_empty() {
        eprintln!("nothing waits");
        return Ok(Exit::Done);
    }
    output::print(&table(&waiting))?;
    Ok(Exit::Done)
}

/// Prints the files of messages, or the messages of one.
pub(crate) async fn dead_letters(args: DeadLettersArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let Some(name) = &args.name else {
        let Files { files } = client.get("/pilotlight/v1/dead-letters").await?;
        if args.output == Format::Json {
            output::print(&format!("{}\n", serde_json::to_string_pretty(&files)?))?;
            return Ok(Exit::Done);
        }
        if files.is_empty() {
            eprintln!("no messages have been written");
            return Ok(Exit::Done);
        }
        let mut lines = vec![vec!["NAME".to_owned(), "BYTES".to_owned()]];
        lines.extend(
            files
                .iter()
                .map(|file| vec![file.name.clone(), file.bytes.to_string()]),
        );
        output::print(&output::table(&lines, &[1]))?;
        return Ok(Exit::Done);
    };
    let path = format!(
        "/pilotlight/v1/dead-letters?name={}&limit={}",
        encode(name),
        args.limit
    );
    let Messages { messages } = client.get(&path).await?;
    // One JSON object per line either way, as the file has them: they are for programs.
    let lines: Vec<String> = messages
        .iter()
        .map(|message| format!("{message}\n"))
        .collect();
    output::print(&lines.concat())?;
    Ok(Exit::Done)
}

/// Events first, then what is on its way to destinations, then what schedules have set off.
fn table(waiting: &Waiting) -> String {
    let head = ["REQUEST", "WHAT", "QUEUED", "DUE", "ATTEMPTS", "LAST ERROR"];
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(waiting.events.iter().map(|event| {
        let qualifier = event.qualifier.as_ref();
        let qualifier = qualifier.map_or_else(String::new, |qualifier| format!(":{qualifier}"));
        vec![
            event.request_id.clone(),
            format!("{}{qualifier}", event.function),
            output::time(event.queued_ms),
            output::time(event.due_ms),
            (event.attempts + event.refusals).to_string(),
            event.last_error.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }));
    lines.extend(waiting.deliveries.iter().map(|delivery| {
        vec![
            delivery.request_id.clone(),
            format!("{} to {}", delivery.kind, delivery.target),
            output::time(delivery.queued_ms),
            output::time(delivery.due_ms),
            delivery.attempts.to_string(),
            delivery
                .last_error
                .clone()
                .unwrap_or_else(|| "-".to_owned()),
        ]
    }));
    lines.extend(waiting.firings.iter().map(|firing| {
        let schedule = firing.schedule.rsplit(":schedule/").next();
        let target = firing.function.as_ref().unwrap_or(&firing.target);
        vec![
            firing.execution_id.clone(),
            format!("schedule {} to {target}", schedule.unwrap_or_default()),
            output::time(firing.scheduled_ms),
            output::time(firing.due_ms),
            firing.attempts.to_string(),
            firing.last_error.clone().unwrap_or_else(|| "-".to_owned()),
        ]
    }));
    output::table(&lines, &[4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_and_messages_are_lines_of_one_table() {
        let waiting = Waiting {
            events: vec![Event {
                request_id: "r-1".to_owned(),
                function: "f".to_owned(),
                qualifier: Some("live".to_owned()),
                queued_ms: 0,
                due_ms: 60_000,
                attempts: 1,
                refusals: 2,
                bytes: 3,
                last_error: Some("the function failed".to_owned()),
            }],
            deliveries: vec![Delivery {
                message_id: "m".to_owned(),
                request_id: "r-2".to_owned(),
                function: "f".to_owned(),
                kind: "failure".to_owned(),
                target: "arn:q".to_owned(),
                queued_ms: 0,
                due_ms: 0,
                attempts: 4,
                bytes: 3,
                last_error: None,
            }],
            firings: vec![Firing {
                schedule: "arn:aws:scheduler:r:a:schedule/default/nightly".to_owned(),
                execution_id: "e-3".to_owned(),
                target: "arn:t".to_owned(),
                function: Some("arn:f".to_owned()),
                scheduled_ms: 0,
                due_ms: 0,
                attempts: 1,
                last_error: Some("ResourceNotFoundException: gone".to_owned()),
            }],
        };
        let text = table(&waiting);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[1].starts_with("r-1") && lines[1].contains("f:live"));
        assert!(lines[1].contains(" 3  the function failed"), "{text}");
        assert!(lines[2].contains("failure to arn:q") && lines[2].trim_end().ends_with('-'));
        assert!(
            lines[3].starts_with("e-3") && lines[3].ends_with("Exception: gone"),
            "{text}"
        );
        assert!(
            lines[3].contains("schedule default/nightly to arn:f"),
            "{text}"
        );
    }
}
