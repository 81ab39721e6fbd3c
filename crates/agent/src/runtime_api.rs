//! The Runtime API (2018-06-01), and what extensions have beside it, as one instance's processes see it: HTTP/1.1 over a socket that only
//! that instance can reach. The runtime is never trusted: connections, headers and bodies are bounded,
//! every wait ends with the instance, and what is not understood is refused or hung up on.
//!
//! Source: "Lambda runtime API" of the AWS Lambda developer guide.

mod answer;
mod inherited;
mod outstanding;
mod reply;
mod route;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use pilotlight_model::node::BoxFuture;
use pilotlight_model::start::Instant;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use crate::instance::{Asked, InitMarks, Instance, Next, Refusal, Restore};
use crate::{extensions, telemetry};
use inherited::Inherited;
use outstanding::Begun;
use reply::{deliver, not_found, refused};
use route::Route;

pub(crate) use outstanding::{Outstanding, Then, Via};
pub(crate) use reply::{accepted, error, json};

/// Connections that one instance may hold; a further one waits in the listener's queue.
const CONNECTIONS: usize = 64;
/// Bytes of a request's line and headers together.
const HEAD_BYTES: usize = 64 * 1024;
/// Pause after a connection could not be accepted (the node is out of descriptors).
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);
/// How late an answer to a request comes that makes no sense: a flood of them, many in one packet, must not cost the
/// node more than it costs the sender.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);
/// How long a process that has ended may be listened to.
const LAST_WORDS: Duration = Duration::from_secs(1);
/// When the runtime's own code was over, in nanoseconds of CLOCK_MONOTONIC.
const RUNTIME_READY: &str = "pilotlight-runtime-ready";
/// When the user's init was over, in nanoseconds of CLOCK_MONOTONIC.
const USER_INIT_DONE: &str = "pilotlight-user-init-done";
/// When a fork had restored itself, in nanoseconds of CLOCK_MONOTONIC.
const RESTORE_DONE: &str = "pilotlight-restore-done";

/// What the Runtime API needs of the node beside the instance.
pub(crate) trait OnFree: Send + Sync + 'static {
    /// The instance has nothing to do: it asked for an event, that way. `first` at the end of its init.
    fn free(&self, instance: &Arc<Instance>, first: bool, via: Via, then: Then);

    /// The instance asked, that way, whether it is a fork, and waits for the answer. Only one that is to
    /// be a template does.
    fn parked(&self, _instance: &Arc<Instance>, _via: Via, _then: Then) {}
}

/// A connection that a program inherited beside its extensions, and what is outstanding on it.
type Joining = (UnixStream, Option<Outstanding>);

/// The Runtime API of one process, on every way by which it can come. Dropping it closes everything.
pub(crate) struct Server {
    stop: oneshot::Sender<()>,
    joining: mpsc::Sender<Joining>,
    task: AbortOnDropHandle<()>,
    /// The inner door is open for as long as the process is listened to.
    _door: Option<AbortOnDropHandle<()>>,
}

impl Server {
    /// Serves the connection that the process inherited, and those that it makes. A fork has a request
    /// outstanding on the one that it inherited, or on the first that it makes. Beside all that, `door` is kept going.
    pub(crate) fn start(
        instance: Arc<Instance>,
        on_free: Arc<dyn OnFree>,
        inherited: Option<UnixStream>,
        listener: Option<TcpListener>,
        outstanding: Option<(Outstanding, Via)>,
        door: Option<BoxFuture<'static, ()>>,
    ) -> Self {
        let on = |way| outstanding.and_then(|(request, via)| (via == way).then_some(request));
        let mut connections = Connections {
            instance,
            on_free,
            first: on(Via::Tcp),
            all: JoinSet::new(),
        };
        if let Some(stream) = inherited {
            connections.serve_inherited(stream, on(Via::Inherited));
        }
        let (stop, stopped) = oneshot::channel();
        let (joining, joined) = mpsc::channel(1);
        let listener = listener.map(Arc::new);
        if let Some(listener) = &listener {
            connections.instance.listens_at(listener);
        }
        let task = AbortOnDropHandle::new(tokio::spawn(connections.run(listener, joined, stopped)));
        Self {
            stop,
            joining,
            task,
            _door: door.map(|door| AbortOnDropHandle::new(tokio::spawn(door))),
        }
    }

    /// Serves, as of now, the connection that the program inherited; extensions came before it. What is outstanding
    /// there comes over that connection.
    pub(crate) async fn join(&self, stream: UnixStream, outstanding: Option<Outstanding>) {
        // An error means that everything is closed.
        let _ = self.joining.send((stream, outstanding)).await;
    }

    /// The process has ended: hears what it still said, for a bounded time, and closes.
    pub(crate) async fn finish(self) {
        let _ = self.stop.send(());
        let _ = tokio::time::timeout(LAST_WORDS, self.task).await;
    }
}

struct Connections {
    instance: Arc<Instance>,
    on_free: Arc<dyn OnFree>,
    /// Outstanding on the first connection that comes.
    first: Option<Outstanding>,
    all: JoinSet<()>,
}

impl Connections {
    async fn run(
        mut self,
        listener: Option<Arc<TcpListener>>,
        mut joined: mpsc::Receiver<Joining>,
        mut stopped: oneshot::Receiver<()>,
    ) {
        loop {
            let room = self.all.len() < CONNECTIONS;
            tokio::select! {
                _ = &mut stopped => break,
                Some(_) = self.all.join_next() => {}
                Some((stream, outstanding)) = joined.recv() => {
                    self.serve_inherited(stream, outstanding);
                }
                stream = accept(listener.as_deref()), if room => self.serve_accepted(stream),
            }
        }
        // What was queued when the process ended may hold its answer.
        while self.all.len() < CONNECTIONS
            && let Ok(stream) = timeout(Duration::ZERO, accept(listener.as_deref())).await
        {
            self.serve_accepted(stream);
        }
        while self.all.join_next().await.is_some() {}
    }

    fn serve_inherited(&mut self, stream: UnixStream, outstanding: Option<Outstanding>) {
        let stream = Inherited::new(stream, Arc::clone(&self.instance));
        self.serve(Begun::new(stream, outstanding), Via::Inherited);
    }

    fn serve_accepted(&mut self, stream: TcpStream) {
        let outstanding = self.first.take();
        self.serve(Begun::new(stream, outstanding), Via::Tcp);
    }

    fn serve<IO>(&mut self, io: IO, via: Via)
    where
        IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.all.spawn(serve(
            Arc::clone(&self.instance),
            Arc::clone(&self.on_free),
            io,
            via,
        ));
    }
}

/// The next connection; never, without a listener.
async fn accept(listener: Option<&TcpListener>) -> TcpStream {
    let Some(listener) = listener else {
        return std::future::pending().await;
    };
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                // Answers are small, and each is waited for.
                let _ = stream.set_nodelay(true);
                return stream;
            }
            Err(error) => {
                tracing::debug!(%error, "runtime connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve<IO>(instance: Arc<Instance>, on_free: Arc<dyn OnFree>, io: IO, via: Via)
where
    IO: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = hyper::service::service_fn(move |request| {
        let (instance, on_free) = (Arc::clone(&instance), Arc::clone(&on_free));
        async move { answer(&instance, on_free.as_ref(), request, via).await }
    });
    let served = hyper::server::conn::http1::Builder::new()
        .auto_date_header(false)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(io), service)
        .await;
    if let Err(error) = served {
        tracing::debug!(%error, "runtime connection closed");
    }
}

/// The instance has ended; the connection is closed without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the instance has ended")]
pub(crate) struct Ended;

async fn answer(
    instance: &Arc<Instance>,
    on_free: &dyn OnFree,
    request: Request<Incoming>,
    via: Via,
) -> Result<Response<Full<Bytes>>, Ended> {
    let answered = match Route::of(request.method(), request.uri().path()) {
        Route::Next => next(instance, on_free, &request, via).await,
        Route::Response(id) => Ok(answer::response(instance, id, request).await),
        Route::Error(id) => Ok(answer::error(instance, id, request).await),
        Route::InitError => Ok(answer::init_error(instance, request).await),
        Route::Assignment => Ok(assignment(instance)),
        Route::Restore => restore(instance, on_free, &request, via).await,
        Route::RestoreError => Ok(answer::restore_error(instance, request).await),
        Route::Register => Ok(extensions::api::register(instance, request).await),
        Route::ExtensionNext => extensions::api::next(instance, on_free, request.headers()).await,
        Route::ExtensionInitError => Ok(extensions::api::init_error(instance, request).await),
        Route::ExtensionExitError => Ok(extensions::api::exit_error(instance, request).await),
        Route::Subscribe(api) => Ok(telemetry::api::subscribe(instance, api, request).await),
        Route::WrongMethod => Ok(error(
            StatusCode::METHOD_NOT_ALLOWED,
            "MethodNotAllowed",
            "Method not allowed",
        )),
        Route::InvalidId => Ok(refused(Refusal::RequestId)),
        Route::Unknown => Ok(not_found()),
    };
    if answered
        .as_ref()
        .is_ok_and(|answer| answer.status().is_client_error())
    {
        tokio::time::sleep(REFUSAL_PAUSE).await;
    }
    answered
}

async fn next(
    instance: &Arc<Instance>,
    on_free: &dyn OnFree,
    request: &Request<Incoming>,
    via: Via,
) -> Result<Response<Full<Bytes>>, Ended> {
    if instance.has_answered() {
        // Who waits for that answer comes first.
        tokio::task::yield_now().await;
    }
    match instance.ask(marks(request.headers())) {
        Ok(Next::Event(event)) => Ok(deliver(event)),
        Ok(Next::Wait { freed, event }) => {
            // Only now is the way for the event open.
            if let Some(asked) = freed {
                let then = Then::of(request.version(), request.headers());
                on_free.free(instance, asked == Asked::First, via, then);
            }
            let event = event.await.map_err(|_| Ended)?;
            instance.fetched();
            Ok(deliver(event))
        }
        Err(refusal) => Ok(refused(refusal)),
    }
}

/// What a fork of a zygote is to be.
fn assignment(instance: &Instance) -> Response<Full<Bytes>> {
    match instance.take_assignment() {
        Some(body) => json(StatusCode::OK, body),
        None => not_found(),
    }
}

/// Answers a fork at once, and what is to be a template only if it will not be one.
async fn restore(
    instance: &Arc<Instance>,
    on_free: &dyn OnFree,
    request: &Request<Incoming>,
    via: Via,
) -> Result<Response<Full<Bytes>>, Ended> {
    match instance.restore(marks(request.headers())) {
        Ok(Restore::Go(body)) => Ok(json(StatusCode::OK, body)),
        Ok(Restore::Wait(go)) => {
            on_free.parked(
                instance,
                via,
                Then::of(request.version(), request.headers()),
            );
            let body = go.await.map_err(|_| Ended)?;
            Ok(json(StatusCode::OK, body))
        }
        Err(refusal) => Ok(refused(refusal)),
    }
}

fn marks(headers: &HeaderMap) -> InitMarks {
    InitMarks {
        ready: nanoseconds(headers, RUNTIME_READY),
        user_done: nanoseconds(headers, USER_INIT_DONE),
        restored: nanoseconds(headers, RESTORE_DONE),
    }
}

fn nanoseconds(headers: &HeaderMap, name: &str) -> Option<Instant> {
    headers.get(name)?.to_str().ok()?.parse().ok().map(Instant)
}
