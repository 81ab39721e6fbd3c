//! A control plane over a temporary directory, with a client that holds every answer against the service
//! model.

mod admission;
mod clock;
mod conforms;
mod files;
mod node;
mod packages;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Method, Request};
use pilotlight_control::{Clock, Config, Control};
use pilotlight_model::concurrency::Admit;
use pilotlight_model::node::{Api, Caller, Node};
use pilotlight_model::service::ApiId;
use pilotlight_model::{AccountId, Digest, Region, Runtime};
use pilotlight_store::Store;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::no_logs::NoLogs;
use conforms::conforms;
use files::copy;

pub(crate) use admission::FakeAdmission;
pub(crate) use clock::ManualClock;
pub(crate) use node::{FakeNode, POISON, ROOM};
pub(crate) use packages::{big_zip, inline, zip};

/// Longest wait for something that must happen.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) const ROLE: &str = "arn:aws:iam::123456789012:role/r";
pub(crate) const ARN: &str = "arn:aws:lambda:us-east-1:123456789012:function:";
pub(crate) const FUNCTIONS: &str = "/2015-03-31/functions";

/// Two thousand twenty-six, in milliseconds.
pub(crate) const START_MS: u64 = 1_767_323_045_678;

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
        let clock = Arc::new(ManualClock::at(now_ms));
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

    pub(crate) async fn delete(&self, path: &str) -> Reply {
        self.call(Method::DELETE, path, Value::Null).await
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
        function: None,
    }
}
