//! `GET /pilotlight/v1/why?function=`: why the last starts of a version were what they were, as its node
//! remembers it. `function` is a name in any form, with a qualifier if need be; an alias may mean two versions.

use bytes::Bytes;
use http::{Response, StatusCode};
use pilotlight_model::names::Target;
use pilotlight_model::node::{Caller, WhyAnswer, WhyRoute};
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
    // Whose function it is sees this, and nobody else.
    let target = Target {
        account: caller.account.clone(),
        ..Target::resolve(caller, &name, None)?
    };
    let routes = parts.directory.routes(&target)?;
    let versions = routes
        .into_iter()
        .map(|route| WhyRoute {
            weight: route.weight.into(),
            why: parts.node.why(&route.resolved.spec.key),
        })
        .collect();
    json(StatusCode::OK, &WhyAnswer { versions })
}
