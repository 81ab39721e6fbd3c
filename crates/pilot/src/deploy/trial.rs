//! A trial init: the package as a function for a moment, initialised once in a sandbox of the platform's, with
//! the runtime telling what it imports. No handler is called, and nothing of the function runs here.

use std::io::{Cursor, Write};

use anyhow::Context;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::Method;
use pilotlight_model::node::WARM_UP_PATH;
use pilotlight_model::{Runtime, RuntimeName};
use serde::Deserialize;
use serde_json::{Value, json};
use zip::write::{SimpleFileOptions, ZipWriter};

use super::report::{Import, Layout};
use super::{FUNCTIONS, wait};
use crate::client::{Client, encode};

/// What is added to a Node.js package.
const PRELOAD: &str = "pilot-trial.cjs";
/// Lines of the log that are read at once.
const LINES: usize = 1_000;
/// Pages of them.
const PAGES: usize = 50;
/// How long the platform waits for a line more, in seconds.
const SILENCE: u64 = 1;

/// Where that runtime's packages are, if it can tell what it imports.
pub(super) fn layout(runtime: &str) -> Option<Layout> {
    match RuntimeName::from_name(runtime)?.image() {
        Runtime::Python311 => Some(Layout::Python),
        Runtime::Nodejs20x => Some(Layout::Node),
        Runtime::Java17 | Runtime::ProvidedAl2023 => None,
    }
}

/// What the init of a deployed function imports, in its order. `function` is its configuration.
pub(super) async fn run(
    client: &Client,
    function: &Value,
    zip: &[u8],
    layout: Layout,
) -> anyhow::Result<Vec<Import>> {
    let name = format!("pilot-trial-{}", uuid::Uuid::new_v4().simple());
    let path = format!("{FUNCTIONS}/{name}");
    client
        .send(
            Method::POST,
            FUNCTIONS,
            &request(&name, function, zip, layout)?,
        )
        .await?;
    let lines = initialised(client, &name, &path).await;
    // Whatever came of it.
    client
        .call(Method::DELETE, &path, &[], Bytes::new())
        .await?
        .ok()?;
    Ok(lines?
        .iter()
        .filter_map(|line| match layout {
            Layout::Python => python(line),
            Layout::Node => node(line),
        })
        .collect())
}

/// The same function, telling what it imports and without a template.
fn request(name: &str, function: &Value, zip: &[u8], layout: Layout) -> anyhow::Result<Value> {
    let mut variables = function["Environment"]["Variables"].clone();
    if !variables.is_object() {
        variables = json!({});
    }
    let zip = match layout {
        Layout::Python => {
            variables["PYTHONPROFILEIMPORTTIME"] = json!("1");
            zip.to_vec()
        }
        Layout::Node => {
            let options = variables["NODE_OPTIONS"].as_str().unwrap_or_default();
            let options = format!("--require=/var/task/{PRELOAD} {options}");
            variables["NODE_OPTIONS"] = json!(options.trim());
            with_preload(zip)?
        }
    };
    let shown = function["FunctionName"].as_str().unwrap_or(name);
    let layers = function["Layers"].as_array().into_iter().flatten();
    let layers: Vec<&Value> = layers.map(|layer| &layer["Arn"]).collect();
    Ok(json!({
        "FunctionName": name,
        "Runtime": function["Runtime"],
        "Handler": function["Handler"],
        "Role": function["Role"],
        "MemorySize": function["MemorySize"],
        "Timeout": function["Timeout"],
        "Layers": layers,
        "Environment": { "Variables": variables },
        "SnapStart": { "ApplyOn": "None" },
        "Code": { "ZipFile": BASE64_STANDARD.encode(zip) },
        // One for all trials of a function: groups stay when functions go.
        "LoggingConfig": { "LogGroup": format!("/pilot/trial/{shown}") },
    }))
}

fn with_preload(zip: &[u8]) -> anyhow::Result<Vec<u8>> {
    let mut writer = ZipWriter::new_append(Cursor::new(zip.to_vec()))
        .context("the package cannot be added to")?;
    writer.start_file(PRELOAD, SimpleFileOptions::default())?;
    writer.write_all(include_bytes!("trial.cjs"))?;
    Ok(writer.finish()?.into_inner())
}

/// What one init writes.
async fn initialised(client: &Client, name: &str, path: &str) -> anyhow::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Page {
        lines: Vec<Line>,
        next: u64,
    }
    #[derive(Deserialize)]
    struct Line {
        stream: String,
        message: String,
    }
    wait(client, path).await?;
    let warm_up = json!({ "FunctionName": name, "Instances": 1 });
    client.send(Method::POST, WARM_UP_PATH, &warm_up).await?;
    let (mut lines, mut position) = (Vec::new(), 0);
    for _ in 0..PAGES {
        let path = format!(
            "/pilotlight/v1/logs?function={}&position={position}&limit={LINES}&wait={SILENCE}",
            encode(name)
        );
        let page: Page = client.get(&path).await?;
        if page.lines.is_empty() {
            break;
        }
        position = page.next;
        lines.extend(page.lines);
    }
    // Of this trial's instance, which wrote last.
    let last = lines.last().map(|line: &Line| line.stream.clone());
    lines.retain(|line| Some(&line.stream) == last.as_ref());
    Ok(lines.into_iter().map(|line| line.message).collect())
}

/// `import time:  <self us> | <cumulative us> | <module>`, as CPython writes it.
fn python(line: &str) -> Option<Import> {
    let mut parts = line.strip_prefix("import time:")?.split('|').skip(1);
    Some(Import {
        microseconds: parts.next()?.trim().parse().ok()?,
        name: parts.next()?.trim().to_owned(),
    })
}

/// As `trial.cjs` writes it.
fn node(line: &str) -> Option<Import> {
    let (microseconds, name) = line.strip_prefix("pilot trial: ")?.split_once(' ')?;
    Some(Import {
        microseconds: microseconds.parse().ok()?,
        name: name.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn imports_are_read_from_lines() {
        let import = python("import time:      1217 |       3406 |     json.decoder").unwrap();
        assert_eq!(
            (import.name.as_str(), import.microseconds),
            ("json.decoder", 3406)
        );
        assert_eq!(
            python("import time: self [us] | cumulative | imported package"),
            None
        );
        assert_eq!(python("INIT_START Runtime Version"), None);
        let import = node("pilot trial: 4200 left-pad/index.js").unwrap();
        assert_eq!(
            (import.name.as_str(), import.microseconds),
            ("left-pad/index.js", 4200)
        );
    }
}
