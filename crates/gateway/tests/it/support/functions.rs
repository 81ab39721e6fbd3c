//! Functions that the gateway is told of, and what they answer.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use pilotlight_model::concurrency::Share;
use pilotlight_model::function::{FunctionSpec, SnapStart, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::logging::LogFormat;
use pilotlight_model::node::{InvokeReply, InvokeRequest, NodeError};
use pilotlight_model::start::Instant;
use pilotlight_model::{
    AccountId, Digest, FunctionName, Phase, Region, Routing, Runtime, StartKind, Version, Weight,
};

/// A reply that carries `payload`, with a handler phase.
pub(crate) fn reply(request: InvokeRequest, payload: Bytes) -> InvokeReply {
    let mut timeline = request.timeline;
    let begin = timeline.last().0;
    timeline.end(Phase::Queue, Instant(begin + 1_500));
    timeline.end(Phase::Handler, Instant(begin + 4_700));
    InvokeReply {
        payload,
        function_error: None,
        log_tail: request.log_tail.then(|| b"END RequestId: x\n".to_vec()),
        instance: InstanceId(7),
        kind: match request.cold.is_some() {
            true => StartKind::Booted,
            false => StartKind::Warm,
        },
        timeline,
    }
}

/// Answers with the event.
pub(crate) async fn echo(request: InvokeRequest) -> Result<InvokeReply, NodeError> {
    let payload = request.payload.clone();
    Ok(reply(request, payload))
}

/// What every alias of the function `split` points at.
pub(crate) static SPLIT: LazyLock<Routing> = LazyLock::new(|| Routing {
    version: Version::Number(1),
    additional: Some((Version::Number(2), Weight::try_from(0.2).unwrap())),
});

/// A random number from 0 to 1.
pub(super) fn draw() -> f64 {
    // Of a random UUID the low 62 bits are random.
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

/// The newest version of a function.
pub(crate) fn spec(account: &AccountId, region: &Region, name: &FunctionName) -> Arc<FunctionSpec> {
    version(account, region, name, Version::Latest)
}

pub(super) fn version(
    account: &AccountId,
    region: &Region,
    name: &FunctionName,
    version: Version,
) -> Arc<FunctionSpec> {
    Arc::new(FunctionSpec {
        key: VersionKey {
            account: account.clone(),
            region: region.clone(),
            name: name.clone(),
            version,
        },
        revision: 1,
        runtime: Runtime::Python311.into(),
        handler: "app.handler".to_owned(),
        code: "0".repeat(64).parse::<Digest>().unwrap(),
        layers: Vec::new(),
        environment: Default::default(),
        memory_mb: 128,
        timeout: Duration::from_secs(3),
        ephemeral_storage_mb: 512,
        keep_alive: None,
        log_group: match name.as_str() {
            "sharing" => "shared".to_owned(),
            name => format!("/aws/lambda/{name}"),
        },
        log_format: LogFormat::Text,
        live_code: None,
        snap_start: SnapStart::Auto,
    })
}

/// One at a time of `single`, and of `reserved` by its own reservation.
pub(super) fn share(name: &FunctionName) -> Share {
    let (reserved, unreserved) = match name.as_str() {
        "single" => (None, 1),
        "reserved" => (Some(1), 1_000),
        _ => (None, 1_000),
    };
    Share {
        provisioned: 0,
        reserved,
        unreserved,
    }
}
