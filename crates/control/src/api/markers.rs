//! Pages of Lambda's lists, and the markers by which clients go on from one to the next.

use pilotlight_model::LambdaError;
use serde::Deserialize;

use super::invalid;
use crate::paging;

/// Entries on one page, whatever is asked for.
const PAGE: usize = 50;

/// A page of a list that one function has.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct FunctionListRequest {
    pub(super) function_name: String,
    pub(super) marker: Option<String>,
    pub(super) max_items: Option<usize>,
}

/// Entries on a page of as many as were asked for.
pub(super) fn page(asked: Option<usize>) -> usize {
    asked.unwrap_or(PAGE).min(PAGE)
}

/// What a marker says: what the client saw last.
pub(super) fn seen(marker: Option<&str>) -> Result<Option<String>, LambdaError> {
    let read = |marker| paging::read(marker).ok_or_else(not_a_marker);
    marker.map(read).transpose()
}

/// 400 for a marker that this platform has not given.
pub(super) fn not_a_marker() -> LambdaError {
    invalid("The Marker is not one that this operation answered.")
}
