//! Invocations over HTTP as a client makes them, and what their answers say of the start.

use std::time::Duration;

use anyhow::{Context, ensure};

use crate::http::{Answer, Connection, request};

/// An answered invocation.
#[derive(Debug)]
pub(crate) struct Invoked {
    /// From the request's first byte written to the answer's first byte read.
    pub first_byte: Duration,
    /// What the instance came from.
    pub kind: String,
    /// Phases with their lengths, in order.
    pub phases: Vec<(String, Duration)>,
}

impl Invoked {
    /// The length of a phase; nothing if the start did without it.
    pub(crate) fn phase(&self, name: &str) -> Duration {
        let found = self.phases.iter().find(|(phase, _)| phase == name);
        found.map_or(Duration::ZERO, |(_, length)| *length)
    }
}

/// A request for that function, ready to be sent any number of times. `cold` is the start kind to force.
pub(crate) fn invocation(function: &str, cold: Option<&str>, event: &str) -> Vec<u8> {
    let path = format!("/2015-03-31/functions/{function}/invocations");
    let header = cold.map(|kind| ("X-Pilotlight-Cold", kind));
    request("POST", &path, header.as_slice(), event.as_bytes())
}

/// Sends it. Anything but the function's own answer is an error.
pub(crate) fn invoke(connection: &mut Connection, invocation: &[u8]) -> anyhow::Result<Invoked> {
    let answer = checked(connection.call(invocation)?)?;
    let timing = answer.header("server-timing");
    let (kind, phases) = timing.and_then(parse).context("no Server-Timing")?;
    Ok(Invoked {
        first_byte: answer.first_byte,
        kind,
        phases,
    })
}

fn checked(answer: Answer) -> anyhow::Result<Answer> {
    ensure!(
        answer.status == 200 && answer.header("x-amz-function-error").is_none(),
        "the function answered {}: {}",
        answer.status,
        String::from_utf8_lossy(&answer.body)
    );
    Ok(answer)
}

/// `start;desc="warm", gateway;dur=0.041, …`, in milliseconds.
fn parse(timing: &str) -> Option<(String, Vec<(String, Duration)>)> {
    let mut entries = timing.split(", ");
    let kind = entries.next()?.strip_prefix("start;desc=\"")?;
    let phase = |entry: &str| {
        let (name, milliseconds) = entry.split_once(";dur=")?;
        let milliseconds: f64 = milliseconds.parse().ok()?;
        Some((name.to_owned(), Duration::from_secs_f64(milliseconds / 1e3)))
    };
    Some((
        kind.trim_end_matches('"').to_owned(),
        entries.filter_map(phase).collect(),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_waterfall_is_read_from_its_header() {
        let (kind, phases) =
            parse("start;desc=\"forked\", gateway;dur=0.250, fork;dur=1.500").unwrap();
        assert_eq!(kind, "forked");
        assert_eq!(phases[1], ("fork".to_owned(), Duration::from_micros(1_500)));
        assert_eq!(parse("gateway;dur=1"), None);
    }
}
