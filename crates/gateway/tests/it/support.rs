//! A gateway on a loopback port with everything behind it faked, and a client.

mod fakes;
mod functions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pilotlight_gateway::{Admission, Config, Drained, Gateway, Records};
use pilotlight_model::node::{BoxFuture, InnerDoor, InvokeReply, InvokeRequest, Node, NodeError};
use prometheus_client::metrics::counter::Counter;
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

pub(crate) use fakes::Fakes;
pub(crate) use functions::{echo, reply, spec};

/// What the fake node does with an invocation.
pub(crate) type Behaviour =
    Arc<dyn Fn(InvokeRequest) -> BoxFuture<'static, Result<InvokeReply, NodeError>> + Send + Sync>;

/// A running gateway and what it stands on.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) fakes: Arc<Fakes>,
    /// The node as others than the gateway get it.
    pub(crate) node: Arc<dyn Node>,
    /// The gateway as a node gets it.
    pub(crate) door: Arc<dyn InnerDoor>,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Drained>,
}

impl Stage {
    /// A gateway whose node answers each invocation with its own event.
    pub(crate) async fn echoing() -> Self {
        Self::start(
            Config::default(),
            Arc::new(|request| Box::pin(echo(request))),
        )
        .await
    }

    pub(crate) async fn configured(config: Config) -> Self {
        Self::start(config, Arc::new(|request| Box::pin(echo(request)))).await
    }

    pub(crate) async fn start(config: Config, behaviour: Behaviour) -> Self {
        let fakes = Arc::new(Fakes {
            behaviour,
            invoked: Mutex::default(),
            queued: Mutex::default(),
            logs: Mutex::default(),
            urls: Mutex::default(),
        });
        let records = Records::new(&config, "node-1".to_owned());
        records.add_metrics(|registry| {
            registry.register("other", "Another part's", Counter::<u64>::default());
        });
        let node = records.observe(fakes.clone());
        let gateway = Gateway::new(
            config,
            records,
            Admission::new(),
            fakes.clone(),
            fakes.clone(),
            fakes.clone(),
            fakes.clone(),
        );
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let door = Arc::new(gateway.clone());
        let (shutdown, signal) = oneshot::channel();
        let serving = tokio::spawn(async move {
            gateway
                .serve(listener, async {
                    let _ = signal.await;
                })
                .await
        });
        Self {
            address,
            fakes,
            node,
            door,
            shutdown: Some(shutdown),
            serving,
        }
    }

    /// One request on a connection of its own.
    pub(crate) async fn send(&self, request: Request<Bytes>) -> Response<Bytes> {
        self.connect().await.send(request).await
    }

    pub(crate) async fn post(
        &self,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Response<Bytes> {
        self.send(request(Method::POST, path, headers, body)).await
    }

    pub(crate) async fn get(&self, path: &str) -> Response<Bytes> {
        self.send(request(Method::GET, path, &[], "")).await
    }

    pub(crate) async fn get_json(&self, path: &str) -> Value {
        let response = self.get(path).await;
        assert_eq!(response.status(), 200, "{path}: {response:?}");
        serde_json::from_slice(response.body()).unwrap()
    }

    /// Invokes `hello`.
    pub(crate) async fn invoke(&self, headers: &[(&str, &str)], body: &str) -> Response<Bytes> {
        self.post(&invocations("hello"), headers, body).await
    }

    pub(crate) async fn connect(&self) -> Client {
        connect(self.address).await
    }

    /// The value of a metric's line, labels included in `name`; 0 where there is none yet.
    pub(crate) async fn metric(&self, name: &str) -> f64 {
        let response = self.get("/metrics").await;
        let text = std::str::from_utf8(response.body()).unwrap().to_owned();
        text.lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
            .unwrap_or(0.0)
    }

    /// Asks again and again until it holds, and fails when it does not come to.
    pub(crate) async fn until_metric(&self, name: &str, wanted: f64) {
        let holds = async {
            while self.metric(name).await != wanted {
                // Lets paused time go on.
                sleep(Duration::from_millis(1)).await;
            }
        };
        let limit = Duration::from_secs(60);
        timeout(limit, holds)
            .await
            .unwrap_or_else(|_| panic!("{name} never was {wanted}"));
    }

    pub(crate) fn signal_shutdown(&mut self) {
        self.shutdown.take().unwrap().send(()).unwrap();
    }

    pub(crate) async fn drained(self) -> Drained {
        self.serving.await.unwrap()
    }
}

pub(crate) async fn connect(address: SocketAddr) -> Client {
    let stream = TcpStream::connect(address).await.unwrap();
    stream.set_nodelay(true).unwrap();
    let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    Client(sender)
}

/// A keep-alive connection.
pub(crate) struct Client(pub(crate) SendRequest<Full<Bytes>>);

impl Client {
    pub(crate) async fn send(&mut self, request: Request<Bytes>) -> Response<Bytes> {
        self.0.ready().await.unwrap();
        let response = self.0.send_request(request.map(Full::new)).await.unwrap();
        let (head, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        Response::from_parts(head, body)
    }
}

pub(crate) fn request(
    method: Method,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> Request<Bytes> {
    let mut builder = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        builder = builder.header(HOST, "127.0.0.1:9000");
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder
        .body(Bytes::copy_from_slice(body.as_bytes()))
        .unwrap()
}

pub(crate) fn invocations(name: &str) -> String {
    format!("/2015-03-31/functions/{name}/invocations")
}

/// Status, error type, and the body's `message` or `Message`.
pub(crate) fn error(response: &Response<Bytes>) -> (u16, String, String) {
    let body: Value = serde_json::from_slice(response.body()).unwrap();
    let message = body["message"].as_str().or(body["Message"].as_str());
    let kind = response.headers()["x-amzn-errortype"].to_str().unwrap();
    (
        response.status().as_u16(),
        kind.to_owned(),
        message.unwrap().to_owned(),
    )
}
