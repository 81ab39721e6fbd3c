//! `pilot keys`: the access keys in a data directory.

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, bail};
use pilotlight_control::AccessKey;
use pilotlight_model::AccountId;
use serde::Serialize;

use crate::cli::{Format, KeyFormat, KeysAction, KeysArgs, UpArgs};
use crate::exit::Exit;
use crate::output;
use crate::up::Config;

/// A key as it is shown.
#[derive(Serialize)]
struct Shown<'a> {
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
    account: &'a AccountId,
    description: &'a str,
    created: String,
}

/// Does what is asked.
pub(crate) fn run(args: KeysArgs) -> anyhow::Result<Exit> {
    let config = Config::resolve(&UpArgs::at(args.data_dir, args.config))?;
    let creates = matches!(args.action, KeysAction::Create { .. });
    if !creates && !config.data_dir.is_dir() {
        bail!("there is no data directory {}", config.data_dir.display());
    }
    let keys = config.stored_keys()?;
    match args.action {
        KeysAction::Create {
            account,
            description,
            output,
        } => {
            let key = keys
                .create(account, &description, now_ms()?)
                .context("no key was made")?;
            output::print(&made(&key, output)?)?;
        }
        KeysAction::Ls { output } => {
            let all = keys.read()?;
            let shown: Vec<Shown<'_>> = all.iter().map(|key| Shown::of(key, false)).collect();
            output::print(&match output {
                Format::Json => format!("{}\n", serde_json::to_string_pretty(&shown)?),
                Format::Table => table(&shown),
            })?;
        }
        KeysAction::Delete { id } => {
            if !keys.delete(&id)? {
                bail!("there is no key {id}");
            }
            if keys.read()?.is_empty() && config.access_keys.is_empty() {
                eprintln!(
                    "that was the last key: a platform that runs refuses every request now, and one that \
                     starts is open to everyone on this machine"
                );
            }
        }
    }
    Ok(Exit::Done)
}

fn made(key: &AccessKey, format: KeyFormat) -> anyhow::Result<String> {
    Ok(match format {
        KeyFormat::Json => {
            format!("{}\n", serde_json::to_string_pretty(&Shown::of(key, true))?)
        }
        // Neither has a character that a shell would read as its own.
        KeyFormat::Env => format!(
            "export AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\n",
            key.id, key.secret
        ),
        KeyFormat::Table => {
            eprintln!("the secret is not shown again");
            format!(
                "id       {}\nsecret   {}\naccount  {}\n",
                key.id, key.secret, key.account
            )
        }
    })
}

fn table(keys: &[Shown<'_>]) -> String {
    let head = ["ID", "ACCOUNT", "CREATED", "DESCRIPTION"].map(str::to_owned);
    let mut rows = vec![head.to_vec()];
    rows.extend(keys.iter().map(|key| {
        vec![
            key.id.to_owned(),
            key.account.to_string(),
            key.created.clone(),
            key.description.to_owned(),
        ]
    }));
    output::table(&rows, &[])
}

fn now_ms() -> anyhow::Result<u64> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(u64::try_from(now.as_millis())?)
}

impl<'a> Shown<'a> {
    fn of(key: &'a AccessKey, with_secret: bool) -> Self {
        Self {
            id: &key.id,
            secret: with_secret.then_some(key.secret.as_str()),
            account: &key.account,
            description: &key.description,
            created: output::time(key.created_ms),
        }
    }
}
