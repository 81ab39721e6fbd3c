//! Chains of invocations: one that keeps coming back to a function is stopped, unless the function's owner lets
//! loops go on.

use pilotlight_model::{LambdaError, VersionKey, lineage};

use super::trace_id::TraceId;
use crate::front::Parts;

/// The trace as the function gets it: with the function counted in its chain.
pub(crate) async fn arrive(
    parts: &Parts,
    mut trace: TraceId,
    version: &VersionKey,
) -> Result<TraceId, LambdaError> {
    let arrived = lineage::arrive(&trace.header, version);
    if arrived.is_loop() && !parts.directory.may_loop(version).await {
        return Err(LambdaError::recursive());
    }
    trace.header = arrived.header;
    Ok(trace)
}
