//! What a fake process has: its environment, its outputs, and the Runtime API.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1::SendRequest;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use tokio::net::{TcpStream, UnixStream};

use super::program::Position;

/// The world as a process sees it.
pub(in crate::tests) struct FakeRuntime {
    /// Counts launches from 0.
    pub(in crate::tests) number: usize,
    pub(in crate::tests) env: Vec<String>,
    pub(in crate::tests) stdout: io::PipeWriter,
    pub(in crate::tests) stderr: io::PipeWriter,
    pub(in crate::tests) oom_kills: Arc<AtomicU64>,
    /// Where a fork goes on.
    pub(in crate::tests) position: Option<Position>,
    /// Where the process stands, for those who freeze it.
    pub(super) state: Arc<Mutex<Frozen>>,
    pub(super) socket: Option<OwnedFd>,
    /// Where the Runtime API listens in its sandbox.
    pub(super) api_address: SocketAddr,
}

/// What a process is when it is frozen.
#[derive(Debug, Clone, Default)]
pub(in crate::tests) struct Frozen {
    /// The request that it waits for, if it does.
    pub(super) position: Option<Position>,
    pub(super) env: Vec<String>,
}

impl FakeRuntime {
    /// The inherited connection, as it is.
    pub(in crate::tests) fn socket(&mut self) -> UnixStream {
        let socket: std::os::unix::net::UnixStream = self
            .socket
            .take()
            .expect("the request socket is taken once")
            .into();
        socket.set_nonblocking(true).unwrap();
        UnixStream::from_std(socket).unwrap()
    }

    /// Whether a connection was inherited.
    pub(in crate::tests) fn inherits(&self) -> bool {
        self.socket.is_some()
    }

    /// The Extensions API, for what the runtime's own process registers.
    pub(in crate::tests) fn extensions(&self) -> super::companions::ExtensionsApi {
        super::companions::ExtensionsApi::at(self.api_address)
    }

    /// A connection of its own, as a runtime makes it that inherits none.
    pub(in crate::tests) async fn connect(&self) -> TcpStream {
        TcpStream::connect(self.api_address).await.unwrap()
    }

    /// The Runtime API over the inherited connection.
    pub(in crate::tests) async fn api(&mut self) -> Api {
        let (sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(self.socket()))
                .await
                .unwrap();
        tokio::spawn(connection);
        Api { sender }
    }

    pub(in crate::tests) fn print(&mut self, text: &str) {
        self.stdout.write_all(text.as_bytes()).unwrap();
    }
}

/// A client of the Runtime API.
pub(in crate::tests) struct Api {
    sender: SendRequest<Full<Bytes>>,
}

/// An event as the runtime got it.
pub(in crate::tests) struct FakeEvent {
    pub(in crate::tests) id: String,
    pub(in crate::tests) headers: http::HeaderMap,
    pub(in crate::tests) body: Bytes,
}

impl Api {
    pub(in crate::tests) async fn call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> Response<Bytes> {
        self.try_call(method, path, headers, body)
            .await
            .expect("the instance lives")
    }

    pub(in crate::tests) async fn try_call(
        &mut self,
        method: Method,
        path: &str,
        headers: &[(&str, &str)],
        body: Bytes,
    ) -> hyper::Result<Response<Bytes>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/2018-06-01/runtime/{path}"))
            .header("host", "127.0.0.1:9001");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.sender.ready().await?;
        let response = self
            .sender
            .send_request(request.body(Full::new(body)).unwrap())
            .await?;
        let (head, body) = response.into_parts();
        Ok(Response::from_parts(head, body.collect().await?.to_bytes()))
    }

    pub(in crate::tests) async fn next(&mut self) -> FakeEvent {
        self.next_with(&[]).await
    }

    /// Waits for an event for ever: an ended instance is the end of this task too.
    pub(in crate::tests) async fn next_with(&mut self, headers: &[(&str, &str)]) -> FakeEvent {
        let answer = self
            .try_call(Method::GET, "invocation/next", headers, Bytes::new())
            .await;
        let Ok(answer) = answer else {
            return std::future::pending().await;
        };
        assert_eq!(answer.status(), StatusCode::OK);
        let id = answer.headers()["lambda-runtime-aws-request-id"]
            .to_str()
            .unwrap()
            .to_owned();
        FakeEvent {
            id,
            headers: answer.headers().clone(),
            body: answer.into_body(),
        }
    }

    pub(in crate::tests) async fn respond(
        &mut self,
        id: &str,
        body: impl Into<Bytes>,
    ) -> StatusCode {
        let path = format!("invocation/{id}/response");
        self.call(Method::POST, &path, &[], body.into())
            .await
            .status()
    }

    pub(in crate::tests) async fn fail(&mut self, id: &str, body: &str) -> StatusCode {
        let path = format!("invocation/{id}/error");
        let body = Bytes::copy_from_slice(body.as_bytes());
        self.call(Method::POST, &path, &[], body).await.status()
    }

    /// Answers every event with itself.
    pub(in crate::tests) async fn echo(&mut self) -> ! {
        loop {
            let event = self.next().await;
            self.respond(&event.id, event.body).await;
        }
    }
}
