//! The Telemetry API and the Logs API as an instance's extensions see them.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;

use super::{Api, Subscription};
use crate::extensions::api::{body, forbidden, identifier, refused};
use crate::instance::{Instance, NotSubscribed};
use crate::runtime_api::{error, json};

/// `PUT /2022-07-01/telemetry`, `PUT /2020-08-15/logs`.
pub(crate) async fn subscribe(
    instance: &Arc<Instance>,
    api: Api,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let id = match identifier(request.headers()) {
        Ok(id) => id,
        Err(refused) => return *refused,
    };
    let parsed = match body(request).await {
        Ok(body) => Subscription::parse(api, &body),
        Err(why) => Err(why),
    };
    let subscription = match parsed {
        Ok(subscription) => subscription,
        Err(why) => return error(StatusCode::BAD_REQUEST, "ValidationError", &why),
    };
    match instance.subscribe(id, subscription) {
        Ok(()) => json(StatusCode::OK, "\"OK\"".into()),
        Err(NotSubscribed::Refused(refusal)) => refused(&refusal),
        Err(NotSubscribed::Closed) => match api {
            Api::Telemetry => forbidden(
                "Telemetry.SubscriptionClosed",
                "Telemetry API subscription is closed",
            ),
            Api::Logs => forbidden(
                "Logs.SubscriptionClosed",
                "Logs API subscription is closed already",
            ),
        },
    }
}
