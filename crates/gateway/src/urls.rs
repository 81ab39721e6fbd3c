//! Function URLs: HTTP requests become events, and what functions answer becomes HTTP again.
//!
//! The data plane, read from top to bottom in [`serve`]. Their configuration is the control plane's.

mod access;
mod address;
mod answer;
mod asking;
mod cors;
mod event;
mod refusal;
mod streaming;

use std::time::UNIX_EPOCH;

use bytes::Bytes;
use http::header::CONTENT_SECURITY_POLICY;
use http::{HeaderName, HeaderValue, Response};
use hyper::body::Incoming;
use pilotlight_model::limits::INVOKE_REQUEST_BYTES;
use pilotlight_model::url::{FunctionUrl, InvokeMode};

use crate::answer_body::AnswerBody;
use crate::door::inner::Inside;
use crate::front::{Answer, Call, Parts, REQUEST_ID};
use crate::invoke::chain;
use crate::invoke::run::{Admitted, Ran, permit};
use crate::invoke::trace_id::TraceId;
pub(crate) use address::{Address, is_function_url};
use asking::{Asking, too_large};
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
    let cause = call.wire.inside().and_then(Inside::request);
    // First who asks: a stranger's body is not read where strangers may not call.
    let Asking { signer, received } = Asking::of(parts, call, url, body).await?;

    // What the URL means is answered from memory.
    let alias = url.alias.as_ref().map(|alias| alias.as_str());
    let resolved = parts
        .directory
        .resolve(&url.account, &url.region, &url.name, alias)
        .map_err(refusal::of)?;

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
        return Err(refusal::of(too_large(payload.len())));
    }
    drop(received);

    // From here on it is an invocation like any other.
    let trace = chain::arrive(parts, trace, &resolved.spec.key)
        .await
        .map_err(refusal::of)?;
    let admitted = Admitted {
        permit: permit(parts, &resolved).map_err(refusal::of)?,
        resolved,
        payload,
        trace,
        client_context: None,
        cause,
        log_tail: false,
        cold: None,
        at: now.duration_since(UNIX_EPOCH).unwrap_or_default(),
    };
    let ran = match url.mode {
        InvokeMode::Buffered => Ran::Whole(admitted.run(parts, call).await),
        InvokeMode::Stream => admitted.run_streaming(parts, call).await,
    };
    answered(ran, url.mode, call).await
}

/// What a URL of that mode answers when the function has run, or has begun its answer.
async fn answered(ran: Ran, mode: InvokeMode, call: &Call<'_>) -> Result<Answer, Response<Bytes>> {
    match ran {
        Ran::Whole(ended) => {
            let (reply, responding) = ended?;
            let shaped = match (&reply.function_error, mode) {
                (Some(_), _) => None,
                (None, InvokeMode::Stream) => Some(streaming::whole(&reply)),
                (None, InvokeMode::Buffered) => answer::shape(&reply.payload).ok(),
            };
            let response = match shaped {
                Some(shaped) => shaped.head.with(shaped.body.into()),
                None => refusal::bad_gateway().map(AnswerBody::from),
            };
            Ok(Answer {
                response,
                responding: Some(responding),
            })
        }
        Ran::Begun(begun, pieces) => {
            let begun = streaming::begun(begun, pieces, call.wire).await;
            let (head, body) = begun.ok_or_else(refusal::bad_gateway)?;
            Ok(Answer {
                response: head.with(body),
                responding: None,
            })
        }
    }
}
