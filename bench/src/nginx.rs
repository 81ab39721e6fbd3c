//! nginx serving one static answer: the yardstick for what this machine's HTTP can do.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::http::Connection;

/// A running nginx; ended when dropped.
#[derive(Debug)]
pub(crate) struct Nginx {
    child: Child,
    address: String,
}

impl Nginx {
    /// Starts nginx in `folder`, answering `body` to every request, with a worker per processor.
    pub(crate) fn start(folder: &Path, body: &str) -> anyhow::Result<Self> {
        let port = std::net::TcpListener::bind("127.0.0.1:0")?
            .local_addr()?
            .port();
        let address = format!("127.0.0.1:{port}");
        std::fs::create_dir_all(folder)?;
        let config = folder.join("nginx.conf");
        std::fs::write(
            &config,
            format!(
                "daemon off; worker_processes auto; pid {0}/pid; error_log {0}/error.log;\n\
                 events {{ worker_connections 1024; }}\n\
                 http {{ access_log off; keepalive_requests 1000000000; client_body_temp_path {0}/b;\n\
                 proxy_temp_path {0}/p; fastcgi_temp_path {0}/f; uwsgi_temp_path {0}/u; scgi_temp_path {0}/s;\n\
                 server {{ listen {address}; location / {{ default_type application/json; return 200 '{body}'; }} }} }}\n",
                folder.display()
            ),
        )?;
        let child = Command::new("nginx")
            .args(["-p"])
            .arg(folder)
            .arg("-c")
            .arg(&config)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run nginx (Debian package nginx-light)")?;
        let nginx = Self { child, address };
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(10) {
            if Connection::open(&nginx.address).is_ok() {
                return Ok(nginx);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        bail!(
            "nginx did not come up; see {}",
            folder.join("error.log").display()
        )
    }

    /// `host:port` that it answers on.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // SIGQUIT lets the master end its workers; SIGKILL would leave them behind.
        let pid = self.child.id().to_string();
        let _ = Command::new("kill").args(["-QUIT", &pid]).status();
        let _ = self.child.wait();
    }
}
