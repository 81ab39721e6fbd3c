//! Pilotlight's own API for chains: `GET /pilotlight/v1/chains`, and below it `PUT` and `DELETE` of each by its name. A
//! chain is given as a definition of a state machine; what is kept of it is which functions call which.

use std::collections::BTreeMap;
use std::sync::Arc;

use http::Method;
use pilotlight_model::node::{CHAINS_PATH, Caller};
use pilotlight_model::workflow::Machine;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Answer, invalid, json};
use crate::catalog::chains::{Call, Chain};
use crate::control::Parts;

/// Chains of an account and region.
const CHAINS: usize = 100;
/// Calls of a chain.
const CALLS: usize = 250;
/// Bytes of a definition, as of one of Step Functions.
const DEFINITION_BYTES: usize = 1 << 20;
/// Characters of a name, as of a state machine's.
const NAME: usize = 80;

/// What is asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Asked {
    List,
    Put(String),
    Delete(String),
}

/// A chain as it is declared.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Declared {
    definition: Value,
    #[serde(default)]
    substitutions: BTreeMap<String, String>,
}

/// A chain as it is shown.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Shown {
    name: String,
    calls: Vec<Call>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct List {
    chains: Vec<Shown>,
}

impl Asked {
    /// What that method means at that path, if anything.
    pub(super) fn of(method: &Method, path: &str) -> Option<Self> {
        let below = path.strip_prefix(CHAINS_PATH)?;
        match (method, below.strip_prefix('/')) {
            (&Method::GET, None) if below.is_empty() => Some(Self::List),
            (&Method::PUT, Some(name)) => Some(Self::Put(name.to_owned())),
            (&Method::DELETE, Some(name)) => Some(Self::Delete(name.to_owned())),
            _ => None,
        }
    }
}

/// Answers it.
pub(super) async fn answer(
    parts: &Arc<Parts>,
    caller: &Caller,
    asked: Asked,
    body: &[u8],
) -> Result<Answer, LambdaError> {
    match asked {
        Asked::List => list(parts, caller).await,
        Asked::Put(name) => put(parts, caller, name, body).await,
        Asked::Delete(name) => delete(parts, caller, name).await,
    }
}

async fn list(parts: &Parts, caller: &Caller) -> Result<Answer, LambdaError> {
    let owner = caller.clone();
    let chains = parts
        .catalog
        .read(move |session| Ok::<_, LambdaError>(session.chains(&owner)?))
        .await?;
    json(List {
        chains: chains.into_iter().map(Shown::from).collect(),
    })
}

async fn put(
    parts: &Parts,
    caller: &Caller,
    name: String,
    body: &[u8],
) -> Result<Answer, LambdaError> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=NAME).contains(&name.len()) || !name.bytes().all(plain) {
        return Err(invalid(format!(
            "The name of a chain has 1 to {NAME} letters, digits, hyphens and underscores."
        )));
    }
    let chain = Chain {
        owner: caller.clone(),
        name,
        calls: calls(body)?,
        modified_ms: parts.config.clock.unix_ms(),
    };
    let kept = chain.clone();
    parts
        .catalog
        .write(move |session| {
            if session.count_other_chains(&kept.owner, &kept.name)? >= CHAINS {
                return Err(invalid(format!(
                    "There are {CHAINS} chains, the most that there can be."
                )));
            }
            Ok(session.put_chain(&kept)?)
        })
        .await?;
    parts.chains_changed.notify_one();
    json(Shown::from(chain))
}

/// The calls that a declaration comes to.
fn calls(body: &[u8]) -> Result<Vec<Call>, LambdaError> {
    if body.len() > DEFINITION_BYTES {
        return Err(invalid(format!(
            "The definition is larger than {DEFINITION_BYTES} bytes."
        )));
    }
    let declared: Declared = serde_json::from_slice(body)
        .map_err(|error| invalid(format!("Invalid chain: {error}.")))?;
    let machine = Machine::read(&declared.definition, &declared.substitutions)
        .map_err(|error| invalid(format!("Invalid definition: {error}.")))?;
    let calls = machine.calls();
    if calls.is_empty() {
        return Err(invalid(
            "No function of the definition is followed by another: tasks name functions by ARNs, or as FunctionName of \
             lambda:invoke, with all their placeholders filled in.",
        ));
    }
    if calls.len() > CALLS {
        return Err(invalid(format!(
            "The definition has more than {CALLS} calls."
        )));
    }
    let call = |call: pilotlight_model::workflow::DeclaredCall| Call {
        caller: call.caller,
        callee: call.callee,
        part: call.part,
        waits: call.waits.as_secs_f64(),
    };
    Ok(calls.into_iter().map(call).collect())
}

async fn delete(parts: &Parts, caller: &Caller, name: String) -> Result<Answer, LambdaError> {
    let (owner, gone) = (caller.clone(), name.clone());
    parts
        .catalog
        .write(move |session| match session.delete_chain(&owner, &gone)? {
            true => Ok(()),
            false => Err(LambdaError::new(
                ErrorKind::ResourceNotFound,
                format!("Chain not found: {gone}"),
            )),
        })
        .await?;
    parts.chains_changed.notify_one();
    json(Shown {
        name,
        calls: Vec::new(),
    })
}

impl From<Chain> for Shown {
    fn from(chain: Chain) -> Self {
        Self {
            name: chain.name,
            calls: chain.calls,
        }
    }
}
