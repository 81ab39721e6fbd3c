//! `GET /pilotlight/v1/starts`: records of the last starts, newest first.
//!
//! Parameters: `function` (a name in any form; with a qualifier, only starts of the versions that it means now);
//! `kind`; `since` (milliseconds since 1970); `limit` (records, at most 10,000; 100 unless given), which counts
//! those that match.

use bytes::Bytes;
use http::{Response, StatusCode};
use pilotlight_model::names::{Qualifier, Target};
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError, StartKind, StartRecord};
use serde::Serialize;

use super::{json, parameter};
use crate::front::Parts;
use crate::starts::{Filter, Whose};

const STARTS: usize = 100;
const MOST_STARTS: usize = 10_000;

#[derive(Serialize)]
struct StartList {
    starts: Vec<StartRecord>,
}

pub(super) fn read(
    parts: &Parts,
    caller: Caller,
    query: &str,
) -> Result<Response<Bytes>, LambdaError> {
    let kind = parameter::<String>(query, "kind")?.map(|text| {
        StartKind::from_name(&text).ok_or_else(|| {
            let message = format!("'{text}' is not a start kind.");
            LambdaError::new(ErrorKind::InvalidParameterValue, message)
        })
    });
    let function: Option<String> = parameter(query, "function")?;
    let function = function.map(|name| whose(parts, &caller, &name));
    let filter = Filter {
        function: function.transpose()?,
        account: caller.account,
        kind: kind.transpose()?,
        since_ms: parameter(query, "since")?.unwrap_or(0),
        limit: parameter(query, "limit")?
            .unwrap_or(STARTS)
            .min(MOST_STARTS),
    };
    let recorder = &parts.recorder;
    let found = recorder.starts.find(&filter);
    let starts = found
        .iter()
        .map(|finished| finished.record(&recorder.node))
        .collect();
    json(StatusCode::OK, &StartList { starts })
}

/// What has been deleted has its records still: only an alias must be there.
fn whose(parts: &Parts, caller: &Caller, name: &str) -> Result<Whose, LambdaError> {
    let target = Target::resolve(caller, name, None)?;
    let qualifier = target.qualifier.as_deref().map(str::parse);
    let versions = match qualifier {
        None => None,
        Some(Ok(Qualifier::Version(version))) => Some(vec![version]),
        Some(_) => {
            let routes = parts.directory.routes(&target)?;
            let versions = routes.iter().map(|it| it.resolved.spec.key.version);
            Some(versions.collect())
        }
    };
    Ok(Whose {
        name: target.name,
        versions,
    })
}
