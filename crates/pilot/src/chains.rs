//! `pilot chains`: which functions call which, told before they do.

use std::collections::BTreeMap;

use anyhow::{Context, bail};
use bytes::Bytes;
use http::Method;
use pilotlight_model::node::CHAINS_PATH;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::cli::{ChainsAction, ChainsArgs, Format};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::output;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    chains: Vec<Chain>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Chain {
    name: String,
    calls: Vec<Call>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Call {
    caller: String,
    callee: String,
    part: f64,
    waits: f64,
}

/// Does what is asked.
pub(crate) async fn run(args: ChainsArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let path = |name: &str| format!("{CHAINS_PATH}/{}", encode(name));
    match args.action {
        ChainsAction::Put {
            name,
            file,
            set,
            output,
        } => {
            let text = std::fs::read_to_string(&file)
                .with_context(|| format!("cannot read {}", file.display()))?;
            let definition: Value = serde_json::from_str(&text)
                .with_context(|| format!("{} is not JSON", file.display()))?;
            let body = json!({ "Definition": definition, "Substitutions": substitutions(&set)? });
            let told = client.send(Method::PUT, &path(&name), &body).await?;
            print(told, output, |told| Ok(vec![serde_json::from_value(told)?]))?;
        }
        ChainsAction::Ls { output } => {
            let told: Value = client.get(CHAINS_PATH).await?;
            print(told, output, |told| {
                Ok(serde_json::from_value::<List>(told)?.chains)
            })?;
        }
        ChainsAction::Rm { name } => {
            let answer = client
                .call(Method::DELETE, &path(&name), &[], Bytes::new())
                .await?;
            answer.ok()?;
        }
    }
    Ok(Exit::Done)
}

/// Placeholders with what they stand for.
fn substitutions(set: &[String]) -> anyhow::Result<BTreeMap<&str, &str>> {
    let mut all = BTreeMap::new();
    for text in set {
        let Some((name, function)) = text.split_once('=') else {
            bail!("'{text}' is not NAME=FUNCTION");
        };
        all.insert(name, function);
    }
    Ok(all)
}

fn print(
    told: Value,
    format: Format,
    chains: impl FnOnce(Value) -> anyhow::Result<Vec<Chain>>,
) -> anyhow::Result<()> {
    let text = match format {
        Format::Json => format!("{}\n", serde_json::to_string_pretty(&told)?),
        Format::Table => {
            table(&chains(told).context("the platform's answer is not what this client expects")?)
        }
    };
    Ok(output::print(&text)?)
}

fn table(chains: &[Chain]) -> String {
    let head = ["chain", "caller", "callee", "part", "waits"];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for chain in chains {
        for call in &chain.calls {
            rows.push(vec![
                chain.name.clone(),
                call.caller.clone(),
                call.callee.clone(),
                format!("{:.0} %", call.part * 100.0),
                match call.waits {
                    0.0 => String::new(),
                    seconds => output::duration((seconds * 1e6) as u64),
                },
            ]);
        }
    }
    output::table(&rows, &[3, 4])
}
