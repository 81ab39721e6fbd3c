//! Extensions that are tasks of the test.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper_util::rt::TokioIo;
use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox::{CompanionEnd, Exit};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{Mutex, mpsc};
use tokio::task::AbortHandle;

use super::{FakeLauncher, Marks, clock};
use crate::extensions::{Accompaniment, Companions};
use crate::launcher::Company;

/// What an extension does; it ends with that exit.
pub(in crate::tests) type ExtensionScript =
    Arc<dyn Fn(FakeExtension) -> BoxFuture<'static, Exit> + Send + Sync>;

/// Wraps an async function as an extension.
pub(in crate::tests) fn extension<F>(
    run: impl Fn(FakeExtension) -> F + Send + Sync + 'static,
) -> ExtensionScript
where
    F: Future<Output = Exit> + Send + 'static,
{
    Arc::new(move |extension| Box::pin(run(extension)))
}

/// The world as an extension sees it.
pub(in crate::tests) struct FakeExtension {
    pub(in crate::tests) name: String,
    pub(in crate::tests) env: Vec<String>,
    pub(in crate::tests) stdout: io::PipeWriter,
    pub(in crate::tests) api: ExtensionsApi,
}

/// A client of the Extensions API. Each request has a connection of its own.
#[derive(Clone)]
pub(in crate::tests) struct ExtensionsApi {
    address: SocketAddr,
    pub(in crate::tests) id: String,
}

/// An answer, if the instance lives.
pub(in crate::tests) type Answered = Option<(StatusCode, HeaderMap, Value)>;

impl FakeExtension {
    /// Registers for both events, and asks for the first.
    pub(in crate::tests) async fn register(&mut self) -> Value {
        let told = self.api.register(&self.name, &["INVOKE", "SHUTDOWN"]).await;
        let (status, headers, body) = told.unwrap();
        assert_eq!(status, StatusCode::OK, "{body}");
        self.api.id = headers["lambda-extension-identifier"]
            .to_str()
            .unwrap()
            .to_owned();
        body
    }

    pub(in crate::tests) fn print(&mut self, text: &str) {
        self.stdout.write_all(text.as_bytes()).unwrap();
    }

    /// Takes events until it is told to end.
    pub(in crate::tests) async fn follow(mut self) -> Exit {
        self.register().await;
        loop {
            if self.api.next().await["eventType"] == "SHUTDOWN" {
                return Exit::Code(0);
            }
        }
    }
}

impl ExtensionsApi {
    pub(in crate::tests) fn at(address: SocketAddr) -> Self {
        Self {
            address,
            id: String::new(),
        }
    }

    pub(in crate::tests) async fn call(
        &self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: impl Into<Bytes>,
    ) -> Answered {
        let stream = TcpStream::connect(self.address).await.ok()?;
        let handshake = hyper::client::conn::http1::handshake(TokioIo::new(stream));
        let (mut sender, connection) = handshake.await.ok()?;
        tokio::spawn(connection);
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !self.id.is_empty() {
            request = request.header("lambda-extension-identifier", &self.id);
        }
        let request = request.body(Full::new(body.into())).unwrap();
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = body.collect().await.ok()?.to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Some((head.status, head.headers, body))
    }

    pub(in crate::tests) async fn register(&self, name: &str, events: &[&str]) -> Answered {
        self.call(
            Method::POST,
            "/2020-01-01/extension/register",
            &[
                ("lambda-extension-name", name),
                ("lambda-extension-accept-feature", "accountId"),
            ],
            json!({ "events": events }).to_string(),
        )
        .await
    }

    /// Waits for an event for ever: an ended instance is the end of this task too.
    pub(in crate::tests) async fn next(&self) -> Value {
        let path = "/2020-01-01/extension/event/next";
        match self.call(Method::GET, path, &[], "").await {
            Some((StatusCode::OK, _, event)) => event,
            Some((status, _, body)) => panic!("{status} {body}"),
            None => std::future::pending().await,
        }
    }

    /// Says that it failed.
    pub(in crate::tests) async fn fail(&self, when: &str) -> StatusCode {
        let path = format!("/2020-01-01/extension/{when}/error");
        let headers = [("lambda-extension-function-error-type", "Extension.Own")];
        let answer = self.call(Method::POST, &path, &headers, "{}").await;
        answer.unwrap().0
    }
}

struct FakeCompanions {
    tasks: Vec<AbortHandle>,
    ends: Mutex<mpsc::UnboundedReceiver<(usize, CompanionEnd)>>,
}

impl Companions for FakeCompanions {
    fn next_end(&self) -> BoxFuture<'_, Option<(usize, CompanionEnd)>> {
        Box::pin(async { self.ends.lock().await.recv().await })
    }

    fn kill(&self, index: usize) {
        self.tasks[index].abort();
    }
}

impl Drop for FakeCompanions {
    fn drop(&mut self) {
        self.tasks.iter().for_each(AbortHandle::abort);
    }
}

impl FakeLauncher {
    /// Starts the extensions that there are.
    pub(super) fn accompany(
        &self,
        company: &Company,
        address: SocketAddr,
    ) -> Option<(Accompaniment, Marks)> {
        let extensions = self.extensions.lock().clone();
        if extensions.is_empty() {
            return None;
        }
        let env = |pair: &std::ffi::CString| pair.to_str().unwrap().to_owned();
        let (stdout, their_stdout) = io::pipe().unwrap();
        let (stderr, _) = io::pipe().unwrap();
        let (sender, ends) = mpsc::unbounded_channel();
        let start = |(index, (name, script)): (usize, &(String, ExtensionScript))| {
            let task = tokio::spawn(script(FakeExtension {
                name: name.clone(),
                env: company.env.iter().map(env).collect(),
                stdout: their_stdout.try_clone().unwrap(),
                api: ExtensionsApi::at(address),
            }));
            let abort = task.abort_handle();
            let sender = sender.clone();
            tokio::spawn(async move {
                let exit = task.await.unwrap_or_else(|error| {
                    assert!(error.is_cancelled(), "extension panicked");
                    Exit::Signal(9)
                });
                let _ = sender.send((index, CompanionEnd::Ended(exit)));
            });
            abort
        };
        let companions = FakeCompanions {
            tasks: extensions.iter().enumerate().map(start).collect(),
            ends: Mutex::new(ends),
        };
        let now = clock::now();
        let marks = Marks {
            cgroup: now,
            mounts: now,
            network: now,
            spawn: now,
        };
        let accompaniment = Accompaniment {
            names: extensions.iter().map(|(name, _)| name.clone()).collect(),
            stdout: stdout.as_fd().try_clone_to_owned().unwrap(),
            stderr: stderr.as_fd().try_clone_to_owned().unwrap(),
            companions: Arc::new(companions),
        };
        Some((accompaniment, marks))
    }
}
