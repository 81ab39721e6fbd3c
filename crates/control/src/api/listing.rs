//! ListFunctions and ListVersionsByFunction.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{LambdaError, Version};
use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use super::markers::not_a_marker;
use super::read;
use crate::catalog::record::Record;
use crate::control::Parts;

/// Functions, versions or aliases on one page, whatever is asked for.
const PAGE: usize = 50;

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

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListVersionsRequest {
    function_name: String,
    marker: Option<String>,
    max_items: Option<usize>,
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
    let (name, version) = seen(request.marker.as_deref())?;
    let Caller { account, region } = caller.clone();
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
    let (functions, next_marker) = cut(records, page, all);
    Ok(ListFunctionsResponse {
        functions,
        next_marker,
    })
}

/// The versions of a function, `$LATEST` first.
pub(super) async fn list_versions(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListVersionsRequest,
) -> Result<ListVersionsResponse, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, None)?;
    let (record, _) = read::find(parts, &target).await?;
    let page = page(request.max_items);
    let (_, after) = seen(request.marker.as_deref())?;
    let records = parts
        .catalog
        .read(move |session| {
            Ok::<_, LambdaError>(session.versions(&record.key, after, page + 1)?)
        })
        .await?;
    let (versions, next_marker) = cut(records, page, true);
    Ok(ListVersionsResponse {
        versions,
        next_marker,
    })
}

/// Items on a page of as many as were asked for.
pub(super) fn page(asked: Option<usize>) -> usize {
    asked.unwrap_or(PAGE).min(PAGE)
}

/// A page of what was found, and the marker of the next where there is more.
fn cut(
    mut records: Vec<Record>,
    page: usize,
    qualified: bool,
) -> (Vec<Configuration>, Option<String>) {
    let more = records.len() > page;
    records.truncate(page);
    let next = records.last().filter(|_| more).map(|last| {
        BASE64_URL_SAFE_NO_PAD.encode(format!("{}:{}", last.key.name, last.key.version))
    });
    let shown = |record: &Record| {
        let version = record.key.version.to_string();
        Configuration::listed(record, qualified.then_some(version.as_str()))
    };
    (records.iter().map(shown).collect(), next)
}

/// What a marker says. Markers are opaque to clients: the name and the version that they saw last.
fn seen(marker: Option<&str>) -> Result<(String, Option<Version>), LambdaError> {
    let Some(marker) = marker else {
        return Ok((String::new(), None));
    };
    let read = || {
        let bytes = BASE64_URL_SAFE_NO_PAD.decode(marker).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (name, version) = text.split_once(':')?;
        Some((name.to_owned(), Some(version.parse().ok()?)))
    };
    read().ok_or_else(not_a_marker)
}
