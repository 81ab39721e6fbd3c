//! The gateway as a whole: what it is made of, and which request goes where.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response};
use hyper::Request;
use hyper::body::{Body, Incoming};
use pilotlight_model::node::{Api, CODE_PATH, Directory, EventQueue, Node};
use pilotlight_model::service::ApiId;
use pilotlight_model::start::Instant;
use pilotlight_model::{LambdaError, RequestId};
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::TcpListener;

use crate::admission::Admission;
use crate::answer_body::AnswerBody;
use crate::auth::Authenticator;
use crate::body::Intake;
use crate::config::{AccessKey, Config};
use crate::door::inner::Doors;
use crate::door::wire::Wire;
use crate::door::{self, Drained};
use crate::invoke::{self, Style};
use crate::own::Own;
use crate::record::{Recorder, Records, Responding};
use crate::urls::{self, Address};
use crate::{api, elsewhere, own};

pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");

/// The HTTP front door. A handle: clones are the same gateway.
#[derive(Clone)]
pub struct Gateway(Arc<Parts>);

/// What serving a request needs.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) node: Arc<dyn Node>,
    pub(crate) queue: Arc<dyn EventQueue>,
    pub(crate) control: Arc<dyn Api>,
    pub(crate) authenticator: Authenticator,
    pub(crate) admission: Admission,
    pub(crate) intake: Intake,
    pub(crate) recorder: Arc<Recorder>,
    doors: Doors,
    draining: AtomicBool,
}

/// One request as the front door hands it on, without its body.
pub(crate) struct Call<'a> {
    pub(crate) head: &'a http::request::Parts,
    pub(crate) request_id: RequestId,
    /// When its first byte was read.
    pub(crate) began: Instant,
    pub(crate) wire: &'a Arc<Wire>,
}

/// An answer, and the record that is finished when it has been written. One that comes in pieces brings its record
/// along.
pub(crate) struct Answer {
    pub(crate) response: Response<AnswerBody>,
    pub(crate) responding: Option<Responding>,
}

/// Where a request goes.
enum Route<'a> {
    /// A function URL, whose host name or path says so: here.
    Url(Address<'a>),
    /// The invocation path: here.
    Invoke(Style, &'a str),
    /// Nowhere: here it is told so.
    S3,
    /// Pilotlight's own read API: here.
    Own(Own),
    /// Downloads that carry their own proof: the control plane.
    Code,
    /// The rest of the AWS APIs: the control plane.
    Control,
}

impl Gateway {
    /// Puts a gateway together. `admission` counts the invocations of all who invoke functions here.
    pub fn new(
        config: Config,
        records: Records,
        admission: Admission,
        directory: Arc<dyn Directory>,
        node: Arc<dyn Node>,
        queue: Arc<dyn EventQueue>,
        control: Arc<dyn Api>,
    ) -> Gateway {
        Gateway(Arc::new(Parts {
            authenticator: Authenticator::new(&config.access_keys),
            intake: Intake::new(config.body_timeout, config.body_bytes),
            recorder: records.0,
            doors: Doors::new(&config),
            draining: AtomicBool::new(false),
            config,
            admission,
            directory,
            node,
            queue,
            control,
        }))
    }

    /// From now on requests must be signed with one of these keys; of two with the same id the later one
    /// counts. A gateway that has had keys stays closed when there are none any more.
    pub fn set_access_keys(&self, keys: &[AccessKey]) {
        self.0.authenticator.replace(keys);
    }

    /// Serves `listener` until `shutdown` resolves and the requests in flight have finished, or
    /// `Config::drain` has passed.
    pub async fn serve(
        &self,
        listener: TcpListener,
        shutdown: impl Future<Output = ()>,
    ) -> Drained {
        door::serve(self, listener, shutdown).await
    }

    pub(crate) fn config(&self) -> &Config {
        &self.0.config
    }

    pub(crate) fn doors(&self) -> &Doors {
        &self.0.doors
    }

    pub(crate) fn open_connections(&self) -> &Gauge {
        &self.0.recorder.metrics.connections
    }

    pub(crate) fn set_draining(&self) {
        self.0.draining.store(true, Ordering::Relaxed);
    }

    /// Sends out what the exporter still holds.
    pub(crate) async fn flush(&self) {
        self.0.recorder.flush().await;
    }

    /// Serves one request.
    pub(crate) async fn handle(
        &self,
        wire: &Arc<Wire>,
        request: Request<Incoming>,
    ) -> Response<AnswerBody> {
        let began = wire.begin();
        let (head, mut body) = request.into_parts();
        let call = Call {
            head: &head,
            request_id: RequestId::new(),
            began,
            wire,
        };
        let inside = wire.inside();
        let answer = match route(&head, inside.is_some()) {
            Route::Url(address) => Ok(urls::serve(&self.0, &call, address, &mut body).await),
            Route::Invoke(style, name) => {
                invoke::invoke(&self.0, &call, style, name, &mut body).await
            }
            Route::Own(own) => own::answer(&self.0, &call, own, &mut body).await,
            Route::S3 => Ok(elsewhere::s3(&head).into()),
            Route::Code => api::open(&self.0, head.clone()).await,
            Route::Control => api::forward(&self.0, &call, &mut body).await,
        };
        let Answer {
            mut response,
            responding,
        } = answer.unwrap_or_else(|error| error.response_of(api_of(&head)).into());
        // A client that is still writing reads the answer only afterwards, unless it asked first.
        if !body.is_end_stream() && !head.headers.contains_key(http::header::EXPECT) {
            self.0.intake.discard(&mut body).await;
        }
        let mut share = None;
        if let Some(inside) = inside {
            (response, share) = inside.let_out(response, api_of(&head)).await;
        }
        let headers = response.headers_mut();
        if !headers.contains_key(REQUEST_ID) {
            headers.insert(REQUEST_ID, id_value(call.request_id));
        }
        if !matches!(response.body(), AnswerBody::Streamed(_)) {
            wire.answer_holding(responding, share);
        }
        response
    }
}

impl Parts {
    /// Whether the gateway is shutting down.
    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }
}

impl From<Response<Bytes>> for Answer {
    fn from(response: Response<Bytes>) -> Self {
        Self {
            response: response.map(AnswerBody::from),
            responding: None,
        }
    }
}

/// What every handler of a request returns.
pub(crate) type Answered = Result<Answer, LambdaError>;

fn id_value(id: RequestId) -> HeaderValue {
    HeaderValue::try_from(id.to_string()).expect("a UUID is a valid header value")
}

fn api_of(head: &http::request::Parts) -> ApiId {
    ApiId::of(&head.method, &head.uri, &head.headers)
}

/// An inner door leads to AWS's APIs alone, whatever a request has for a host.
fn route(head: &http::request::Parts, inside: bool) -> Route<'_> {
    // Before all else: what is sent to a function URL never reaches the API.
    if !inside && let Some(address) = Address::of(head) {
        return Route::Url(address);
    }
    let path = head.uri.path();
    if let Some(rest) = path.strip_prefix("/2015-03-31/functions/") {
        // The one route that every invocation takes is found without a table.
        if let Some(name) = only_segment(rest, "/invocations")
            && head.method == Method::POST
        {
            return Route::Invoke(Style::Invoke, name);
        }
        return Route::Control;
    }
    if let Some(rest) = path.strip_prefix("/2021-11-15/functions/")
        && let Some(name) = only_segment(rest, "/response-streaming-invocations")
        && head.method == Method::POST
    {
        return Route::Invoke(Style::Stream, name);
    }
    if let Some(rest) = path.strip_prefix("/2014-11-13/functions/")
        && let Some(name) = only_segment(rest, "/invoke-async")
        && head.method == Method::POST
    {
        return Route::Invoke(Style::InvokeAsync, name);
    }
    if inside {
        return control(head);
    }
    // The one thing that nobody authenticates here: nothing but a download may go this way.
    if head.method == Method::GET && path.starts_with(CODE_PATH) {
        return Route::Code;
    }
    match Own::of(&head.method, path) {
        Some(own) => Route::Own(own),
        None => control(head),
    }
}

/// The operations of AWS's APIs, and what is meant for another one.
fn control(head: &http::request::Parts) -> Route<'_> {
    match elsewhere::is_s3(head) {
        true => Route::S3,
        false => Route::Control,
    }
}

/// The one path segment before `suffix`, which may have a slash behind it.
fn only_segment<'a>(rest: &'a str, suffix: &str) -> Option<&'a str> {
    let name = rest
        .strip_suffix('/')
        .unwrap_or(rest)
        .strip_suffix(suffix)?;
    (!name.is_empty() && !name.contains('/')).then_some(name)
}
