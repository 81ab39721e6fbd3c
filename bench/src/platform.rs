//! A platform of our own: the real `pilot up`, with a data directory that the run makes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::http::{Answer, Connection, request};
use crate::runtimes::Runtime;

/// Memory of the measured functions in MiB. CPU follows memory, and this is one processor, as on Lambda: with
/// less, the 99th percentile would show the quota's period instead of the start.
pub(crate) const MEMORY_MB: u32 = 1_769;
/// What it takes for 200 instances at a time and 500 versions with template and spare.
const INSTANCES: u64 = 2_000;
/// Slots in the pool unless something else is said.
const POOL_SIZE: u64 = 16;
/// Building runtime images the first time takes a while; a start without it takes well under a second.
const READY_PATIENCE: Duration = Duration::from_secs(600);
/// Longest wait until what is prepared in the background is there.
pub(crate) const SETTLE_PATIENCE: Duration = Duration::from_secs(60);
/// Lines of the platform's log that are shown at most.
const COMPLAINTS: usize = 20;
/// Between two looks.
const POLL: Duration = Duration::from_millis(4);
/// The kernel deletes the namespaces of what has ended a little after it has ended.
const REST: Duration = Duration::from_millis(20);

/// A running platform; stopped by SIGTERM when dropped.
#[derive(Debug)]
pub(crate) struct Platform {
    child: Child,
    pilot: PathBuf,
    address: String,
    data_dir: PathBuf,
    pool_size: u64,
}

impl Platform {
    /// Starts `pilot up` on a free port with `pool_size` slots in the pool and waits until it is ready.
    pub(crate) fn start(pilot: &Path, data_dir: &Path, pool_size: u64) -> anyhow::Result<Self> {
        Self::start_with(pilot, data_dir, pool_size, INSTANCES)
    }

    /// The same, with so many instances at a time, and as much that is kept for starts.
    pub(crate) fn start_with(
        pilot: &Path,
        data_dir: &Path,
        pool_size: u64,
        instances: u64,
    ) -> anyhow::Result<Self> {
        let configuration = configuration(pool_size, instances);
        Self::start_configured(pilot, data_dir, pool_size, &configuration)
    }

    /// One with the pool that platforms have, and that policy.
    pub(crate) fn start_deciding(
        pilot: &Path,
        data_dir: &Path,
        policy: &str,
    ) -> anyhow::Result<Self> {
        let mut configuration = configuration(POOL_SIZE, INSTANCES);
        configuration.push_str(&format!("[policy]\nname = \"{policy}\"\n"));
        Self::start_configured(pilot, data_dir, POOL_SIZE, &configuration)
    }

    /// The same, whose instances may be promised so much memory together.
    pub(crate) fn start_short(
        pilot: &Path,
        data_dir: &Path,
        policy: &str,
        memory_mb: u64,
    ) -> anyhow::Result<Self> {
        let configuration =
            format!("[limits]\nnode_memory_mb = {memory_mb}\n[policy]\nname = \"{policy}\"\n");
        Self::start_configured(pilot, data_dir, POOL_SIZE, &configuration)
    }

    fn start_configured(
        pilot: &Path,
        data_dir: &Path,
        pool_size: u64,
        configuration: &str,
    ) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let address = format!("127.0.0.1:{port}");
        let config = data_dir.join("bench.toml");
        std::fs::create_dir_all(data_dir)?;
        std::fs::write(&config, configuration)?;
        let log = std::fs::File::create(data_dir.join("pilot.log"))?;
        let child = Command::new(pilot)
            .args(["up", "--listen", &address, "--data-dir"])
            .arg(data_dir)
            .arg("--config")
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .with_context(|| format!("cannot run {}", pilot.display()))?;
        let mut platform = Self {
            child,
            pilot: pilot.to_owned(),
            address,
            data_dir: data_dir.to_owned(),
            pool_size,
        };
        platform.wait_ready()?;
        Ok(platform)
    }

    fn wait_ready(&mut self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < READY_PATIENCE {
            if let Some(status) = self.child.try_wait()? {
                bail!(
                    "pilot up ended with {status}; see {}",
                    self.data_dir.join("pilot.log").display()
                );
            }
            let ready = self
                .get("/pilotlight/v1/health")
                .is_ok_and(|answer| answer.status == 200);
            if ready {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        bail!("the platform was not ready after {READY_PATIENCE:?}")
    }

    /// `host:port` of the API.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Where the platform keeps its state.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Its process.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// A connection to the API.
    pub(crate) fn connect(&self) -> anyhow::Result<Connection> {
        Ok(Connection::open(&self.address)?)
    }

    fn get(&self, path: &str) -> anyhow::Result<Answer> {
        Ok(self.connect()?.call(&request("GET", path, &[], b""))?)
    }

    /// Deploys a folder through the command line and waits until it is Active.
    pub(crate) fn deploy(
        &self,
        runtime: &Runtime,
        folder: &Path,
        name: &str,
    ) -> anyhow::Result<()> {
        let status = Command::new(&self.pilot)
            .args(["deploy", "--endpoint", &format!("http://{}", self.address)])
            .args(["--name", name, "--memory", &MEMORY_MB.to_string()])
            .args(["--runtime", runtime.name, "--handler", runtime.handler])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(
            status.success(),
            "pilot deploy of {name} ended with {status}"
        );
        Ok(())
    }

    /// The same, of a function whose idle instances are reclaimed at once, so that every start of it finds the
    /// machine idle.
    pub(crate) fn deploy_cold(
        &self,
        runtime: &Runtime,
        folder: &Path,
        name: &str,
    ) -> anyhow::Result<()> {
        self.deploy(runtime, folder, name)?;
        let path = format!("/2017-03-31/tags/{}", arn(name));
        let tags = json!({ "Tags": { "pilotlight:keep-alive": "0" } }).to_string();
        let answer = self
            .connect()?
            .call(&request("POST", &path, &[], tags.as_bytes()))?;
        ensure!(answer.status < 300, "tagging answered {}", answer.status);
        // The template of what was tagged is made in the background; that of a deploy is there when it is Active.
        self.deploy(runtime, folder, name)
    }

    /// Shows what the platform warned of: its log goes with the run's files.
    fn complaints(&self) {
        let log = std::fs::read_to_string(self.data_dir.join("pilot.log")).unwrap_or_default();
        let warned = |line: &&str| line.contains("WARN") || line.contains("ERROR");
        for line in log.lines().filter(warned).take(COMPLAINTS) {
            eprintln!("{line}");
        }
    }

    /// What the node says of itself.
    pub(crate) fn node(&self) -> anyhow::Result<Value> {
        let mut body: Value = serde_json::from_slice(&self.get("/pilotlight/v1/nodes")?.body)?;
        let node = body.pointer_mut("/nodes/0").map(Value::take);
        node.context("no node in the answer")
    }

    /// Waits until the pool of slots is full, so that what follows starts from an idle platform.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        self.until("the pool of slots is full", |node| {
            node["slots"].as_u64() >= Some(self.pool_size)
        })
    }

    /// Waits until all that is kept for starts of that function is there, and nothing of it runs or idles.
    pub(crate) fn settle_forks(&self, runtime: &Runtime, function: &str) -> anyhow::Result<()> {
        let at_rest = |node: &Value| {
            let count = |key: &str| version(node, function)[key].as_u64();
            node["slots"].as_u64() >= Some(self.pool_size)
                && zygote_is_ready(node, runtime)
                && ["busy", "idle", "starting"].map(count) == [Some(0); 3]
                && ["spares", "berths"].map(count) == [Some(1); 2]
        };
        self.until("a berth and a spare are ready", at_rest)?;
        std::thread::sleep(REST);
        Ok(())
    }

    /// Waits until that holds of the node's status.
    pub(crate) fn until(&self, what: &str, holds: impl Fn(&Value) -> bool) -> anyhow::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < SETTLE_PATIENCE {
            if holds(&self.node()?) {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        bail!("in vain waited until {what}: {:#}", self.node()?)
    }
}

/// What that node has of a function's `$LATEST`.
pub(crate) fn version<'a>(node: &'a Value, function: &str) -> &'a Value {
    &node["versions"][format!("{}:$LATEST", arn(function))]
}

/// Memory is promised
/// beyond what the machine has: that of a fork is its template's for the most part.
fn configuration(pool_size: u64, instances: u64) -> String {
    format!(
        "node_name = \"bench\"\npool_size = {pool_size}\n\
         [limits]\nnode_memory_mb = 1000000\nnode_instances = {instances}\n"
    )
}

fn zygote_is_ready(node: &Value, runtime: &Runtime) -> bool {
    let zygotes = node["zygotes"].as_array();
    let ready = |it: &Value| it["runtime"] == runtime.name && it["berths"].as_u64() >= Some(1);
    zygotes.is_some_and(|all| all.iter().any(ready))
}

fn arn(function: &str) -> String {
    format!("arn:aws:lambda:us-east-1:123456789012:function:{function}")
}

impl Drop for Platform {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
        self.complaints();
    }
}
