//! Messages to HTTP endpoints: one POST each. Any answer of the 200s is "taken"; redirects are not followed.

use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::time::timeout;

use crate::catalog::deliveries::Delivery;

/// How long an endpoint may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Bytes of an answer that are read to keep its connection.
const ANSWER_BYTES: usize = 64 * 1024;

/// A client for all endpoints.
pub(super) struct Endpoints(Client<HttpConnector, Full<Bytes>>);

impl Default for Endpoints {
    fn default() -> Self {
        Self(Client::builder(TokioExecutor::new()).build_http())
    }
}

impl Endpoints {
    /// Delivers a message; what goes wrong, in words for people.
    pub(super) async fn post(&self, url: &Uri, delivery: &Delivery) -> Result<(), String> {
        let request = request(url, delivery).map_err(|error| error.to_string())?;
        let asked = async {
            let response = self.0.request(request).await.map_err(causes)?;
            let status = response.status();
            // The answer says nothing that matters; reading it keeps the connection.
            let _ = Limited::new(response.into_body(), ANSWER_BYTES)
                .collect()
                .await;
            match status.is_success() {
                true => Ok(()),
                false => Err(format!("the endpoint answered {status}")),
            }
        };
        timeout(ANSWER, asked)
            .await
            .unwrap_or_else(|_| Err(format!("no answer within {} s", ANSWER.as_secs())))
    }
}

fn request(url: &Uri, delivery: &Delivery) -> Result<Request<Full<Bytes>>, http::Error> {
    let mut request = Request::builder()
        .method(Method::POST)
        .uri(url)
        .header(CONTENT_TYPE, "application/json")
        .header("x-pilotlight-message-id", &delivery.message_id)
        .header("x-pilotlight-destination", value(&delivery.target))
        .header("x-pilotlight-kind", &delivery.kind)
        .header("x-pilotlight-request-id", &delivery.request_id);
    if let Some(attributes) = &delivery.attributes {
        if let Some(code) = attributes.error_code {
            request = request.header("x-pilotlight-error-code", code);
        }
        if let Some(message) = &attributes.error_message {
            request = request.header("x-pilotlight-error-message", value(message));
        }
    }
    request.body(Full::new(delivery.body.clone()))
}

/// A text as a header holds it: what cannot stand there is left out.
fn value(text: &str) -> HeaderValue {
    let shown = |letter: &char| letter.is_ascii_graphic() || *letter == ' ';
    let plain: String = text.chars().filter(shown).collect();
    HeaderValue::try_from(plain).unwrap_or(HeaderValue::from_static(""))
}

fn causes(error: hyper_util::client::legacy::Error) -> String {
    pilotlight_model::error::Causes(&error).to_string()
}
