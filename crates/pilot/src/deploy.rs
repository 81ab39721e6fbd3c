//! `pilot deploy`: a folder or zip becomes a function that is ready to be invoked.

mod build;
mod detect;
mod init;
mod package;
mod report;
mod trial;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::Method;
use pilotlight_model::ids::DEFAULT_ACCOUNT;
use pilotlight_model::limits::CODE_ZIP_BYTES;
use pilotlight_model::{FunctionName, Runtime, RuntimeName};
use serde_json::{Map, Value, json};

use crate::cli::{DeployArgs, Format};
use crate::client::{ApiError, Client, encode};
use crate::exit::Exit;
use crate::output;
use build::Built;
use report::Report;

const FUNCTIONS: &str = "/2015-03-31/functions";
/// Longest wait until a function is ready.
const PATIENCE: Duration = Duration::from_secs(300);
/// Between two looks at whether it is.
const POLL: Duration = Duration::from_millis(50);

/// Packages, creates or updates, waits, prints.
pub(crate) async fn run(args: DeployArgs) -> anyhow::Result<Exit> {
    let client = Client::new(&args.target)?;
    let name = match &args.name {
        Some(name) => name.clone(),
        None => name_of(&args.source)?,
    };
    let built = build::build(&args.source, args.runtime.map(RuntimeName::image))?;
    let zip = package(&built)?;
    eprintln!("package: {} KiB", zip.len().div_ceil(1024));
    let path = format!("{FUNCTIONS}/{}", encode(name.as_str()));
    let current = client.get::<Value>(&format!("{path}/configuration")).await;
    match current {
        Ok(_) => update(&client, &path, &args, &zip).await?,
        Err(error) if is_not_found(&error) => create(&client, &name, &args, &built, &zip).await?,
        Err(error) => return Err(error),
    }
    let mut function = wait(&client, &path).await?;
    let report = report(&client, &function, &zip, args.no_trial).await?;
    match args.output {
        Format::Table => eprint!("{}", report.words()),
        Format::Json => function["Package"] = serde_json::to_value(&report)?,
    }
    print(&function, args.output)?;
    if let Some(note) = substituted(&function) {
        eprintln!("{note}");
    }
    if let Some(why) = init::failure(&client, &function).await {
        eprintln!(
            "warning: the init fails, and every invocation with it; `pilot logs {name}` says more: {why}"
        );
    }
    Ok(Exit::Done)
}

/// What the package is made of; with what a trial init shows, where there is more in it than the function's
/// own code. A trial that fails costs nothing but what it would have told.
async fn report(
    client: &Client,
    function: &Value,
    zip: &[u8],
    no_trial: bool,
) -> anyhow::Result<Report> {
    let layout = trial::layout(function["Runtime"].as_str().unwrap_or_default());
    let mut report = Report::of(zip, layout)?;
    if let Some(layout) = layout.filter(|_| !no_trial && !report.packages.is_empty()) {
        eprintln!("trial init in a sandbox");
        match trial::run(client, function, zip, layout).await {
            Ok(imports) if !imports.is_empty() => report.tried(layout, imports),
            Ok(_) => eprintln!("the trial init told nothing"),
            Err(error) => eprintln!("no trial init: {error:#}"),
        }
    }
    Ok(report)
}

async fn create(
    client: &Client,
    name: &FunctionName,
    args: &DeployArgs,
    built: &Built,
    zip: &[u8],
) -> anyhow::Result<()> {
    let found = match args.runtime {
        // What is given need not be looked for.
        Some(_) if args.handler.is_some() => None,
        _ => match &built.found {
            Some(found) => Some(found.clone()),
            None => detect::detect(&args.source)?,
        },
    };
    let runtime = args
        .runtime
        .or(found.as_ref().map(|found| found.runtime.into()))
        .with_context(|| {
            let why = if args.source.is_dir() {
                "No executable `bootstrap`, Python file with a handler, index file of Node.js or `main` of its \
                 package.json, or Java class is there"
            } else {
                "They are found for folders and jars, not for zip files"
            };
            format!("which runtime and handler? {why}; give --runtime and --handler")
        })?;
    let handler = args
        .handler
        .clone()
        .or(found
            .filter(|found| found.runtime == runtime.image())
            .and_then(|found| found.handler))
        .context(match runtime.image() {
            Runtime::Java17 => "which handler? give --handler package.Class::method",
            Runtime::Nodejs20x => {
                "which handler? No index.js, index.mjs or index.cjs and no `main` of a package.json is there; give \
                 --handler file.function"
            }
            Runtime::Python311 => {
                "which handler? No lambda_function.py, app.py, handler.py or main.py with a handler such as `def \
                 handler(event, context):` is there; give --handler module.function"
            }
            Runtime::ProvidedAl2023 => {
                "which handler? No executable `bootstrap` is there; give --handler, which is what the program makes of it"
            }
        })?;
    eprintln!("creating {name}: {runtime}, handler {handler}");
    let role = format!("arn:aws:iam::{DEFAULT_ACCOUNT}:role/pilotlight");
    let mut body = configuration(args);
    body.extend([
        ("FunctionName".to_owned(), json!(name)),
        ("Runtime".to_owned(), json!(runtime.as_str())),
        ("Handler".to_owned(), json!(handler)),
        (
            "Role".to_owned(),
            json!(args.role.as_ref().unwrap_or(&role)),
        ),
        (
            "Code".to_owned(),
            json!({ "ZipFile": BASE64_STANDARD.encode(zip) }),
        ),
    ]);
    client
        .send(Method::POST, FUNCTIONS, &Value::Object(body))
        .await?;
    Ok(())
}

async fn update(client: &Client, path: &str, args: &DeployArgs, zip: &[u8]) -> anyhow::Result<()> {
    wait(client, path).await.ok();
    let mut body = configuration(args);
    let members = [
        ("Runtime", args.runtime.map(|it| json!(it.as_str()))),
        ("Handler", args.handler.as_ref().map(|it| json!(it))),
    ];
    body.extend(
        members
            .into_iter()
            .filter_map(|(key, value)| Some((key.to_owned(), value?))),
    );
    if !body.is_empty() {
        eprintln!("updating configuration");
        client
            .send(
                Method::PUT,
                &format!("{path}/configuration"),
                &Value::Object(body),
            )
            .await?;
        wait(client, path).await?;
    }
    eprintln!("updating code");
    let code = json!({ "ZipFile": BASE64_STANDARD.encode(zip) });
    client
        .send(Method::PUT, &format!("{path}/code"), &code)
        .await?;
    Ok(())
}

/// Members that creation and update have in common, as far as they were given.
fn configuration(args: &DeployArgs) -> Map<String, Value> {
    let variables: Map<String, Value> = args
        .env
        .iter()
        .map(|(name, value)| (name.clone(), json!(value)))
        .collect();
    let members = [
        ("MemorySize", args.memory.map(|it| json!(it))),
        ("Timeout", args.timeout.map(|it| json!(it))),
        (
            "Layers",
            (!args.layers.is_empty()).then(|| json!(args.layers)),
        ),
        ("Role", args.role.as_ref().map(|it| json!(it))),
        (
            "Environment",
            (!variables.is_empty()).then(|| json!({ "Variables": variables })),
        ),
    ];
    members
        .into_iter()
        .filter_map(|(key, value)| Some((key.to_owned(), value?)))
        .collect()
}

/// Waits until the function is Active and its last update is through.
async fn wait(client: &Client, path: &str) -> anyhow::Result<Value> {
    let begin = Instant::now();
    loop {
        let function: Value = client.get(&format!("{path}/configuration")).await?;
        let text = |key: &str| function.get(key).and_then(Value::as_str);
        match (text("State"), text("LastUpdateStatus")) {
            (Some("Failed"), _) => {
                bail!(
                    "the function cannot run: {}",
                    text("StateReason").unwrap_or("no reason given")
                )
            }
            (_, Some("Failed")) => bail!(
                "the update failed: {}",
                text("LastUpdateStatusReason").unwrap_or("no reason given")
            ),
            (Some("Active" | "Inactive"), None | Some("Successful")) => return Ok(function),
            _ if begin.elapsed() > PATIENCE => bail!("not ready after {} s", PATIENCE.as_secs()),
            _ => tokio::time::sleep(POLL).await,
        }
    }
}

fn print(function: &Value, format: Format) -> anyhow::Result<()> {
    if format == Format::Json {
        output::print(&format!("{}\n", serde_json::to_string_pretty(function)?))?;
        return Ok(());
    }
    let text = |key: &str| match &function[key] {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows: Vec<Vec<String>> = [
        "FunctionArn",
        "Runtime",
        "Handler",
        "MemorySize",
        "Timeout",
        "CodeSize",
        "CodeSha256",
        "State",
    ]
    .map(|key| vec![key.to_owned(), text(key)])
    .to_vec();
    Ok(output::print(&output::table(&rows, &[]))?)
}

/// What is to be said of a function whose runtime is here by another's image alone.
fn substituted(function: &Value) -> Option<String> {
    let runtime = RuntimeName::from_name(function["Runtime"].as_str()?)?;
    runtime.is_substituted().then(|| {
        format!(
            "note: {runtime} has no image here; the function runs on {}",
            runtime.image()
        )
    })
}

fn is_not_found(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<ApiError>()
        .is_some_and(ApiError::is_not_found)
}

fn name_of(source: &Path) -> anyhow::Result<FunctionName> {
    let source = std::fs::canonicalize(source)
        .with_context(|| format!("cannot find {}", source.display()))?;
    let stem = if source.is_dir() {
        source.file_name()
    } else {
        source.file_stem()
    };
    let name = stem.and_then(|name| name.to_str()).unwrap_or_default();
    name.parse()
        .with_context(|| format!("give --name: '{name}' cannot be a function name"))
}

fn package(built: &Built) -> anyhow::Result<Vec<u8>> {
    let zip = if built.parts.iter().all(|part| part.is_dir()) {
        package::zip(&built.parts, built.without)?
    } else {
        let source = &built.parts[0];
        let file =
            std::fs::read(source).with_context(|| format!("cannot read {}", source.display()))?;
        if !file.starts_with(b"PK") {
            bail!("{} is neither a folder nor a zip file", source.display());
        }
        file
    };
    if zip.len() as u64 > CODE_ZIP_BYTES {
        bail!(
            "the package has {} bytes; at most {CODE_ZIP_BYTES} can be sent",
            zip.len()
        );
    }
    Ok(zip)
}
