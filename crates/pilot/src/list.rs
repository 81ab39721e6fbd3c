//! `pilot ls`: the functions of the caller's account and region, and how busy they are.

use std::collections::BTreeMap;

use pilotlight_model::node::{NodeStatus, VersionCounts};
use pilotlight_model::{Runtime, RuntimeName};
use serde::{Deserialize, Serialize};

use crate::cli::{Format, ListArgs};
use crate::client::{Client, encode};
use crate::exit::Exit;
use crate::output;

/// One page of `ListFunctions`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Page {
    functions: Vec<Listed>,
    next_marker: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    function_name: String,
    function_arn: String,
    #[serde(default)]
    runtime: String,
    memory_size: u32,
    last_modified: String,
}

/// What `ListFunctions` leaves out.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Configuration {
    state: String,
}

/// The answer of `GET /pilotlight/v1/nodes`.
#[derive(Debug, Deserialize)]
pub(crate) struct Nodes {
    pub(crate) nodes: Vec<NodeStatus>,
}

/// One line.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    runtime: String,
    /// The image that it runs on, where that has another name.
    #[serde(skip_serializing_if = "Option::is_none")]
    runs_on: Option<Runtime>,
    memory_mb: u32,
    state: String,
    #[serde(flatten)]
    counts: VersionCounts,
    last_modified: String,
}

/// Prints the list.
pub(crate) async fn run(args: ListArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let Nodes { nodes } = client.get("/pilotlight/v1/nodes").await?;
    let counts = by_function(&nodes);
    let mut rows = Vec::new();
    let mut marker = String::new();
    loop {
        let page: Page = client
            .get(&format!("/2015-03-31/functions?MaxItems=50{marker}"))
            .await?;
        for function in page.functions {
            rows.push(row(&client, function, &counts).await?);
        }
        match page.next_marker {
            Some(next) => marker = format!("&Marker={}", encode(&next)),
            None => break,
        }
    }
    match args.output {
        Format::Json => output::print(&format!("{}\n", serde_json::to_string_pretty(&rows)?))?,
        Format::Table => output::print(&table(&rows))?,
    }
    Ok(Exit::Done)
}

async fn row(
    client: &Client,
    function: Listed,
    counts: &BTreeMap<String, VersionCounts>,
) -> anyhow::Result<Row> {
    let path = format!(
        "/2015-03-31/functions/{}/configuration",
        encode(&function.function_name)
    );
    let Configuration { state } = client.get(&path).await?;
    Ok(Row {
        counts: counts
            .get(&function.function_arn)
            .cloned()
            .unwrap_or_default(),
        name: function.function_name,
        runs_on: runs_on(&function.runtime),
        runtime: function.runtime,
        memory_mb: function.memory_size,
        state,
        last_modified: function.last_modified,
    })
}

/// Instances of all versions of a function on all nodes, by the function's ARN.
fn by_function(nodes: &[NodeStatus]) -> BTreeMap<String, VersionCounts> {
    let mut sums: BTreeMap<String, VersionCounts> = BTreeMap::new();
    for (arn, counts) in nodes.iter().flat_map(|node| &node.versions) {
        // The qualifier is behind the last colon.
        let function = arn
            .rsplit_once(':')
            .map_or(arn.as_str(), |(function, _)| function);
        let sum = sums.entry(function.to_owned()).or_default();
        sum.busy += counts.busy;
        sum.idle += counts.idle;
        sum.starting += counts.starting;
        sum.spares += counts.spares;
        sum.berths += counts.berths;
        // A function stands as high as the best of its versions.
        sum.rung = sum.rung.max(counts.rung);
        sum.template_bytes += counts.template_bytes;
        sum.spare_bytes += counts.spare_bytes;
        if let Some(provisioned) = &counts.provisioned {
            *sum.provisioned.get_or_insert_default() += provisioned.clone();
        }
        if counts.refusal.is_some() {
            sum.refusal.clone_from(&counts.refusal);
        }
        // Of the newest: what older versions have no need of is no news.
        if arn.ends_with(":$LATEST") {
            sum.without_template.clone_from(&counts.without_template);
        }
    }
    sums
}

fn table(rows: &[Row]) -> String {
    let head = [
        "NAME",
        "RUNTIME",
        "MEMORY",
        "STATE",
        "RUNG",
        "HELD",
        "BUSY",
        "IDLE",
        "STARTING",
        "PROVISIONED",
        "MODIFIED",
        "NOTE",
    ];
    let line = |row: &Row| {
        vec![
            row.name.clone(),
            runtime(&row.runtime, row.runs_on),
            format!("{} MB", row.memory_mb),
            row.state.clone(),
            row.counts.rung.to_string(),
            held(&row.counts),
            row.counts.busy.to_string(),
            row.counts.idle.to_string(),
            row.counts.starting.to_string(),
            provisioned(&row.counts),
            row.last_modified.clone(),
            note(&row.counts),
        ]
    };
    let mut lines = vec![head.map(str::to_owned).to_vec()];
    lines.extend(rows.iter().map(line));
    output::table(&lines, &[2, 5, 6, 7, 8])
}

/// What a runtime of that name runs on, where that is another's image.
fn runs_on(runtime: &str) -> Option<Runtime> {
    let name = RuntimeName::from_name(runtime).filter(|it| it.is_substituted());
    name.map(RuntimeName::image)
}

/// The name, and what is behind it where that is another.
fn runtime(name: &str, runs_on: Option<Runtime>) -> String {
    match runs_on {
        Some(image) => format!("{name} on {image}"),
        None => name.to_owned(),
    }
}

/// Memory that template and spares have for themselves.
fn held(counts: &VersionCounts) -> String {
    match counts.template_bytes + counts.spare_bytes {
        0 => "-".to_owned(),
        bytes => format!("{:.1} MB", bytes as f64 / f64::from(1 << 20)),
    }
}

/// How many of the provisioned instances are there, and what they have cost while they waited.
fn provisioned(counts: &VersionCounts) -> String {
    counts.provisioned.as_ref().map_or("-".to_owned(), |it| {
        let cost = it.usage.idle_gb_seconds();
        format!("{}/{}, {cost:.1} GB-s idle", it.allocated, it.wanted)
    })
}

/// Why there is no template, where there is a reason.
fn note(counts: &VersionCounts) -> String {
    let refusal = counts.refusal.as_ref().map(ToString::to_string);
    let why = refusal.or_else(|| counts.without_template.clone());
    why.map_or_else(String::new, |why| format!("no template: {why}"))
}

#[cfg(test)]
mod tests {
    use pilotlight_model::provisioned::{Provisioned, Usage};
    use pilotlight_model::{Refusal, Rung};

    use super::*;

    fn refusal() -> Refusal {
        Refusal {
            reason: "open_connection".into(),
            detail: "10.0.0.1:5432".to_owned(),
        }
    }

    #[test]
    fn a_runtime_says_what_it_runs_on() {
        let shown = |name: &str| runtime(name, runs_on(name));
        assert_eq!(shown("python3.12"), "python3.12 on python3.11");
        assert_eq!(shown("java17"), "java17");
        // Of a newer platform.
        assert_eq!(shown("rust2030"), "rust2030");
    }

    #[test]
    fn versions_and_nodes_are_summed_by_function() {
        let arn = "arn:aws:lambda:us-east-1:123456789012:function:f";
        let node = |version: &str, busy| NodeStatus {
            versions: [(
                format!("{arn}:{version}"),
                VersionCounts {
                    busy,
                    idle: 1,
                    rung: if busy > 1 { Rung::Busy } else { Rung::Template },
                    template_bytes: 3 << 19,
                    refusal: (busy > 1).then(refusal),
                    provisioned: Some(Provisioned {
                        wanted: 2,
                        allocated: busy,
                        usage: Usage {
                            idle_mb_ms: 512 * 1_000,
                            ..Usage::default()
                        },
                        ..Provisioned::default()
                    }),
                    ..VersionCounts::default()
                },
            )]
            .into(),
            ..NodeStatus::default()
        };
        let sums = by_function(&[node("$LATEST", 1), node("3", 2)]);
        let sum = &sums[arn];
        assert_eq!((sum.busy, sum.idle, sum.starting), (3, 2, 0));
        assert_eq!(sum.rung, Rung::Busy);
        assert_eq!(provisioned(sum), "3/4, 1.0 GB-s idle");
        assert_eq!(provisioned(&VersionCounts::default()), "-");
        assert_eq!(held(sum), "3.0 MB");
        assert_eq!(note(sum), "no template: open_connection: 10.0.0.1:5432");
        let mut chosen = node("$LATEST", 1);
        let counts = chosen.versions.values_mut().next().unwrap();
        counts.without_template = Some("opted out".to_owned());
        let sums = by_function(&[chosen]);
        assert_eq!(note(&sums[arn]), "no template: opted out");
    }
}
