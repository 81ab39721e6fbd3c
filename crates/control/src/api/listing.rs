//! ListFunctions and ListVersionsByFunction.

use std::sync::Arc;

use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{LambdaError, Version};
use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use super::markers::{FunctionListRequest, not_a_marker, page, seen};
use super::read;
use crate::catalog::record::Record;
use crate::control::Parts;
use crate::paging::cut;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctionsRequest {
    function_version: Option<String>,
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListFunctionsResponse {
    functions: Vec<Configuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListVersionsResponse {
    versions: Vec<Configuration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// The functions of the caller's account and region, by name. With `FunctionVersion: ALL` every version of
/// theirs, by qualified ARN.
pub(super) async fn list_functions(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, LambdaError> {
    let page = page(request.max_items);
    let (name, version) = version_seen(request.marker.as_deref())?;
    let Caller {
        account, region, ..
    } = caller.clone();
    let all = request.function_version.is_some();
    let records = parts
        .catalog
        .read(move |session| {
            Ok::<_, LambdaError>(match all {
                false => session.list(&account, &region, &name, page + 1)?,
                true => {
                    let after = (name.as_str(), version.unwrap_or(Version::Latest));
                    session.list_versions(&account, &region, after, page + 1)?
                }
            })
        })
        .await?;
    let (functions, next_marker) = shown(records, page, all);
    Ok(ListFunctionsResponse {
        functions,
        next_marker,
    })
}

/// The versions of a function, `$LATEST` first.
pub(super) async fn list_versions(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: FunctionListRequest,
) -> Result<ListVersionsResponse, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, None)?;
    let (record, _) = read::find(parts, &target).await?;
    let page = page(request.max_items);
    let (_, after) = version_seen(request.marker.as_deref())?;
    let records = parts
        .catalog
        .read(move |session| {
            Ok::<_, LambdaError>(session.versions(&record.key, after, page + 1)?)
        })
        .await?;
    let (versions, next_marker) = shown(records, page, true);
    Ok(ListVersionsResponse {
        versions,
        next_marker,
    })
}

/// A page of what was found, and the marker of the next where there is more: the name and the version that the client
/// saw last.
fn shown(
    mut records: Vec<Record>,
    page: usize,
    qualified: bool,
) -> (Vec<Configuration>, Option<String>) {
    let next = cut(&mut records, page, |last| {
        format!("{}:{}", last.key.name, last.key.version)
    });
    let shown = |record: &Record| {
        let version = record.key.version.to_string();
        Configuration::listed(record, qualified.then_some(version.as_str()))
    };
    (records.iter().map(shown).collect(), next)
}

/// The name and the version that a marker says.
fn version_seen(marker: Option<&str>) -> Result<(String, Option<Version>), LambdaError> {
    let Some(text) = seen(marker)? else {
        return Ok((String::new(), None));
    };
    let read = || {
        let (name, version) = text.split_once(':')?;
        Some((name.to_owned(), Some(version.parse().ok()?)))
    };
    read().ok_or_else(not_a_marker)
}
