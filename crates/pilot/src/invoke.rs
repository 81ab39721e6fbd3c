//! `pilot invoke`: one invocation, its answer on standard output, how it went on standard error.

pub(crate) mod timing;

use std::io::Read;

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use pilotlight_model::limits::INVOKE_REQUEST_BYTES;

use crate::cli::InvokeArgs;
use crate::client::{Answer, Client, encode};
use crate::exit::Exit;
use crate::output;
use crate::starts::waterfall;
use timing::ServerTiming;

/// Invokes the function and prints what it answers.
pub(crate) async fn run(args: InvokeArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let payload = payload(&args.payload)?;
    let kind = if args.event {
        "Event"
    } else {
        "RequestResponse"
    };
    let mut headers = vec![("x-amz-invocation-type", kind)];
    if let Some(kind) = &args.cold {
        headers.push(("x-pilotlight-cold", kind));
    }
    if args.tail {
        headers.push(("x-amz-log-type", "Tail"));
    }
    let path = format!(
        "/2015-03-31/functions/{}/invocations",
        encode(&args.function)
    );
    let answer = client
        .call(Method::POST, &path, &headers, payload)
        .await?
        .ok()?;
    if args.event {
        eprintln!(
            "queued as request {}",
            answer.header("x-amzn-requestid").unwrap_or("?")
        );
        return Ok(Exit::Done);
    }
    output::print_bytes(&answer.body)?;
    output::print("\n")?;
    report(&args, &answer)
}

/// Everything about the invocation but its answer.
fn report(args: &InvokeArgs, answer: &Answer) -> anyhow::Result<Exit> {
    if let Some(tail) = answer.header("x-amz-log-result") {
        let tail = BASE64_STANDARD
            .decode(tail)
            .context("the log's tail is not base64")?;
        eprint!("{}", String::from_utf8_lossy(&tail));
    }
    if let Some(timing) = answer.header("server-timing").and_then(ServerTiming::parse) {
        let total = timing.phases.iter().map(|phase| phase.us).sum();
        let title = format!(
            "{}  {}  {}",
            args.function,
            timing.kind,
            output::duration(total)
        );
        if args.waterfall {
            let (width, unicode) = (output::width(), output::unicode());
            eprint!(
                "{}",
                waterfall::draw(&title, &timing.phases, width, unicode)
            );
        } else {
            eprintln!("{title}");
        }
    }
    match answer.header("x-amz-function-error") {
        Some(error) => {
            eprintln!("function error: {error}");
            Ok(Exit::FunctionError)
        }
        None => Ok(Exit::Done),
    }
}

/// The event: the text itself, a file's contents, or standard input.
fn payload(given: &str) -> anyhow::Result<Bytes> {
    let bytes = match given.strip_prefix('@') {
        Some(path) => std::fs::read(path).with_context(|| format!("cannot read {path}"))?,
        None if given == "-" => {
            let mut bytes = Vec::new();
            std::io::stdin()
                .take(INVOKE_REQUEST_BYTES as u64 + 1)
                .read_to_end(&mut bytes)?;
            bytes
        }
        None => given.as_bytes().to_vec(),
    };
    if bytes.len() > INVOKE_REQUEST_BYTES {
        bail!("the event is larger than {INVOKE_REQUEST_BYTES} bytes");
    }
    Ok(Bytes::from(bytes))
}
