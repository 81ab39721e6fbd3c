//! A control plane over a temporary directory, a node that does as it is told, a clock moved by hand, and
//! a client that holds every answer against the service model.

use std::collections::{BTreeMap, VecDeque};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use parking_lot::Mutex;
use pilotlight_control::{Clock, Config, Control};
use pilotlight_model::concurrency::{Admit, Permit, Share};
use pilotlight_model::error::ThrottleReason;
use pilotlight_model::node::{
    Api, BoxFuture, Caller, Compiled, CompiledFile, Folder, InvokeReply, InvokeRequest, LogLine,
    Node, NodeError, NodeStatus, WarmUpOrder, WarmedUp,
};
use pilotlight_model::provisioned::Provisioned;
use pilotlight_model::service::{ApiId, Location, Shape, Type};
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_model::{AccountId, Digest, FunctionSpec, Region, Runtime, VersionKey};
use pilotlight_store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::{Notify, Semaphore};

use crate::no_logs::NoLogs;

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/r";
pub(crate) const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:";
pub(crate) const FUNCTIONS: &str = "/2015-03-31/functions";

/// Two thousand twenty-six, in milliseconds.
pub(crate) const START_MS: u64 = 1_767_323_045_678;

/// Versions that a node restores before it is full.
pub(crate) const ROOM: usize = 4;

pub(crate) struct ManualClock {
    now_ms: AtomicU64,
    moved: Notify,
}

impl ManualClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.now_ms
            .fetch_add(by.as_millis() as u64, Ordering::SeqCst);
        self.moved.notify_waiters();
    }
}

impl Clock for ManualClock {
    fn unix_ms(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst)
    }

    fn monotonic(&self) -> Instant {
        Instant(self.unix_ms() * 1_000_000)
    }

    fn sleep_until(&self, unix_ms: u64) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            loop {
                let moved = self.moved.notified();
                if self.unix_ms() >= unix_ms {
                    return;
                }
                moved.await;
            }
        })
    }
}

/// An event that upsets the platform itself.
pub(crate) const POISON: &str = "\"poison\"";

/// Answers from its scripts, and well when they are empty. `prepare` and `warm_up` wait for a permit.
pub(crate) struct FakeNode {
    pub(crate) permits: Semaphore,
    pub(crate) prepares: Mutex<VecDeque<NodeError>>,
    pub(crate) invokes: Mutex<VecDeque<Result<bool, NodeError>>>,
    pub(crate) preparing: AtomicU64,
    /// How often there was no room to restore a version.
    pub(crate) full: AtomicU64,
    pub(crate) prepared: Mutex<Vec<Arc<FunctionSpec>>>,
    pub(crate) compiles_whole: Mutex<bool>,
    pub(crate) compiled: Mutex<Vec<(Runtime, Digest, Folder)>>,
    pub(crate) invoked: Mutex<Vec<InvokeRequest>>,
    pub(crate) warm_ups: Mutex<VecDeque<NodeError>>,
    pub(crate) warmed: Mutex<Vec<WarmUpOrder>>,
    pub(crate) retired: Mutex<Vec<VersionKey>>,
    /// What is provisioned, and how it stands.
    pub(crate) provisions: Mutex<BTreeMap<VersionKey, Provisioned>>,
}

impl FakeNode {
    fn new() -> Self {
        Self {
            permits: Semaphore::new(Semaphore::MAX_PERMITS),
            prepares: Mutex::default(),
            invokes: Mutex::default(),
            preparing: AtomicU64::new(0),
            full: AtomicU64::new(0),
            prepared: Mutex::default(),
            compiles_whole: Mutex::new(true),
            compiled: Mutex::default(),
            invoked: Mutex::default(),
            warm_ups: Mutex::default(),
            warmed: Mutex::default(),
            retired: Mutex::default(),
            provisions: Mutex::default(),
        }
    }

    /// Nothing is made ready or warmed up until [`FakeNode::release`].
    pub(crate) fn hold(&self) {
        self.permits.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn release(&self) {
        self.permits.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

/// Throttles the invocations of one function, and admits all others.
#[derive(Default)]
pub(crate) struct FakeAdmission {
    pub(crate) throttled: Mutex<Option<&'static str>>,
    /// What those might draw on that were asked for.
    pub(crate) shares: Mutex<Vec<(VersionKey, Share)>>,
}

impl Admit for FakeAdmission {
    fn admit(&self, version: &VersionKey, share: &Share) -> Result<Permit, ThrottleReason> {
        self.shares.lock().push((version.clone(), *share));
        match *self.throttled.lock() {
            Some(name) if name == version.name.as_str() => {
                Err(ThrottleReason::ConcurrentInvocationLimitExceeded)
            }
            _ => Ok(Box::new(())),
        }
    }
}

impl Node for FakeNode {
    fn invoke(&self, request: InvokeRequest) -> BoxFuture<'_, Result<InvokeReply, NodeError>> {
        let timeline = request.timeline.clone();
        let poison = request.payload == POISON;
        self.invoked.lock().push(request);
        assert!(!poison, "as asked");
        let scripted = self.invokes.lock().pop_front().unwrap_or(Ok(true));
        Box::pin(async move {
            let well = scripted?;
            Ok(InvokeReply {
                payload: Bytes::from_static(b"null"),
                function_error: (!well).then_some("Unhandled"),
                log_tail: None,
                instance: pilotlight_model::ids::InstanceId(1),
                kind: StartKind::Booted,
                timeline,
            })
        })
    }

    fn prepare(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(async move {
            self.preparing.fetch_add(1, Ordering::SeqCst);
            let _permit = self.permits.acquire().await.expect("never closed");
            if let Some(error) = self.prepares.lock().pop_front() {
                return Err(error);
            }
            self.prepared.lock().push(spec);
            Ok(())
        })
    }

    fn warm_up(&self, order: WarmUpOrder) -> BoxFuture<'_, Result<WarmedUp, NodeError>> {
        self.warmed.lock().push(order.clone());
        let scripted = self.warm_ups.lock().pop_front();
        let done = WarmedUp {
            idle: order.instances,
            started: order.instances,
            called: order.call.map_or(0, |_| order.instances),
            failed: 0,
        };
        Box::pin(async move {
            let _permit = self.permits.acquire().await.unwrap();
            scripted.map_or(Ok(done), Err)
        })
    }

    fn restore(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<bool, NodeError>> {
        Box::pin(async move {
            if self.prepared.lock().len() >= ROOM {
                self.full.fetch_add(1, Ordering::SeqCst);
                return Ok(false);
            }
            self.prepare(spec).await.map(|()| true)
        })
    }

    fn provision(&self, spec: &Arc<FunctionSpec>, count: u32) {
        let mut provisions = self.provisions.lock();
        match count {
            0 => drop(provisions.remove(&spec.key)),
            count => provisions.entry(spec.key.clone()).or_default().wanted = count,
        }
    }

    fn provisioned(&self, key: &VersionKey) -> Option<Provisioned> {
        self.provisions.lock().get(key).cloned()
    }

    fn most_used_first(&self, _: &mut [VersionKey]) {}

    fn retire(&self, key: &VersionKey) {
        self.retired.lock().push(key.clone());
    }

    fn compile(
        &self,
        runtime: Runtime,
        image: Digest,
        folder: Folder,
    ) -> BoxFuture<'_, Result<Compiled, NodeError>> {
        self.compiled.lock().push((runtime, image, folder));
        let files = match runtime {
            Runtime::Python311 => vec![CompiledFile {
                path: "__pycache__/app.cpython-311.pyc".to_owned(),
                bytes: Bytes::from_static(b"byte code"),
            }],
            Runtime::Nodejs20x | Runtime::Java17 | Runtime::ProvidedAl2023 => Vec::new(),
        };
        let whole = *self.compiles_whole.lock();
        Box::pin(async move { Ok(Compiled { files, whole }) })
    }

    fn status(&self) -> NodeStatus {
        NodeStatus::default()
    }

    fn read_logs(
        &self,
        _: &AccountId,
        _: &Region,
        _: &str,
        _: u64,
        _: usize,
    ) -> BoxFuture<'_, std::io::Result<Vec<LogLine>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

pub(crate) struct Platform {
    pub(crate) control: Arc<Control>,
    pub(crate) node: Arc<FakeNode>,
    pub(crate) admission: Arc<FakeAdmission>,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) store: Arc<Store>,
    pub(crate) dir: TempDir,
}

pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) body: Value,
}

impl Platform {
    pub(crate) async fn open() -> Self {
        Self::open_with(|_| {}).await
    }

    pub(crate) async fn open_with(change: impl FnOnce(&mut Config)) -> Self {
        Self::open_in(tempfile::tempdir().unwrap(), START_MS, change).await
    }

    async fn open_in(dir: TempDir, now_ms: u64, change: impl FnOnce(&mut Config)) -> Self {
        let store = Arc::new(Store::open(&dir.path().join("store")).unwrap());
        let node = Arc::new(FakeNode::new());
        let admission = Arc::new(FakeAdmission::default());
        let clock = Arc::new(ManualClock {
            now_ms: AtomicU64::new(now_ms),
            moved: Notify::new(),
        });
        let runtimes: BTreeMap<Runtime, Digest> =
            [(Runtime::Python311, "1"), (Runtime::ProvidedAl2023, "2")]
                .map(|(runtime, digit)| (runtime, digit.repeat(64).parse().unwrap()))
                .into();
        let mut config = Config::new(dir.path().join("data"), "http://127.0.0.1:9000", runtimes);
        config.clock = Arc::clone(&clock) as Arc<dyn Clock>;
        config.collect_rest = Duration::ZERO;
        change(&mut config);
        let control = Control::open(
            config,
            Arc::clone(&store),
            Arc::clone(&node) as Arc<dyn Node>,
            Arc::clone(&admission) as Arc<dyn Admit>,
            Arc::new(NoLogs),
        )
        .await
        .unwrap();
        Self {
            control,
            node,
            admission,
            clock,
            store,
            dir,
        }
    }

    /// What would be there after `kill -9` at this moment: a copy of the files, opened anew. The copy is
    /// taken while everything runs, but for the catalog's writes.
    pub(crate) async fn killed(&self) -> Self {
        self.killed_with(|_| {}).await
    }

    /// The same, with another configuration from then on.
    pub(crate) async fn killed_with(&self, change: impl FnOnce(&mut Config)) -> Self {
        self.copied(START_MS, change).await
    }

    /// The same, opened at that time.
    pub(crate) async fn killed_until(&self, now_ms: u64) -> Self {
        self.copied(now_ms, |_| {}).await
    }

    async fn copied(&self, now_ms: u64, change: impl FnOnce(&mut Config)) -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A commit or a new write-ahead log between the copies of the catalog's two files would make of them
        // what no kill leaves. Whoever writes waits; checkpoints need not, as the log has all that they move.
        let catalog = self.catalog();
        catalog.execute_batch("BEGIN IMMEDIATE").unwrap();
        copy(self.dir.path(), dir.path());
        catalog.execute_batch("ROLLBACK").unwrap();
        Self::open_in(dir, now_ms, change).await
    }

    /// A connection of its own to the catalog.
    pub(crate) fn catalog(&self) -> rusqlite::Connection {
        let path = self.dir.path().join("data/catalog.sqlite");
        let catalog = rusqlite::Connection::open(path).unwrap();
        catalog.busy_timeout(PATIENCE).unwrap();
        catalog
    }

    pub(crate) async fn call_as(
        &self,
        caller: Caller,
        method: Method,
        path: &str,
        body: Value,
    ) -> Reply {
        let bytes = if body.is_null() {
            Bytes::new()
        } else {
            Bytes::from(body.to_string())
        };
        let request = Request::builder()
            .method(&method)
            .uri(path)
            .body(bytes)
            .unwrap();
        let response = self.control.handle(caller, request).await;
        let body = match response.body().len() {
            0 => Value::Null,
            _ => serde_json::from_slice(response.body()).unwrap(),
        };
        let kind = response.headers().get("x-amzn-errortype");
        let reply = Reply {
            status: response.status().as_u16(),
            kind: kind.map_or(String::new(), |kind| kind.to_str().unwrap().to_owned()),
            body,
        };
        let uri = path.parse().unwrap();
        let api = ApiId::of(&method, &uri, &HeaderMap::new());
        let operation = api.operation(&method, &uri, &HeaderMap::new());
        if let (200..300, Some((operation, _))) = (reply.status, operation)
            && let Some(output) = operation.output()
        {
            conforms(output, &reply.body, operation.name());
        }
        reply
    }

    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> Reply {
        self.call_as(caller(), method, path, body).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.call(Method::GET, path, Value::Null).await
    }

    pub(crate) async fn create(&self, name: &str) -> Reply {
        self.create_with(name, |_| {}).await
    }

    pub(crate) async fn create_with(&self, name: &str, change: impl FnOnce(&mut Value)) -> Reply {
        let mut body = json!({
            "FunctionName": name,
            "Runtime": "python3.11",
            "Role": ROLE,
            "Handler": "app.handler",
            "Code": { "ZipFile": inline(name) },
        });
        change(&mut body);
        self.call(Method::POST, FUNCTIONS, body).await
    }

    pub(crate) async fn configuration(&self, name: &str) -> Value {
        self.get(&format!("{FUNCTIONS}/{name}/configuration"))
            .await
            .body
    }

    /// Waits as clients' waiters do.
    pub(crate) async fn settled(&self, name: &str) -> Value {
        until(|| async {
            let now = self.configuration(name).await;
            (now["State"] != "Pending" && now["LastUpdateStatus"] != "InProgress").then_some(now)
        })
        .await
    }

    pub(crate) async fn active(&self, name: &str) -> Value {
        let reply = self.create(name).await;
        assert_eq!(reply.status, 201, "{}", reply.body);
        self.settled(name).await
    }
}

/// Repeats a question until it has an answer.
pub(crate) async fn until<T, F: Future<Output = Option<T>>>(mut ask: impl FnMut() -> F) -> T {
    let asked = async {
        loop {
            if let Some(answer) = ask().await {
                return answer;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, asked)
        .await
        .expect("it never came to be")
}

pub(crate) fn caller() -> Caller {
    Caller {
        account: AccountId::default(),
        region: Region::default(),
    }
}

/// A package in base64, different for every text.
pub(crate) fn inline(text: &str) -> String {
    BASE64_STANDARD.encode(zip(text))
}

pub(crate) fn zip(text: &str) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    writer
        .start_file("app.py", zip::write::SimpleFileOptions::default())
        .unwrap();
    write!(
        writer,
        "# {text}\ndef handler(event, context):\n    return event\n"
    )
    .unwrap();
    writer.finish().unwrap().into_inner()
}

/// A package in base64 with one file of that many bytes, which is as small as a package may be for it.
pub(crate) fn big_zip(bytes: usize) -> String {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    writer.start_file("data", options).unwrap();
    // One byte in a hundred is no repetition.
    let mut seed = 1_u32;
    let block: Vec<u8> = (0..100 * 1024)
        .map(|index| {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if index % 100 == 0 {
                (seed >> 24) as u8
            } else {
                0
            }
        })
        .collect();
    for _ in 0..bytes / block.len() {
        writer.write_all(&block).unwrap();
    }
    writer.write_all(&vec![0; bytes % block.len()]).unwrap();
    BASE64_STANDARD.encode(writer.finish().unwrap().into_inner())
}

fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let Some(entries) = still_there(std::fs::read_dir(from)) else {
        return;
    };
    for entry in entries {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy(&entry.path(), &target),
            // The shared memory of the write-ahead log does not outlive its processes.
            false if entry.file_name().to_string_lossy().ends_with("-shm") => {}
            false => drop(still_there(std::fs::copy(entry.path(), target))),
        }
    }
}

/// Nothing, of what has been moved or removed since it was seen: no row of the catalog needs it yet, or any more.
fn still_there<T>(found: std::io::Result<T>) -> Option<T> {
    match found {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        found => Some(found.unwrap()),
    }
}

/// An answer has no member that the model does not know, and those of the right types.
fn conforms(shape: &Shape, value: &Value, path: &str) {
    match (&shape.kind, value) {
        (Type::Structure { members, .. }, Value::Object(fields)) => {
            for (name, value) in fields {
                let member = members
                    .iter()
                    .find(|member| {
                        member.location == Location::Body && member.location_name == *name
                    })
                    .unwrap_or_else(|| panic!("{path} has no {name}"));
                conforms(&member.shape, value, &format!("{path}.{name}"));
            }
        }
        (Type::List(element), Value::Array(values)) => {
            values
                .iter()
                .for_each(|value| conforms(element, value, path));
        }
        (Type::Map(_, element), Value::Object(fields)) => {
            fields
                .values()
                .for_each(|value| conforms(element, value, path));
        }
        (Type::String, Value::String(text)) => {
            // AWS answers a code here that its own model does not list.
            let unlisted = path.ends_with(".LastUpdateStatusReasonCode") && text == "Creating";
            let listed = shape.values.is_empty() || shape.values.contains(text);
            assert!(listed || unlisted, "{path}: {text}");
        }
        (Type::Integer | Type::Long | Type::Double | Type::Timestamp, Value::Number(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Structure { .. }, Value::Null) => {}
        (kind, value) => panic!("{path} is {kind:?}, not {value}"),
    }
}
