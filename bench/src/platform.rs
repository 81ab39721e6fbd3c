//! A platform of our own: the real `pilot up`, with a data directory that the run makes.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::Value;

use crate::http::{Answer, Connection, request};

/// Building runtime images the first time takes a while; a start without it takes well under a second.
const READY_PATIENCE: Duration = Duration::from_secs(600);

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
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let address = format!("127.0.0.1:{port}");
        let config = data_dir.join("bench.toml");
        std::fs::create_dir_all(data_dir)?;
        std::fs::write(&config, format!("pool_size = {pool_size}\n"))?;
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

    /// One GET on a connection of its own.
    pub(crate) fn get(&self, path: &str) -> anyhow::Result<Answer> {
        Ok(Connection::open(&self.address)?.call(&request("GET", path, &[], b""))?)
    }

    /// Deploys a folder through the command line and waits until it is Active.
    pub(crate) fn deploy(&self, folder: &Path, name: &str) -> anyhow::Result<()> {
        let status = Command::new(&self.pilot)
            .args([
                "deploy",
                "--endpoint",
                &format!("http://{}", self.address),
                "--name",
                name,
            ])
            .arg(folder)
            .stdout(Stdio::null())
            .status()?;
        ensure!(status.success(), "pilot deploy ended with {status}");
        Ok(())
    }

    /// Waits until the pool of slots is full, so that what follows starts from an idle platform.
    pub(crate) fn settle(&self) -> anyhow::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(30) {
            let answer = self.get("/pilotlight/v1/nodes")?;
            let body: Value = serde_json::from_slice(&answer.body)?;
            let slots = body.pointer("/nodes/0/slots").and_then(Value::as_u64);
            if slots.context("no slots in the node's status")? >= self.pool_size {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        bail!("the pool of slots did not fill")
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        let pid = self.child.id().to_string();
        let asked = Command::new("kill").args(["-TERM", &pid]).status();
        if !asked.is_ok_and(|status| status.success()) {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}
