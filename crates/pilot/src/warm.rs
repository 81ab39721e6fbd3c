//! `pilot warm`: instances that are ready before requests come.

mod scheduled;

use anyhow::Context;
use http::Method;
use pilotlight_model::node::WARM_UP_PATH;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{Format, WarmArgs};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::output;

/// What the platform tells of a warm-up.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    function_arn: String,
    versions: Vec<Warmed>,
}

/// What it came to for one version.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Warmed {
    version: String,
    instances: u32,
    idle: u32,
    started: u32,
    called: u32,
    failed: u32,
}

/// Warms the function up, now or by a schedule.
pub(crate) async fn run(args: WarmArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let request = request(&args)?;
    if let Some(expression) = &args.schedule {
        // A schedule of a function that is not there would fail where nobody looks.
        let function = encode(&args.function);
        client
            .get::<Value>(&format!("/2015-03-31/functions/{function}/configuration"))
            .await?;
        let (name, arn) = scheduled::put(&client, &args, expression, &request).await?;
        output::print(&match args.output {
            Format::Json => format!("{}\n", json!({ "Name": name, "ScheduleArn": arn })),
            Format::Table => format!("{name}: {expression}\n"),
        })?;
        return Ok(Exit::Done);
    }
    let told = client.send(Method::POST, WARM_UP_PATH, &request).await?;
    if args.output == Format::Json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(&told)?))?;
    }
    let answer: Answer = serde_json::from_value(told)
        .context("the platform's answer is not what this client expects")?;
    if args.output == Format::Table {
        output::print(&answer.words())?;
    }
    let short = |warmed: &Warmed| warmed.idle < warmed.instances;
    Ok(match answer.versions.iter().any(short) {
        true => Exit::Failed,
        false => Exit::Done,
    })
}

/// The warm-up as the platform takes it.
fn request(args: &WarmArgs) -> anyhow::Result<Value> {
    let mut request = json!({
        "FunctionName": args.function,
        "Instances": args.instances,
    });
    if let Some(payload) = &args.payload {
        request["Payload"] = serde_json::from_str(payload).context("the payload is not JSON")?;
    }
    Ok(request)
}

impl Answer {
    /// A line for each version. Which one it is, is said where a name means two.
    fn words(&self) -> String {
        let arn = &self.function_arn;
        match self.versions.as_slice() {
            [warmed] => format!("{arn}: {}\n", warmed.words()),
            several => several
                .iter()
                .map(|warmed| format!("{arn}, version {}: {}\n", warmed.version, warmed.words()))
                .collect(),
        }
    }
}

impl Warmed {
    fn words(&self) -> String {
        let Self {
            instances,
            idle,
            started,
            called,
            failed,
            ..
        } = self;
        let mut words = format!("{idle} idle, {started} of them new");
        if idle < instances {
            words += &format!("; there is no room for {instances}, or its init fails");
        }
        if *called > 0 {
            words += &format!("; {called} handlers called");
        }
        if *failed > 0 {
            words += &format!(", {failed} failed");
        }
        words
    }
}
