//! Event source mappings are out of scope: none can be made, so that there are none to list or find.

use pilotlight_model::{ErrorKind, LambdaError};
use serde::Serialize;

use super::invalid;

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

/// The error of CreateEventSourceMapping.
pub(super) fn not_here() -> LambdaError {
    invalid("Event source mappings are not available on this platform yet.")
}

/// The error of whoever names one.
pub(super) fn none_such() -> LambdaError {
    LambdaError::new(
        ErrorKind::ResourceNotFound,
        "The resource you requested does not exist.",
    )
}
