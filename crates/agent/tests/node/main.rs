//! The agent on the real thing: images of the store, sandboxes of this machine, and a custom runtime that
//! speaks the Runtime API over TCP. Needs root.
#![allow(
    clippy::unwrap_used,
    reason = "a test, which clippy does not see without the standard harness"
)]

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use pilotlight_agent::{Agent, Config, RuntimeImage};
use pilotlight_model::Runtime;
use pilotlight_model::function::{FunctionSpec, SnapStart, VersionKey};
use pilotlight_model::ids::{AccountId, Digest, Region, RequestId, Version};
use pilotlight_model::limits::Limits;
use pilotlight_model::logging::LogFormat;
use pilotlight_model::node::{InvokeReply, InvokeRequest, Node};
use pilotlight_model::start::{Cold, Instant, Phase, StartKind, Timeline};
use pilotlight_sandbox::Sandboxes;
use pilotlight_store::Store;

/// A node with a custom runtime and a function on it.
struct World {
    agent: Agent,
    sandboxes: Sandboxes,
    spec: FunctionSpec,
    empty: Digest,
    layer: Digest,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::open(&folder.path().join("store")).unwrap());
        let publish = |make: fn(&Path)| {
            let tree = tempfile::tempdir().unwrap();
            make(tree.path());
            store.publish_tree(tree.path()).unwrap().digest
        };
        let runtime = RuntimeImage {
            runtime: Runtime::ProvidedAl2023,
            digest: publish(runtime_tree),
            argv: vec!["/var/task/bootstrap".to_owned()],
            env: BTreeMap::new(),
            compile: None,
            zygote: false,
            version_label: "provided:al2023.v1".to_owned(),
        };
        let code = publish(code_tree);
        let empty = publish(|_| ());
        let layer = publish(layer_tree);
        let sandboxes = Sandboxes::start(sandbox_config()).await.unwrap();
        let config = Config {
            node: "node".to_owned(),
            data_dir: folder.path().to_owned(),
            limits: Limits::default(),
            resolv_conf: "/etc/resolv.conf".into(),
            policy: None,
            event_log: None,
        };
        let runtimes = [(runtime.runtime, runtime)].into();
        let agent = Agent::start(config, store, runtimes, sandboxes.clone(), None).unwrap();
        Self {
            agent,
            sandboxes,
            spec: spec(code),
            empty,
            layer,
            _folder: folder,
        }
    }

    async fn invoke(&self, spec: &FunctionSpec, event: &str) -> InvokeReply {
        self.agent.invoke(request(spec, event)).await.unwrap()
    }

    /// Waits until an instance is idle, so that the next request has to find it.
    async fn idle(&self) {
        while self
            .agent
            .status()
            .versions
            .values()
            .all(|counts| counts.idle == 0)
        {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    async fn end(self) {
        self.agent.drain(Duration::from_secs(5)).await;
        self.sandboxes.shutdown().await;
    }
}

fn sandbox_config() -> pilotlight_sandbox::Config {
    pilotlight_sandbox::Config {
        pool_size: 2,
        uid_base: 1_910_000_000,
        subnet: (Ipv4Addr::new(100, 96, 0, 0), 16),
        // A second run on this machine must not take this one for its own leftovers.
        ..pilotlight_sandbox::Config::new(format!("agent-test-{}", std::process::id()))
    }
}

fn runtime_tree(root: &Path) {
    for folder in ["var/task", "opt", "tmp", "proc", "dev", "etc"] {
        std::fs::create_dir_all(root.join(folder)).unwrap();
    }
    std::fs::write(root.join("etc/resolv.conf"), "").unwrap();
}

fn code_tree(root: &Path) {
    compile("bootstrap.c", &root.join("bootstrap"));
}

fn layer_tree(root: &Path) {
    std::fs::create_dir(root.join("extensions")).unwrap();
    compile("extension.c", &root.join("extensions/follower"));
}

fn compile(source: &str, program: &Path) {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/node");
    let built = Command::new("cc")
        .args(["-static", "-O1", "-D_GNU_SOURCE", "-o"])
        .arg(program)
        .arg(Path::new(folder).join(source))
        .status()
        .unwrap();
    assert!(built.success());
}

fn spec(code: Digest) -> FunctionSpec {
    FunctionSpec {
        key: VersionKey {
            account: AccountId::default(),
            region: Region::default(),
            name: "f".parse().unwrap(),
            version: Version::Latest,
        },
        revision: 1,
        runtime: Runtime::ProvidedAl2023.into(),
        handler: "bootstrap".to_owned(),
        code,
        layers: Vec::new(),
        environment: [("COLOUR".to_owned(), "blue".to_owned())].into(),
        memory_mb: 128,
        timeout: Duration::from_secs(2),
        ephemeral_storage_mb: 512,
        keep_alive: None,
        log_group: "/aws/lambda/f".to_owned(),
        log_format: LogFormat::Text,
        live_code: None,
        snap_start: SnapStart::Auto,
    }
}

fn request(spec: &FunctionSpec, event: &str) -> InvokeRequest {
    InvokeRequest {
        spec: Arc::new(spec.clone()),
        request_id: RequestId::new(),
        invoked_arn: spec.key.function_arn(),
        payload: Bytes::copy_from_slice(event.as_bytes()),
        client_context: None,
        trace_id: "Root=1".to_owned(),
        cause: None,
        log_tail: true,
        cold: None,
        stream: None,
        timeline: Timeline::begin(Instant(pilotlight_sandbox::monotonic_now())),
        at_ms: 0,
    }
}

fn error_type(reply: &InvokeReply) -> String {
    assert_eq!(
        reply.function_error,
        Some("Unhandled"),
        "{:?}",
        reply.payload
    );
    let payload: serde_json::Value = serde_json::from_slice(&reply.payload).unwrap();
    payload["errorType"].as_str().unwrap().to_owned()
}

fn main() {
    pilotlight_sandbox::launcher_main_if_asked();
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = vec![libtest_mimic::Trial::test(
        "a_custom_runtime_in_a_real_sandbox",
        || {
            let runtime = tokio::runtime::Runtime::new().unwrap();
            runtime.block_on(story());
            Ok(())
        },
    )];
    libtest_mimic::run(&arguments, trials).exit();
}

/// One world for all of it, because its network is the machine's.
async fn story() {
    let world = World::new().await;
    cold_and_warm(&world).await;
    failures(&world).await;
    extensions(&world).await;
    at_once(&world).await;
    world.end().await;
}

async fn cold_and_warm(world: &World) {
    world
        .agent
        .prepare(Arc::new(world.spec.clone()))
        .await
        .unwrap();
    // Its connection to the Runtime API was made anew, and it goes on where its template waited.
    let spare = world.invoke(&world.spec, "none").await;
    assert_eq!(
        (&spare.payload[..], spare.kind),
        (&b"none"[..], StartKind::Spare)
    );
    let mut booted = request(&world.spec, "one");
    booted.cold = Some(Cold::Kind(StartKind::Booted));
    let cold = world.agent.invoke(booted).await.unwrap();
    assert_eq!(
        (&cold.payload[..], cold.kind),
        (&b"one"[..], StartKind::Booted)
    );
    let phases: Vec<Phase> = cold
        .timeline
        .phases()
        .iter()
        .map(|(phase, _)| *phase)
        .collect();
    for phase in [
        Phase::Slot,
        Phase::Cgroup,
        Phase::Mounts,
        Phase::Network,
        Phase::Spawn,
        Phase::UserInit,
    ] {
        assert!(phases.contains(&phase), "{phase} in {phases:?}");
    }
    world.idle().await;
    let warm = world.invoke(&world.spec, "pword").await;
    assert_eq!(warm.kind, StartKind::Warm);
    let tail = String::from_utf8(warm.log_tail.unwrap()).unwrap();
    assert!(tail.contains("\nprinted word\nEND RequestId"), "{tail}");
    assert!(
        !tail.contains("Max Memory Used: 1 MB") || tail.contains("Memory Size: 128 MB"),
        "{tail}"
    );
    assert_eq!(
        &world.invoke(&world.spec, "vCOLOUR").await.payload[..],
        b"blue"
    );
}

async fn failures(world: &World) {
    assert_eq!(
        error_type(&world.invoke(&world.spec, "s").await),
        "Sandbox.Timedout"
    );
    assert_eq!(
        error_type(&world.invoke(&world.spec, "x").await),
        "Runtime.ExitError"
    );
    assert_eq!(
        error_type(&world.invoke(&world.spec, "d").await),
        "Runtime.ExitError"
    );
    // With a fraction of a processor, filling the memory takes a while.
    let mut patient = world.spec.clone();
    patient.timeout = Duration::from_secs(30);
    assert_eq!(
        error_type(&world.invoke(&patient, "m").await),
        "Runtime.OutOfMemory"
    );
    let mut missing = world.spec.clone();
    missing.key.name = "missing".parse().unwrap();
    missing.code = world.empty.clone();
    assert_eq!(
        error_type(&world.invoke(&missing, "1").await),
        "Runtime.InvalidEntrypoint"
    );
    // The node is as good as new.
    assert_eq!(
        &world.invoke(&world.spec, "again").await.payload[..],
        b"again"
    );
}

/// Beside a runtime that makes its own connection: such a version boots.
async fn extensions(world: &World) {
    let mut spec = world.spec.clone();
    spec.key.name = "extended".parse().unwrap();
    spec.log_group = "extended".to_owned();
    spec.layers = vec![world.layer.clone()];
    world.agent.prepare(Arc::new(spec.clone())).await.unwrap();
    assert_eq!(world.agent.status().ladder.refusals["extensions"], 1);
    for event in ["pone", "ptwo"] {
        assert_eq!(world.invoke(&spec, event).await.function_error, None);
    }
    let mut booted = request(&spec, "three");
    booted.cold = Some(Cold::Kind(StartKind::Booted));
    let cold = world.agent.invoke(booted).await.unwrap();
    assert_eq!(&cold.payload[..], b"three");
    let phases = cold.timeline.phases();
    assert!(
        phases.iter().any(|(phase, _)| *phase == Phase::Extensions),
        "{phases:?}"
    );
    world.agent.retire(&spec.key);
    let count = |log: &[String], wanted: &str| {
        let lines = log.iter().filter(|line| line.starts_with(wanted));
        lines.count()
    };
    let log = loop {
        let (account, region) = (AccountId::default(), Region::default());
        let log = world
            .agent
            .read_logs(&account, &region, "extended", 0, 1_000)
            .await;
        let log: Vec<String> = log.unwrap().into_iter().map(|line| line.message).collect();
        // A request that came before the extension was done may have ordered an instance of its own.
        let registered = count(&log, "follower: registered");
        if registered >= 2 && registered == count(&log, "follower: shutdown") {
            break log;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    assert_eq!(count(&log, "follower: invoke"), 3, "{log:#?}");
    let ready = "EXTENSION\tName: follower\tState: Ready\tEvents: [INVOKE,SHUTDOWN]";
    assert!(count(&log, ready) >= 2, "{log:#?}");
}

async fn at_once(world: &World) {
    let calls: Vec<_> = (0..12)
        .map(|number| {
            let (agent, request) = (
                world.agent.clone(),
                request(&world.spec, &format!("number {number}")),
            );
            tokio::spawn(async move { agent.invoke(request).await })
        })
        .collect();
    for (number, call) in calls.into_iter().enumerate() {
        assert_eq!(
            call.await.unwrap().unwrap().payload,
            format!("number {number}")
        );
    }
}
