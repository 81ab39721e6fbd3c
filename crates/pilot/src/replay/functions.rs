//! The functions of a replay: one for each of the trace, which sleeps when it is initialised and when it is called.

use std::io::{Cursor, Write};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use pilotlight_model::ids::DEFAULT_ACCOUNT;
use pilotlight_model::ladder::Rung;
use pilotlight_sim::profile::ClassName;
use pilotlight_sim::schedule::Planned;
use serde_json::{Value, json};
use zip::write::{SimpleFileOptions, ZipWriter};

use crate::client::{Client, encode};
use crate::list::Nodes;

const FUNCTIONS: &str = "/2015-03-31/functions";
/// Longest wait until all functions are ready.
const PATIENCE: Duration = Duration::from_secs(300);
/// Longest wait until what starts are made from is there, beyond that.
const SETTLING: Duration = Duration::from_secs(30);
/// Between two looks.
const POLL: Duration = Duration::from_millis(100);
/// What a function may have on Lambda, in MiB.
const MEMORY: std::ops::RangeInclusive<u64> = 128..=10_240;
/// Longest run of a handler that Lambda allows, in seconds.
const TIMEOUT: u32 = 900;

// Sleeping, not working: what a trace's functions did with their time is not known, and on a machine whose
// processors are taken by that the platform could not be seen.
const PYTHON: &str = "\
import os, time
time.sleep(float(os.environ['INIT_MS']) / 1e3)
def handler(event, context):
    time.sleep(event['ms'] / 1e3)
";
const NODE: &str = "\
Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, Number(process.env.INIT_MS));
exports.handler = (event) => new Promise((done) => setTimeout(done, event.ms));
";

/// What was deployed.
pub(super) struct Functions {
    names: Vec<String>,
    templates: bool,
}

impl Functions {
    /// Makes them and waits until all are Active.
    pub(super) async fn deploy(
        client: &Client,
        planned: &[Planned],
        without_templates: bool,
    ) -> anyhow::Result<Self> {
        let names: Vec<String> = (0..planned.len()).map(name).collect();
        for (name, function) in names.iter().zip(planned) {
            let body = configuration(name, function, without_templates)?;
            let created = client.send(Method::POST, FUNCTIONS, &body).await;
            created.with_context(|| format!("cannot make {name}"))?;
        }
        for name in &names {
            wait(client, name).await?;
        }
        Ok(Self {
            names,
            templates: !without_templates,
        })
    }

    /// Their names, by place in the trace.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// Waits until spares are there, as they are for a function that was deployed a while ago. What has none by
    /// then has no room for it, or a policy that does not want it.
    pub(super) async fn settle(&self, client: &Client) -> anyhow::Result<()> {
        if !self.templates {
            return Ok(());
        }
        let begin = Instant::now();
        while begin.elapsed() < SETTLING {
            let Nodes { nodes } = client.get("/pilotlight/v1/nodes").await?;
            let ready = nodes.iter().flat_map(|node| &node.versions);
            let ready = ready.filter(|(version, counts)| {
                version.contains(":function:replay-") && counts.rung >= Rung::Spare
            });
            if ready.count() >= self.names.len() {
                return Ok(());
            }
            tokio::time::sleep(POLL).await;
        }
        eprintln!("not every function has a spare; going on");
        Ok(())
    }
}

/// Deletes functions of a replay; those that are not there are passed over.
pub(super) async fn delete(client: &Client, functions: usize) {
    for name in (0..functions).map(name) {
        let path = format!("{FUNCTIONS}/{}", encode(&name));
        let deleted = client.call(Method::DELETE, &path, &[], bytes::Bytes::new());
        if let Err(error) = deleted.await {
            eprintln!("{name} is left: {error:#}");
            return;
        }
    }
}

fn name(place: usize) -> String {
    format!("replay-{:05}", place + 1)
}

fn configuration(name: &str, function: &Planned, without_templates: bool) -> anyhow::Result<Value> {
    let (runtime, handler, file, source) = match function.class {
        ClassName::Node => ("nodejs20.x", "index.handler", "index.js", NODE),
        _ => ("python3.11", "replayed.handler", "replayed.py", PYTHON),
    };
    let memory = (function.memory.0 >> 20).clamp(*MEMORY.start(), *MEMORY.end());
    let mut body = json!({
        "FunctionName": name,
        "Description": function.name,
        "Runtime": runtime,
        "Handler": handler,
        "Role": format!("arn:aws:iam::{DEFAULT_ACCOUNT}:role/pilotlight"),
        "MemorySize": memory,
        "Timeout": TIMEOUT,
        "Environment": {"Variables": {"INIT_MS": format!("{:.3}", function.user_init.as_secs_f64() * 1e3)}},
        "Code": {"ZipFile": BASE64_STANDARD.encode(zip(file, source)?)},
    });
    if without_templates {
        body["SnapStart"] = json!({"ApplyOn": "None"});
    }
    Ok(body)
}

fn zip(file: &str, source: &str) -> anyhow::Result<Vec<u8>> {
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.start_file(file, SimpleFileOptions::default().unix_permissions(0o644))?;
    writer.write_all(source.as_bytes())?;
    Ok(writer.finish()?.into_inner())
}

async fn wait(client: &Client, name: &str) -> anyhow::Result<()> {
    let begin = Instant::now();
    loop {
        let path = format!("{FUNCTIONS}/{}/configuration", encode(name));
        let function: Value = client.get(&path).await?;
        match function["State"].as_str() {
            Some("Active") => return Ok(()),
            Some("Failed") => bail!("{name} cannot run: {}", function["StateReason"]),
            _ if begin.elapsed() > PATIENCE => {
                bail!("{name} not ready after {} s", PATIENCE.as_secs())
            }
            _ => tokio::time::sleep(POLL).await,
        }
    }
}
