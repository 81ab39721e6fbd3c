//! The agent as a whole, on runtimes that live in this process: everything but the kernel is real.

mod compiling;
mod event_log;
mod extensions;
mod fairness;
mod fake;
mod hostile;
mod inits;
mod invocations;
mod ladder;
mod limits;
mod logging;
mod orders;
mod streaming;
mod telemetry;
mod why;

use std::cell::RefCell;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pilotlight_model::Runtime;
use pilotlight_model::function::{FunctionSpec, SnapStart, VersionKey};
use pilotlight_model::ids::{AccountId, Digest, Region, RequestId, Version};
use pilotlight_model::limits::Limits;
use pilotlight_model::logging::LogFormat;
use pilotlight_model::node::{InvokeReply, InvokeRequest, Node, NodeError};
use pilotlight_model::start::Timeline;
use pilotlight_policy::Policy;
use serde_json::Value;

use crate::EventLogConfig;
use crate::agent::Agent;
use crate::config::Config;
use crate::launcher::Launcher;
use crate::runtime::RuntimeImage;
use fake::{FakeLauncher, Script};

/// Longest wait until something holds.
const PATIENCE: Duration = Duration::from_secs(120);

/// An agent on fake runtimes, with a data folder of its own.
struct World {
    agent: Agent,
    launcher: Arc<FakeLauncher>,
    folder: Folder,
}

/// A data folder. It goes when the test's thread ends: its node ends with the test's runtime, and writes until then.
struct Folder(Option<tempfile::TempDir>);

thread_local! {
    static DONE: RefCell<Vec<tempfile::TempDir>> = const { RefCell::new(Vec::new()) };
}

impl Folder {
    fn new() -> Self {
        Self(Some(tempfile::tempdir().unwrap()))
    }

    fn path(&self) -> &std::path::Path {
        self.0.as_ref().unwrap().path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        DONE.with_borrow_mut(|done| done.extend(self.0.take()));
    }
}

/// What the node decides by, and where that is written down.
#[derive(Default)]
struct Deciding {
    policy: Option<String>,
    event_log: Option<EventLogConfig>,
    /// Takes the place of the one that is named.
    scripted: Option<Box<dyn Policy>>,
}

impl World {
    /// Every runtime runs that script.
    fn new(script: Script) -> Self {
        Self::with_limits(script, Limits::default())
    }

    fn with_limits(script: Script, limits: Limits) -> Self {
        Self::on(FakeLauncher::new(script), limits, Folder::new())
    }

    fn on(launcher: FakeLauncher, limits: Limits, folder: Folder) -> Self {
        Self::deciding(launcher, limits, folder, Deciding::default())
    }

    fn deciding(
        launcher: FakeLauncher,
        mut limits: Limits,
        folder: Folder,
        deciding: Deciding,
    ) -> Self {
        if limits.node_memory_mb == 0 {
            limits.node_memory_mb = 4096;
        }
        let config = Config {
            node: "node".to_owned(),
            data_dir: folder.path().to_owned(),
            limits,
            resolv_conf: "/etc/resolv.conf".into(),
            policy: deciding.policy,
            event_log: deciding.event_log,
        };
        let launcher = Arc::new(launcher);
        let runtimes = Runtime::ALL.map(|runtime| (runtime, image(runtime))).into();
        let on: Arc<dyn Launcher> = Arc::new(Arc::clone(&launcher));
        let agent = match deciding.scripted {
            Some(policy) => Agent::with_policy(&config, runtimes, on, None, policy),
            None => Agent::with_launcher(&config, runtimes, on, None),
        };
        let agent = agent.unwrap();
        Self {
            agent,
            launcher,
            folder,
        }
    }

    async fn invoke(&self, spec: &Arc<FunctionSpec>, payload: &str) -> InvokeReply {
        self.try_invoke(request(spec, payload)).await.unwrap()
    }

    async fn try_invoke(&self, request: InvokeRequest) -> Result<InvokeReply, NodeError> {
        self.agent.invoke(request).await
    }

    /// Invokes in a task of its own.
    fn start_invoke(
        &self,
        request: InvokeRequest,
    ) -> tokio::task::JoinHandle<Result<InvokeReply, NodeError>> {
        let agent = self.agent.clone();
        tokio::spawn(async move { agent.invoke(request).await })
    }

    /// The messages of the function's log.
    async fn log(&self) -> Vec<String> {
        self.log_of("/aws/lambda/f").await
    }

    async fn log_of(&self, group: &str) -> Vec<String> {
        let (account, region) = (AccountId::default(), Region::default());
        let lines = self
            .agent
            .read_logs(&account, &region, group, 0, 10_000)
            .await;
        lines
            .unwrap()
            .into_iter()
            .map(|line| line.message)
            .collect()
    }

    /// What the node counts for the function: starting, idle, busy.
    fn counts(&self) -> (u32, u32, u32) {
        let status = self.agent.status();
        status.versions.values().fold((0, 0, 0), |sum, counts| {
            (
                sum.0 + counts.starting,
                sum.1 + counts.idle,
                sum.2 + counts.busy,
            )
        })
    }

    /// Waits until an instance is idle. A runtime asks for more when it gets round to it, and a request that comes long
    /// before may start another instance.
    async fn idle(&self) {
        self.until(|world| world.counts().1 > 0).await;
    }

    /// Waits until the condition holds. Where the clock is paused, so is the limit, which is over as soon as nothing that
    /// tokio knows of is left to do.
    async fn until(&self, mut holds: impl FnMut(&Self) -> bool) {
        let held = tokio::time::timeout(PATIENCE, async {
            while !holds(self) {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
        held.await.expect("it comes to hold");
    }
}

pub(crate) fn image(runtime: Runtime) -> RuntimeImage {
    RuntimeImage {
        runtime,
        digest: digest('1'),
        argv: vec!["/var/runtime/bootstrap".to_owned()],
        env: [("PYTHONPATH".to_owned(), "/var/runtime".to_owned())].into(),
        zygote: runtime == Runtime::Python311,
        compile: Some(vec!["/usr/bin/compile".to_owned()]),
        version_label: "python:3.11.v1".to_owned(),
    }
}

fn digest(character: char) -> Digest {
    character.to_string().repeat(64).parse().unwrap()
}

pub(crate) fn spec() -> FunctionSpec {
    FunctionSpec {
        key: VersionKey {
            account: AccountId::default(),
            region: Region::default(),
            name: "f".parse().unwrap(),
            version: Version::Latest,
        },
        revision: 1,
        runtime: Runtime::Python311.into(),
        handler: "app.handler".to_owned(),
        code: digest('2'),
        layers: Vec::new(),
        environment: [("COLOUR".to_owned(), "blue".to_owned())].into(),
        memory_mb: 128,
        timeout: Duration::from_secs(3),
        ephemeral_storage_mb: 512,
        keep_alive: None,
        log_group: "/aws/lambda/f".to_owned(),
        log_format: LogFormat::Text,
        live_code: None,
        snap_start: SnapStart::None,
    }
}

pub(crate) fn request(spec: &Arc<FunctionSpec>, payload: &str) -> InvokeRequest {
    InvokeRequest {
        spec: Arc::clone(spec),
        request_id: RequestId::new(),
        invoked_arn: spec.key.function_arn(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        client_context: None,
        trace_id: "Root=1-2-3".to_owned(),
        cause: None,
        log_tail: false,
        cold: None,
        stream: None,
        timeline: Timeline::begin(crate::clock::now()),
        at_ms: crate::clock::unix_ms(),
    }
}

fn json(bytes: &[u8]) -> Value {
    serde_json::from_slice(bytes).unwrap()
}
