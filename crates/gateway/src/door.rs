//! The front door: accepts connections, serves HTTP/1.1 on each, and closes in good order.

pub(crate) mod inner;
pub(crate) mod wire;

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use prometheus_client::metrics::gauge::Gauge;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::clock::monotonic_now;
use crate::config::Config;
use crate::front::Gateway;
use inner::Inside;
use wire::{Stamped, Wire};

/// Pause after an accept that failed for want of descriptors or memory, which others must give back.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is buffered of a function's connection, each way.
const INNER_BUFFER: usize = 64 * 1024;

/// How serving ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut off because the drain's deadline passed.
    pub cut_off: usize,
}

/// Serves connections of `listener` until `shutdown` resolves, then drains: nothing new is accepted,
/// idle connections are closed at once, and requests in flight have `Config::drain` to finish.
pub(crate) async fn serve(
    gateway: &Gateway,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Drained {
    let config = gateway.config();
    let slots = Arc::new(Semaphore::new(config.connections));
    let (closing, watch_closing) = watch::channel(());
    let mut connections = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            // Finished connections leave the set as they finish.
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &slots) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                let closing = watch_closing.clone();
                let serve = connection(gateway.clone(), stream, closing, slot, None);
                connections.spawn(serve);
            }
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    // New connections are refused from here on.
    drop(listener);
    gateway.set_draining();
    // There is no receiver when there is no connection.
    let _ = closing.send(());
    let finish = async { while connections.join_next().await.is_some() {} };
    let cut_off = match timeout(config.drain, finish).await {
        Ok(()) => 0,
        Err(_) => connections.len(),
    };
    connections.shutdown().await;
    gateway.flush().await;
    tracing::info!(cut_off, "gateway drained");
    Drained { cut_off }
}

/// The next connection once there is room for it: until then it waits in the kernel's backlog.
async fn accept(
    listener: &TcpListener,
    slots: &Arc<Semaphore>,
) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let slot = Arc::clone(slots).acquire_owned().await;
    let slot = slot.expect("the semaphore is never closed");
    let (stream, _) = listener.accept().await?;
    Ok((stream, slot))
}

/// Serves one connection, which has those slots as long as it is there; `inside` where it came through an inner door.
async fn connection<S>(
    gateway: Gateway,
    stream: TcpStream,
    mut closing: watch::Receiver<()>,
    _slots: S,
    inside: Option<Arc<Inside>>,
) {
    let _open = Counted::new(gateway.open_connections());
    let accepted = monotonic_now();
    // Answers are written whole; waiting to merge them with later ones would only delay them. A socket
    // that refuses, or has no peer, was reset already.
    let Ok(peer) = stream.set_nodelay(true).and_then(|()| stream.peer_addr()) else {
        return;
    };
    let port = stream.local_addr().map_or(0, |address| address.port());
    let wire = Arc::new(Wire::new(peer, port, accepted, inside));
    let io = TokioIo::new(Stamped::new(
        stream,
        Arc::clone(&wire),
        gateway.config().stall_timeout,
    ));
    let service = service_fn(|request| {
        let (gateway, wire) = (gateway.clone(), Arc::clone(&wire));
        async move { Ok::<_, Infallible>(gateway.handle(&wire, request).await) }
    });
    let mut builder = http(gateway.config());
    if wire.inside().is_some() {
        builder.max_buf_size(INNER_BUFFER);
    }
    let mut serving = pin!(builder.serve_connection(io, service));
    let result = tokio::select! {
        result = serving.as_mut() => result,
        _ = closing.changed() => {
            serving.as_mut().graceful_shutdown();
            serving.await
        }
    };
    if let Err(error) = result {
        // Clients that vanish or talk nonsense are theirs to mind, not the operator's.
        tracing::debug!(%peer, %error, "connection ended");
    }
}

/// One more in a gauge, as long as it lives.
struct Counted(Gauge);

impl Counted {
    fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

fn http(config: &Config) -> http1::Builder {
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(config.head_timeout)
        .max_header_size(config.head_bytes);
    builder
}
