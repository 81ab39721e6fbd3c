//! Event source mappings are out of scope: none can be made, so that there are none to list or find.

use std::sync::Arc;

use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{invalid, rules};
use crate::control::Parts;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct CreateEventSourceMappingRequest {
    function_name: String,
    event_source_arn: Option<String>,
    self_managed_event_source: Option<Value>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct ListEventSourceMappingsResponse {
    event_source_mappings: [(); 0],
}

/// Tools ask for them whether or not they want any.
pub(super) fn list_event_source_mappings() -> ListEventSourceMappingsResponse {
    ListEventSourceMappingsResponse {
        event_source_mappings: [],
    }
}

/// The error of CreateEventSourceMapping: AWS's own for what AWS would refuse, then this platform's.
pub(super) async fn refuse(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: CreateEventSourceMappingRequest,
) -> LambdaError {
    if request.event_source_arn.is_none() && request.self_managed_event_source.is_none() {
        return invalid("Unrecognized event source.");
    }
    let target = match Target::resolve(caller, &request.function_name, None) {
        Ok(target) => target,
        Err(error) => return error,
    };
    let there = parts
        .catalog
        .read(move |session| rules::exists(session, &target));
    match there.await {
        Ok(true) => invalid("Event source mappings are not available on this platform yet."),
        Ok(false) => invalid("Function does not exist"),
        Err(error) => error,
    }
}

/// The error of whoever names one.
pub(super) fn none_such() -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        "The resource you requested does not exist.",
    )
}
