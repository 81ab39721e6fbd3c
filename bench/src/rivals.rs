//! What we measure ourselves against, from the same root file system and program: `runc run`, and a
//! bare process without any isolation.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use crate::runtimes::Runtime;

const REQUEST_ID: &str = "00000000-0000-4000-8000-000000000000";
const PATIENCE: Duration = Duration::from_secs(30);
/// What every instance has in its environment, beside what is its runtime's own.
const ENVIRONMENT: [&str; 10] = [
    "PATH=/usr/local/bin:/usr/bin:/bin",
    "_PILOTLIGHT_RUNTIME_FD=0",
    "LAMBDA_TASK_ROOT=/var/task",
    "AWS_LAMBDA_FUNCTION_NAME=hello",
    "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=1769",
    "AWS_LAMBDA_LOG_GROUP_NAME=/aws/lambda/hello",
    "AWS_LAMBDA_LOG_STREAM_NAME=bench",
    "LANG=C.UTF-8",
    "TZ=:UTC",
];

/// A runtime image and a function's folder, mounted side by side for the rivals.
#[derive(Debug)]
pub(crate) struct RootFs {
    root: PathBuf,
    bundle: PathBuf,
}

impl RootFs {
    /// Mounts the runtime's image that `data_dir` holds and writes an OCI bundle for it, both in `folder`.
    pub(crate) fn mount(
        runtime: &Runtime,
        data_dir: &Path,
        code: &Path,
        folder: &Path,
    ) -> anyhow::Result<Self> {
        let image = data_dir
            .join("images")
            .join(format!("{}.erofs", runtime.image(data_dir)?));
        let root = folder.join("rootfs");
        std::fs::create_dir_all(&root)?;
        let status = Command::new("mount")
            .args(["-t", "erofs", "-o", "ro,nodev,nosuid"])
            .args([&image, &root])
            .status()?;
        ensure!(status.success(), "cannot mount {}", image.display());
        let this = Self {
            root,
            bundle: folder.join("bundle"),
        };
        std::fs::create_dir_all(&this.bundle)?;
        std::fs::write(
            this.bundle.join("config.json"),
            this.oci_config(runtime, code)?.to_string(),
        )?;
        Ok(this)
    }

    /// A container as our sandbox is: every namespace, no capability, read-only root, `/tmp` a tmpfs.
    fn oci_config(&self, runtime: &Runtime, code: &Path) -> anyhow::Result<Value> {
        let recipe = runtime.recipe()?;
        let mut env = recipe.env;
        env.push(format!("_HANDLER={}", runtime.handler));
        env.extend(ENVIRONMENT.map(str::to_owned));
        // runc wants a root in the container, even if the program is another user.
        let id_map = json!([{ "containerID": 0, "hostID": 300_000, "size": 1_000 }]);
        let namespaces: Vec<Value> = ["pid", "mount", "network", "ipc", "uts", "cgroup", "user"]
            .iter()
            .map(|kind| json!({ "type": kind }))
            .collect();
        Ok(json!({
            "ociVersion": "1.0.2",
            "root": { "path": self.root, "readonly": true },
            "hostname": "bench",
            "process": {
                "terminal": false, "cwd": "/var/task", "args": recipe.argv, "noNewPrivileges": true,
                "user": { "uid": 993, "gid": 990 },
                "env": env,
            },
            "mounts": [
                { "destination": "/proc", "type": "proc", "source": "proc" },
                { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=64k"] },
                { "destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "size=512m"] },
                { "destination": "/var/task", "type": "bind", "source": code, "options": ["rbind", "ro"] },
            ],
            "linux": {
                "namespaces": namespaces,
                "uidMappings": id_map, "gidMappings": id_map,
                "resources": { "memory": { "limit": 1_855_455_232u64 }, "pids": { "limit": 1024 } },
            },
        }))
    }

    /// `runc run` until the bootstrap has answered one request.
    pub(crate) fn runc(&self, id: &str) -> anyhow::Result<Duration> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_read_timeout(Some(PATIENCE))?;
        let begin = Instant::now();
        let mut child = Command::new("runc")
            .args(["run", "--detach", "--bundle"])
            .arg(&self.bundle)
            .arg(id)
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn()
            .context("cannot run runc (Debian package runc)")?;
        let answered = answer_one(&ours);
        let length = begin.elapsed();
        child.wait()?;
        Command::new("runc")
            .args(["delete", "--force", id])
            .status()?;
        answered.map(|()| length)
    }
}

impl Drop for RootFs {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.root).status();
    }
}

/// A process of this machine's interpreter (the same Debian package as in the image), without any
/// isolation, that imports what our bootstrap imports and ends. `flags` go before the program.
pub(crate) fn bare_python(flags: &[&str], imports: &str) -> anyhow::Result<Duration> {
    let begin = Instant::now();
    let status = Command::new("/usr/bin/python3.11")
        .args(flags)
        .args(["-c", imports])
        .env_clear()
        .stdin(Stdio::null())
        .status()?;
    let length = begin.elapsed();
    ensure!(status.success(), "bare python ended with {status}");
    Ok(length)
}

/// Plays the Runtime API for one invocation: the event on the first `next`, done at the `response`.
fn answer_one(stream: &UnixStream) -> anyhow::Result<()> {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        loop {
            let read = reader
                .read_line(&mut head)
                .context("the runtime closed its connection")?;
            ensure!(read > 0, "the runtime closed its connection");
            if head.ends_with("\r\n\r\n") {
                break;
            }
        }
        let length = head
            .lines()
            .find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length:")?
                    .trim()
                    .parse()
                    .ok()
            })
            .unwrap_or(0);
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let target = head.split(' ').nth(1).unwrap_or_default();
        if target.ends_with("/invocation/next") {
            let answer = format!(
                "HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: {REQUEST_ID}\r\n\
                 Lambda-Runtime-Deadline-Ms: 9999999999999\r\n\
                 Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:us-east-1:123456789012:function:hello\r\n\
                 Content-Type: application/json\r\nContent-Length: 2\r\n\r\n{{}}"
            );
            (&mut &*stream).write_all(answer.as_bytes())?;
        } else if target.ends_with(&format!("/invocation/{REQUEST_ID}/response")) {
            return Ok(());
        } else {
            bail!(
                "the runtime sent {target}: {}",
                String::from_utf8_lossy(&body)
            );
        }
    }
}
