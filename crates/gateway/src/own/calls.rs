//! `GET /pilotlight/v1/calls`: which functions of the caller's account and region call which, as the node has learned it.
//!
//! Parameters: `function` (a name in any form: calls that it makes, and that others make of it); `limit` (calls of a page,
//! at most 1,000; 100 unless given); `from` (the `next` of the page before).

use bytes::Bytes;
use http::{Response, StatusCode};
use pilotlight_model::LambdaError;
use pilotlight_model::names::Target;
use pilotlight_model::node::{Caller, CallsAsked};

use super::{json, parameter};
use crate::front::Parts;

const CALLS: usize = 100;
const MOST_CALLS: usize = 1_000;

pub(super) fn read(
    parts: &Parts,
    caller: Caller,
    query: &str,
) -> Result<Response<Bytes>, LambdaError> {
    let function: Option<String> = parameter(query, "function")?;
    let function = function.map(|name| Target::resolve(&caller, &name, None));
    let asked = CallsAsked {
        function: function.transpose()?.map(|target| target.name),
        account: caller.account,
        region: caller.region,
        from: parameter(query, "from")?.unwrap_or(0),
        limit: parameter(query, "limit")?
            .unwrap_or(CALLS)
            .clamp(1, MOST_CALLS),
    };
    json(StatusCode::OK, &parts.node.calls(&asked))
}
