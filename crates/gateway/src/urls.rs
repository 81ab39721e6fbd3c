//! Function URLs: HTTP requests become events, and what functions answer becomes HTTP again.
//!
//! The data plane, read from top to bottom in [`serve`]. Their configuration is the control plane's.

mod access;
mod address;
mod answer;
mod cors;
mod event;
mod refusal;
mod streaming;

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderName, HeaderValue, Response};
use hyper::body::Incoming;
use pilotlight_model::LambdaError;
use pilotlight_model::concurrency::Admit;
use pilotlight_model::limits::INVOKE_REQUEST_BYTES;
use pilotlight_model::node::{Caller, Resolved};
use pilotlight_model::url::{AuthType, FunctionUrl, InvokeMode};

use crate::answer_body::AnswerBody;
use crate::body::{BodyError, Received};
use crate::front::{Answer, Call, Parts, REQUEST_ID};
use crate::invoke::chain;
use crate::invoke::run::{Admitted, Ran};
use crate::invoke::trace_id::TraceId;
use crate::metrics::Outcome;
pub(crate) use address::{Address, is_function_url};
use answer::Head;
use event::Told;

const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");
/// Pages that are read by path share their origin with the API: a browser gives them one of their own.
const SANDBOX: HeaderValue = HeaderValue::from_static("sandbox allow-scripts allow-forms");

/// Serves one request to a function URL.
pub(crate) async fn serve(
    parts: &Parts,
    call: &Call<'_>,
    address: Address<'_>,
    body: &mut Incoming,
) -> Answer {
    let url = address
        .id
        .as_ref()
        .and_then(|id| parts.directory.function_url(id));
    let Some(url) = url.filter(|url| address.means(url)) else {
        return refusal::unknown().into();
    };

    // A browser that asks what it may do is told, and the function hears nothing of it.
    if let Some(cors) = &url.cors
        && cors::is_preflight(call.head)
    {
        let mut response = Response::new(Bytes::new());
        *response.headers_mut() = cors::preflight(cors, call.head);
        return response.into();
    }

    let now = (parts.config.now)();
    let trace = TraceId::of(&call.head.headers, now);
    let header = HeaderValue::try_from(trace.header.clone()).ok();
    let mut answer = match invoke(parts, call, &url, &address, trace, body).await {
        Ok(answer) => answer,
        Err(refused) => refused.into(),
    };
    let headers = answer.response.headers_mut();
    // Both are the platform's, whatever the function says.
    headers.remove(REQUEST_ID);
    if let Some(header) = header {
        headers.insert(TRACE_ID, header);
    }
    if let Some(cors) = &url.cors {
        cors::apply(cors, call.head, headers);
    }
    if address.by_path() {
        headers.append(CONTENT_SECURITY_POLICY, SANDBOX);
    }
    answer
}

/// Runs the function for a request, or says what is answered in its place.
async fn invoke(
    parts: &Parts,
    call: &Call<'_>,
    url: &FunctionUrl,
    address: &Address<'_>,
    trace: TraceId,
    body: &mut Incoming,
) -> Result<Answer, Response<Bytes>> {
    let refused = |error: LambdaError| refusal::of(&error);

    // First who asks: a stranger's body is not read where strangers may not call.
    let (signer, received) = match url.auth {
        AuthType::None => {
            // Without keys everyone may do everything, and nobody is asked to write a policy first.
            if parts.authenticator.keyed() && !lets_in(parts, url, None) {
                return Err(refusal::forbidden());
            }
            (None, receive(parts, body).await.map_err(refused)?)
        }
        AuthType::Iam => {
            let (caller, key, received) = signed(parts, call, body).await.map_err(refused)?;
            if caller.account != url.account && !lets_in(parts, url, Some(&caller)) {
                return Err(refusal::forbidden());
            }
            (Some((caller, key)), received)
        }
    };

    // What the URL means is answered from memory.
    let alias = url.alias.as_ref().map(|alias| alias.as_str());
    let resolved = parts
        .directory
        .resolve(&url.account, &url.region, &url.name, alias)
        .map_err(refused)?;

    let now = (parts.config.now)();
    let domain = address.domain(url);
    let told = Told {
        head: call.head,
        body: &received.bytes,
        path: address.path,
        domain: &domain,
        id: url.id.as_str(),
        peer: call.wire.peer().ip(),
        port: call.wire.port(),
        request_id: call.request_id,
        trace: &trace.header,
        now,
        signer: signer.as_ref().map(|(caller, key)| (caller, key.as_str())),
    };
    let payload = told.event();
    // In base64 a body may have become larger than an event may be.
    if payload.len() > INVOKE_REQUEST_BYTES {
        return Err(refusal::of(&too_large(payload.len() as u64)));
    }
    drop(received);

    // From here on it is an invocation like any other.
    let Resolved { spec, share, .. } = &resolved;
    let trace = chain::arrive(parts, trace, &spec.key)
        .await
        .map_err(refused)?;
    let permit = parts.admission.admit(&spec.key, share).map_err(|reason| {
        parts
            .recorder
            .metrics
            .refused(&url.name, Outcome::Throttled);
        LambdaError::throttled(reason).response()
    })?;
    let admitted = Admitted {
        resolved,
        permit,
        payload,
        trace,
        client_context: None,
        log_tail: false,
        cold: None,
        at: now.duration_since(UNIX_EPOCH).unwrap_or_default(),
    };
    let ran = match url.mode {
        InvokeMode::Buffered => Ran::Whole(admitted.run(parts, call).await),
        InvokeMode::Stream => admitted.run_streaming(parts, call).await,
    };
    let (head, body, responding) = match ran {
        Ran::Whole(ended) => {
            let (reply, responding) = ended?;
            let shaped = match (reply.function_error, url.mode) {
                (Some(_), _) => None,
                (None, InvokeMode::Stream) => Some(streaming::whole(&reply)),
                (None, InvokeMode::Buffered) => {
                    let shaped = answer::shape(&reply.payload).ok();
                    shaped.map(|shaped| (shaped.head, shaped.body))
                }
            };
            let Some((head, body)) = shaped else {
                return Ok(Answer {
                    response: refusal::bad_gateway().map(AnswerBody::from),
                    responding: Some(responding),
                });
            };
            (head, AnswerBody::from(body), Some(responding))
        }
        Ran::Begun(begun, pieces) => {
            let answer = streaming::begun(begun, pieces, call.wire).await;
            let (head, body) = answer.ok_or_else(refusal::bad_gateway)?;
            (head, body, None)
        }
    };
    Ok(answered(head, body, responding))
}

fn answered(head: Head, body: AnswerBody, responding: Option<crate::record::Responding>) -> Answer {
    let mut response = Response::new(body);
    *response.status_mut() = head.status;
    *response.headers_mut() = head.headers;
    Answer {
        response,
        responding,
    }
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
        size if size > INVOKE_REQUEST_BYTES => Err(too_large(size as u64)),
        _ => Ok((caller, key, received)),
    }
}

fn too_large(size: u64) -> LambdaError {
    BodyError::TooLarge { size }.into_lambda(words)
}

fn words(_: u64) -> String {
    format!(
        "Request must be smaller than {INVOKE_REQUEST_BYTES} bytes for the InvokeFunction operation"
    )
}
