//! Bringing batches to one subscriber: a listener inside the instance's network, which is trusted with nothing. Every
//! wait has an end, and what it answers is read to a limit and not looked at.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use pilotlight_sandbox::network::NetNs;
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::task::AbortOnDropHandle;

use super::Subscription;
use super::buffer::Buffer;
use super::subscription::Destination;
use crate::clock;
use crate::platform_events::envelope;

/// How long one batch may take to be taken.
const PATIENCE: Duration = Duration::from_secs(5);
/// Attempts at one batch. A listener may not be there yet when its owner subscribes.
const ATTEMPTS: u32 = 5;
/// Pause before the second; each is twice the one before.
const PAUSE: Duration = Duration::from_millis(50);
/// Bytes of an answer.
const ANSWER_BYTES: usize = 64 * 1024;
/// Bytes of an answer's head.
const HEAD_BYTES: usize = 16 * 1024;
/// Why events are lost, in Lambda's words.
const FALLEN_BEHIND: &str =
    "Consumer seems to have fallen behind as it has not acknowledged receipt of logs.";

/// What one subscriber is sent. Dropping it ends that.
pub(super) struct Delivery {
    shared: Arc<Shared>,
    _task: AbortOnDropHandle<()>,
}

struct Shared {
    /// Locked to put an event or to take a batch.
    buffer: Mutex<Buffer>,
    changed: Notify,
}

impl Delivery {
    pub(super) fn start(subscription: &Subscription, inside: Arc<NetNs>) -> Self {
        let shared = Arc::new(Shared {
            buffer: Mutex::new(Buffer::new(subscription.buffering)),
            changed: Notify::new(),
        });
        let courier = Courier {
            shared: Arc::clone(&shared),
            destination: subscription.destination.clone(),
            inside,
            line: None,
        };
        Self {
            shared,
            _task: AbortOnDropHandle::new(tokio::spawn(courier.run())),
        }
    }

    /// Keeps an event for the next batch.
    pub(super) fn push(&self, json: String, alone: bool) {
        self.shared.buffer.lock().push(json, alone, Instant::now());
        self.shared.changed.notify_one();
    }

    /// From now on everything is sent at once.
    pub(super) fn flush(&self) {
        self.shared.buffer.lock().flush();
        self.shared.changed.notify_one();
    }
}

/// An open connection.
enum Line {
    Http(SendRequest<Full<Bytes>>),
    Tcp(TcpStream),
}

struct Courier {
    shared: Arc<Shared>,
    destination: Destination,
    inside: Arc<NetNs>,
    line: Option<Line>,
}

impl Courier {
    async fn run(mut self) {
        loop {
            let due = self.shared.buffer.lock().due(Instant::now());
            match due {
                None => self.shared.changed.notified().await,
                Some(Duration::ZERO) => self.bring_one().await,
                Some(due) => {
                    let _ = timeout(due, self.shared.changed.notified()).await;
                }
            }
        }
    }

    /// Brings one batch, or counts it as lost.
    async fn bring_one(&mut self) {
        let batch = self.shared.buffer.lock().take();
        let body = self.encode(&batch);
        let mut pause = PAUSE;
        for attempt in 1..=ATTEMPTS {
            if timeout(PATIENCE, self.send(body.clone())).await == Ok(Some(())) {
                self.tell_of_losses();
                return;
            }
            self.line = None;
            if attempt < ATTEMPTS {
                sleep(pause).await;
                pause *= 2;
            }
        }
        let mut buffer = self.shared.buffer.lock();
        for lost in batch {
            buffer.drop_one(lost.len());
        }
    }

    /// The subscriber hears again: it is told of what it missed.
    fn tell_of_losses(&self) {
        let mut buffer = self.shared.buffer.lock();
        if let Some(dropped) = buffer.take_dropped() {
            let record = json!({
                "reason": FALLEN_BEHIND,
                "droppedRecords": dropped.records,
                "droppedBytes": dropped.bytes,
            });
            let event = envelope(clock::utc(), "platform.logsDropped", record);
            buffer.push(event.to_string(), false, Instant::now());
        }
    }

    fn encode(&self, batch: &[String]) -> Bytes {
        match &self.destination {
            Destination::Http { .. } => format!("[{}]", batch.join(",")).into(),
            Destination::Tcp { .. } => (batch.join("\n") + "\n").into(),
        }
    }

    async fn send(&mut self, body: Bytes) -> Option<()> {
        let mut line = match self.line.take() {
            Some(line) => line,
            None => self.connect().await?,
        };
        match (&mut line, &self.destination) {
            (Line::Http(sender), Destination::Http { port, path }) => {
                let request = Request::post(path)
                    .header(header::HOST, format!("sandbox.localdomain:{port}"))
                    .header(header::CONTENT_TYPE, "application/json")
                    .body(Full::new(body))
                    .ok()?;
                sender.ready().await.ok()?;
                let answer = sender.send_request(request).await.ok()?;
                // What it does not like it will not like the next time either.
                let again = answer.status().is_server_error();
                let read = Limited::new(answer.into_body(), ANSWER_BYTES)
                    .collect()
                    .await;
                if again {
                    return None;
                }
                if read.is_ok() {
                    self.line = Some(line);
                }
            }
            (Line::Tcp(stream), _) => {
                stream.write_all(&body).await.ok()?;
                self.line = Some(line);
            }
            (Line::Http(_), Destination::Tcp { .. }) => {}
        }
        Some(())
    }

    /// A connection to the port, from within the instance's network: there is no other that it could lead to.
    async fn connect(&self) -> Option<Line> {
        let inside = Arc::clone(&self.inside);
        let socket = tokio::task::spawn_blocking(move || inside.enter(TcpSocket::new_v4));
        let socket = socket.await.ok()?.ok()?.ok()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, self.destination.port()));
        let stream = socket.connect(address).await.ok()?;
        // Batches are whole, and each is waited for.
        let _ = stream.set_nodelay(true);
        match self.destination {
            Destination::Tcp { .. } => Some(Line::Tcp(stream)),
            Destination::Http { .. } => {
                let mut client = http1::Builder::new();
                client.max_buf_size(HEAD_BYTES);
                let (sender, connection) = client.handshake(TokioIo::new(stream)).await.ok()?;
                // It ends with its sender, or with the listener.
                tokio::spawn(connection);
                Some(Line::Http(sender))
            }
        }
    }
}
