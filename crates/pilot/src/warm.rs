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
struct Warmed {
    function_arn: String,
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
    let warmed: Warmed = serde_json::from_value(told)
        .context("the platform's answer is not what this client expects")?;
    if args.output == Format::Table {
        output::print(&words(&warmed))?;
    }
    Ok(match warmed.idle < warmed.instances {
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

fn words(warmed: &Warmed) -> String {
    let Warmed {
        function_arn,
        instances,
        idle,
        started,
        called,
        failed,
    } = warmed;
    let mut words = format!("{function_arn}: {idle} idle, {started} of them new");
    if idle < instances {
        words += &format!("; there is no room for {instances}, or its init fails");
    }
    if *called > 0 {
        words += &format!("; {called} handlers called");
    }
    if *failed > 0 {
        words += &format!(", {failed} failed");
    }
    words + "\n"
}
