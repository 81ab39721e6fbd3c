//! ListFunctions and ListVersionsByFunction.

use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use pilotlight_model::LambdaError;
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::configuration::Configuration;
use super::{invalid, read};
use crate::control::Parts;

/// Functions on one page, whatever is asked for.
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
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListVersionsResponse {
    versions: Vec<Configuration>,
}

/// The functions of the caller's account and region, by name. With `FunctionVersion: ALL` the ARNs are
/// qualified; each function has only `$LATEST`.
pub(super) async fn list_functions(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListFunctionsRequest,
) -> Result<ListFunctionsResponse, LambdaError> {
    let page = request.max_items.unwrap_or(PAGE).min(PAGE);
    let after = request
        .marker
        .as_deref()
        .map(read_marker)
        .transpose()?
        .unwrap_or_default();
    let Caller { account, region } = caller.clone();
    let mut records = parts
        .catalog
        .read(move |session| {
            Ok::<_, LambdaError>(session.list(&account, &region, &after, page + 1)?)
        })
        .await?;
    let more = records.len() > page;
    records.truncate(page);
    let next_marker = records
        .last()
        .filter(|_| more)
        .map(|last| marker(last.key.name.as_str()));
    let qualifier = request.function_version.is_some().then_some("$LATEST");
    let functions = records
        .iter()
        .map(|record| Configuration::listed(record, qualifier))
        .collect();
    Ok(ListFunctionsResponse {
        functions,
        next_marker,
    })
}

/// The versions of a function: all on one page as long as there is only `$LATEST`.
pub(super) async fn list_versions(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListVersionsRequest,
) -> Result<ListVersionsResponse, LambdaError> {
    let target = Target::resolve(caller, &request.function_name, None)?;
    let (record, _) = read::find(parts, &target).await?;
    if request.marker.is_some() {
        return Err(invalid(
            "The Marker is not one that this operation answered.",
        ));
    }
    Ok(ListVersionsResponse {
        versions: vec![Configuration::listed(&record, Some("$LATEST"))],
    })
}

/// Markers are opaque to clients: the name of the last function that they saw.
fn marker(name: &str) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(name)
}

fn read_marker(marker: &str) -> Result<String, LambdaError> {
    BASE64_URL_SAFE_NO_PAD
        .decode(marker)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| invalid("The Marker is not one that this operation answered."))
}
