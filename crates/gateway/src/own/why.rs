//! `GET /pilotlight/v1/why?function=`: why the last starts of a version were what they were, as its node
//! remembers it. `function` is a name in any form, with a qualifier if need be.

use bytes::Bytes;
use http::{Response, StatusCode};
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};

use super::{json, parameter};
use crate::front::Parts;

pub(super) fn read(
    parts: &Parts,
    caller: &Caller,
    query: &str,
) -> Result<Response<Bytes>, LambdaError> {
    let name: String = parameter(query, "function")?.ok_or_else(|| {
        LambdaError::new(ErrorKind::InvalidParameterValue, "function must be given.")
    })?;
    let target = Target::resolve(caller, &name, None)?;
    // Whose function it is sees this, and nobody else.
    let resolved = parts.directory.resolve(
        &caller.account,
        &target.region,
        &target.name,
        target.qualifier.as_deref(),
    )?;
    json(StatusCode::OK, &parts.node.why(&resolved.spec.key))
}
