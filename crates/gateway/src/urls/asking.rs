//! Who asks at a function URL, and with what body.

use bytes::Bytes;
use http::Response;
use hyper::body::Incoming;
use pilotlight_model::LambdaError;
use pilotlight_model::limits::INVOKE_REQUEST_BYTES;
use pilotlight_model::node::Caller;
use pilotlight_model::url::{AuthType, FunctionUrl};

use super::{access, refusal};
use crate::body::{BodyError, Received};
use crate::front::{Call, Parts};

/// A request that may come in.
pub(super) struct Asking {
    /// Who has signed it, where that is asked for, and with which key.
    pub(super) signer: Option<(Caller, String)>,
    pub(super) received: Received,
}

impl Asking {
    /// Reads the body of who may call the URL, and of nobody else.
    pub(super) async fn of(
        parts: &Parts,
        call: &Call<'_>,
        url: &FunctionUrl,
        body: &mut Incoming,
    ) -> Result<Self, Response<Bytes>> {
        match url.auth {
            AuthType::None => {
                // Without keys everyone may do everything, and nobody is asked to write a policy first.
                if parts.authenticator.keyed() && !lets_in(parts, url, None) {
                    return Err(refusal::forbidden());
                }
                let received = receive(parts, body).await.map_err(refusal::of)?;
                Ok(Self {
                    signer: None,
                    received,
                })
            }
            AuthType::Iam => {
                let (caller, key, received) =
                    signed(parts, call, body).await.map_err(refusal::of)?;
                if caller.account != url.account && !lets_in(parts, url, Some(&caller)) {
                    return Err(refusal::forbidden());
                }
                Ok(Self {
                    signer: Some((caller, key)),
                    received,
                })
            }
        }
    }
}

/// What is said of a body, or of the event that it makes, that is larger than an event may be.
pub(super) fn too_large(bytes: usize) -> LambdaError {
    let size = bytes as u64;
    BodyError::TooLarge { size }.into_lambda(words)
}

/// Whether the policy of the function lets someone in.
fn lets_in(parts: &Parts, url: &FunctionUrl, caller: Option<&Caller>) -> bool {
    let policy = parts.directory.policy(&access::target(url));
    access::allowed(&policy, url, caller)
}

/// The body of a request that nobody has signed.
async fn receive(parts: &Parts, body: &mut Incoming) -> Result<Received, LambdaError> {
    let received = parts
        .intake
        .receive(body, INVOKE_REQUEST_BYTES, false)
        .await;
    received.map_err(|error| error.into_lambda(words))
}

/// The caller of a request, the key that it was signed with, and the body, none without the others.
async fn signed(
    parts: &Parts,
    call: &Call<'_>,
    body: &mut Incoming,
) -> Result<(Caller, String, Received), LambdaError> {
    let (claim, key) = parts
        .authenticator
        .claim_of_url(call.head, (parts.config.now)())?;
    let received = parts
        .intake
        .receive(body, claim.limit(INVOKE_REQUEST_BYTES), claim.covers_body())
        .await
        .map_err(|error| error.into_lambda(words))?;
    let (caller, received) = claim.verify(received)?;
    match received.bytes.len() {
        size if size > INVOKE_REQUEST_BYTES => Err(too_large(size)),
        _ => Ok((caller, key, received)),
    }
}

fn words(_: u64) -> String {
    format!(
        "Request must be smaller than {INVOKE_REQUEST_BYTES} bytes for the InvokeFunction operation"
    )
}
