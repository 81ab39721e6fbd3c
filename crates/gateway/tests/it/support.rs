//! A gateway on a loopback port with everything behind it faked, and a client.

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use bytes::Bytes;
use http::header::HOST;
use http::{Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pilotlight_gateway::{Admission, Config, Drained, Gateway, Records};
use pilotlight_model::Runtime;
use pilotlight_model::concurrency::Share;
use pilotlight_model::error::ErrorKind;
use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::function_policy::{
    Conditions, Effect, INVOKE_FUNCTION, INVOKE_FUNCTION_URL, Policy, Principal, Statement,
};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::{LadderCounters, Rung, ZygoteStatus};
use pilotlight_model::logging::LogFormat;
use pilotlight_model::names::Target;
use pilotlight_model::node::{
    Api, BoxFuture, Caller, Compiled, Directory, EventQueue, Folder, InvokeReply, InvokeRequest,
    LogLine, Node, NodeError, NodeStatus, QueuedEvent, Resolved, VersionCounts, WarmUpOrder,
    WarmedUp,
};
use pilotlight_model::provisioned::{Provisioned, Usage};
use pilotlight_model::start::Instant;
use pilotlight_model::url::FunctionUrl;
use pilotlight_model::{
    AccountId, Digest, FunctionName, LambdaError, Phase, Region, Routing, StartKind, UrlId,
    Version, Weight,
};
use prometheus_client::metrics::counter::Counter;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

/// What the fake node does with an invocation.
pub(crate) type Behaviour =
    Arc<dyn Fn(InvokeRequest) -> BoxFuture<'static, Result<InvokeReply, NodeError>> + Send + Sync>;

/// A running gateway and what it stands on.
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) fakes: Arc<Fakes>,
    /// The node as others than the gateway get it.
    pub(crate) node: Arc<dyn Node>,
    shutdown: Option<oneshot::Sender<()>>,
    serving: JoinHandle<Drained>,
}

/// Directory, node, queue and control plane in one.
pub(crate) struct Fakes {
    behaviour: Behaviour,
    pub(crate) invoked: Mutex<Vec<InvokeRequest>>,
    pub(crate) queued: Mutex<Vec<QueuedEvent>>,
    pub(crate) logs: Mutex<Vec<LogLine>>,
    pub(crate) urls: Mutex<Vec<Arc<FunctionUrl>>>,
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
        let stream = TcpStream::connect(self.address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        let (sender, connection) = handshake(TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        Client(sender)
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
fn draw() -> f64 {
    // Of a random UUID the low 62 bits are random.
    let bits = uuid::Uuid::new_v4().as_u128() as u32;
    f64::from(bits) / (f64::from(u32::MAX) + 1.0)
}

pub(crate) fn spec(account: &AccountId, region: &Region, name: &FunctionName) -> Arc<FunctionSpec> {
    version(account, region, name, Version::Latest)
}

fn version(
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
        log_group: format!("/aws/lambda/{name}"),
        log_format: LogFormat::Text,
        live_code: None,
        snap_start_refused: false,
    })
}

/// One at a time of `single`, and of `reserved` by its own reservation.
fn share(name: &FunctionName) -> Share {
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

impl Directory for Fakes {
    /// As many loops as it likes, if that is its name.
    fn may_loop<'a>(&'a self, version: &'a VersionKey) -> BoxFuture<'a, bool> {
        Box::pin(async { version.name.as_str() == "looping" })
    }

    fn resolve(
        &self,
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&str>,
    ) -> Result<Resolved, LambdaError> {
        let mut arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
        if let Some(qualifier) = qualifier {
            arn = format!("{arn}:{qualifier}");
        }
        match name.as_str() {
            "missing" => Err(LambdaError::function_not_found(&arn)),
            "pending" => Err(LambdaError::new(
                ErrorKind::ResourceConflict,
                "The operation cannot be performed at this time. The function is currently in the \
                 following state: Pending",
            )),
            "split" => Ok(Resolved {
                spec: version(account, region, name, SPLIT.choose(draw)),
                invoked_arn: arn,
                share: share(name),
            }),
            _ => Ok(Resolved {
                spec: spec(account, region, name),
                invoked_arn: arn,
                share: share(name),
            }),
        }
    }

    /// The function `shared` may be invoked by everybody; so may the URLs of `public`, and those of `partner`
    /// by whoever signs.
    fn policy(&self, target: &Target) -> Arc<Policy> {
        let statement = |action: &str, auth_type: Option<&str>| Statement {
            sid: "everybody".to_owned(),
            effect: Effect::Allow,
            principal: Principal::Everyone,
            action: action.to_owned(),
            resource: target.function_arn(),
            condition: Conditions {
                string_equals: auth_type
                    .map(|it| ("lambda:FunctionUrlAuthType".to_owned(), it.to_owned()))
                    .into_iter()
                    .collect(),
                ..Conditions::default()
            },
        };
        let statement = match target.name.as_str() {
            "shared" => Some(statement(INVOKE_FUNCTION, None)),
            "public" => Some(statement(INVOKE_FUNCTION_URL, Some("NONE"))),
            "partner" => Some(statement(INVOKE_FUNCTION_URL, Some("AWS_IAM"))),
            _ => None,
        };
        Arc::new(Policy {
            statements: statement.into_iter().collect(),
        })
    }

    fn function_url(&self, id: &UrlId) -> Option<Arc<FunctionUrl>> {
        let urls = self.urls.lock();
        urls.iter().find(|url| url.id == *id).cloned()
    }
}

impl Node for Fakes {
    fn invoke(&self, request: InvokeRequest) -> BoxFuture<'_, Result<InvokeReply, NodeError>> {
        self.invoked.lock().push(request.clone());
        (self.behaviour)(request)
    }

    fn prepare(&self, _: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), NodeError>> {
        unreachable!("the gateway prepares nothing")
    }

    fn warm_up(&self, _: WarmUpOrder) -> BoxFuture<'_, Result<WarmedUp, NodeError>> {
        unreachable!("the gateway warms nothing up")
    }

    fn restore(&self, _: Arc<FunctionSpec>) -> BoxFuture<'_, Result<bool, NodeError>> {
        Box::pin(async { Ok(true) })
    }

    fn provision(&self, _: &Arc<FunctionSpec>, _: u32) {
        unreachable!("the gateway provisions nothing")
    }

    fn provisioned(&self, _: &VersionKey) -> Option<Provisioned> {
        unreachable!("the gateway asks for the whole status")
    }

    fn most_used_first(&self, _: &mut [VersionKey]) {}

    fn retire(&self, _: &VersionKey) {
        unreachable!("the gateway retires nothing")
    }

    fn compile(
        &self,
        _: Runtime,
        _: Digest,
        _: Folder,
    ) -> BoxFuture<'_, Result<Compiled, NodeError>> {
        unreachable!("the gateway compiles nothing")
    }

    fn status(&self) -> NodeStatus {
        let arn = |account: &str| format!("arn:aws:lambda:us-east-1:{account}:function:f:$LATEST");
        let counts = VersionCounts {
            busy: 1,
            idle: 2,
            starting: 3,
            spares: 1,
            berths: 1,
            rung: Rung::Idle,
            template_bytes: 2 << 20,
            spare_bytes: 1 << 20,
            refusal: None,
            provisioned: Some(Provisioned {
                wanted: 5,
                allocated: 3,
                available: 2,
                ..Provisioned::default()
            }),
        };
        NodeStatus {
            node: "node-1".to_owned(),
            slots: 4,
            promised_mb: 128,
            capacity_mb: 1024,
            dropped_log_lines: 5,
            versions: ["123456789012", "000000000001"]
                .map(|account| (arn(account), counts.clone()))
                .into(),
            zygotes: vec![ZygoteStatus {
                runtime: "python3.11".to_owned(),
                ready: true,
                berths: 4,
                bytes: 9 << 20,
                note: None,
            }],
            ladder: LadderCounters {
                forks: 6,
                fork_us: 12_000,
                refusals: [("open_connection".to_owned(), 2)].into(),
                given_up: [("spare".to_owned(), 3)].into(),
            },
            provisioned: Usage {
                invocations: 7,
                spillovers: 1,
                idle_mb_ms: 512 * 3_000,
            },
        }
    }

    fn read_logs(
        &self,
        account: &AccountId,
        _: &Region,
        group: &str,
        position: u64,
        limit: usize,
    ) -> BoxFuture<'_, std::io::Result<Vec<LogLine>>> {
        let found = match (account.as_str(), group) {
            ("123456789012", "/aws/lambda/hello") => Ok(self
                .logs
                .lock()
                .iter()
                .filter(|line| line.position > position)
                .take(limit)
                .cloned()
                .collect()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        Box::pin(async { found })
    }
}

impl EventQueue for Fakes {
    fn enqueue(&self, event: QueuedEvent) -> BoxFuture<'_, Result<(), LambdaError>> {
        Box::pin(async move {
            if event.payload == "\"full\"" {
                return Err(LambdaError::new(ErrorKind::Service, "The queue is full."));
            }
            self.queued.lock().push(event);
            Ok(())
        })
    }
}

impl Api for Fakes {
    fn handle(&self, caller: Caller, request: Request<Bytes>) -> BoxFuture<'_, Response<Bytes>> {
        let body = json!({
            "account": caller.account,
            "region": caller.region,
            "method": request.method().as_str(),
            "path": request.uri().path(),
            "bytes": request.body().len(),
        });
        Box::pin(async move { Response::new(Bytes::from(body.to_string())) })
    }
}
