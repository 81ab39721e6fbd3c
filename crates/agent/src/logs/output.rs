//! The log of one instance: its two pipes and the platform's lines, in one order.
//!
//! Whoever writes a platform line first takes what is in the pipes, so that START, END and REPORT stand
//! where they belong without a hop to the reading task. The reading task reads whatever comes between,
//! and is the only one that waits for the store.

mod state;

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use pilotlight_model::logging::LogFormat;
use pilotlight_sandbox::network::NetNs;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

use super::tail::Splitter;
use super::{Batch, LogGroup, LogStore};
use crate::clock;
use crate::platform_events::{PlatformEvent, envelope};
use crate::telemetry::{Subscription, Told};
use state::{Pipe, State, Took};

/// Bytes of lines that an instance may hold back for the store; beyond it only the reading task reads.
const OUTBOX_BYTES: usize = 256 * 1024;
/// How long a dead instance's pipes may stay open (a process outside our reach holds them).
const END_OF_PIPES: Duration = Duration::from_secs(1);

/// Log of one instance. It outlives the process: a repeated init attaches new pipes.
pub(crate) struct InstanceLog {
    store: LogStore,
    group: Arc<LogGroup>,
    stream: Arc<str>,
    format: LogFormat,
    /// Lines come from the reading task and from whoever begins or ends a request; the lock is held
    /// for the reading of what the pipes hold.
    state: Mutex<State>,
    /// There are lines that found no room in the store.
    held_back: Notify,
}

/// Whose a line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Source {
    Function,
    Extension,
}

impl Source {
    /// As telemetry has it.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Source::Function => "function",
            Source::Extension => "extension",
        }
    }
}

impl InstanceLog {
    pub(crate) fn new(store: LogStore, group: LogGroup, stream: String, format: LogFormat) -> Self {
        Self {
            store,
            group: Arc::new(group),
            stream: stream.into(),
            format,
            state: Mutex::default(),
            held_back: Notify::new(),
        }
    }

    /// Name of the stream.
    pub(crate) fn stream(&self) -> &str {
        &self.stream
    }

    /// Takes the pipes of a new process and returns the task that reads them, to be spawned.
    pub(crate) fn attach(
        self: &Arc<Self>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        self.attach_to(Source::Function, [stdout, stderr])
    }

    /// The same for what extensions write.
    pub(crate) fn attach_extensions(
        self: &Arc<Self>,
        stdout: OwnedFd,
        stderr: OwnedFd,
    ) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        self.attach_to(Source::Extension, [stdout, stderr])
    }

    fn attach_to(
        self: &Arc<Self>,
        source: Source,
        [stdout, stderr]: [OwnedFd; 2],
    ) -> io::Result<impl Future<Output = ()> + Send + 'static> {
        let stdout = Arc::new(pipe::Receiver::from_owned_fd(stdout)?);
        let stderr = Arc::new(pipe::Receiver::from_owned_fd(stderr)?);
        let mut state = self.state.lock();
        state.pipes.retain(|pipe| pipe.source != source);
        state.pipes.extend([&stdout, &stderr].map(|end| Pipe {
            source,
            end: Arc::clone(end),
            lines: Splitter::default(),
            open: true,
        }));
        state.attending += 1;
        drop(state);
        Ok(Arc::clone(self).read([stdout, stderr]))
    }

    /// A process begins: from now on extensions may subscribe to what is told here.
    pub(crate) fn open_telemetry(&self) {
        self.state.lock().hub.open();
    }

    /// No more extensions may.
    pub(crate) fn close_telemetry(&self) {
        self.state.lock().hub.close();
    }

    /// Those that have are sent at once what there is.
    pub(crate) fn flush_telemetry(&self) {
        let mut state = self.state.lock();
        state.drain();
        state.hub.flush();
        // What the pipes held is the store's, too, and no other line may come for a long time.
        self.hand_over(&mut state);
    }

    /// The process is gone, and with it those that have.
    pub(crate) fn end_telemetry(&self) {
        let ended = std::mem::take(&mut self.state.lock().hub);
        drop(ended);
    }

    /// An extension subscribes to what is told, from the beginning of its process on; false if it comes too late.
    pub(crate) fn subscribe(
        &self,
        name: &str,
        subscription: Subscription,
        inside: Arc<NetNs>,
    ) -> bool {
        self.state.lock().hub.subscribe(name, subscription, inside)
    }

    /// Tells of an event, in the log's format, behind everything that the runtime has written so far.
    pub(crate) fn event(&self, event: &PlatformEvent) {
        {
            let mut state = self.state.lock();
            if state.hub.listens() {
                state.drain();
                state.end_partial_lines();
                state.hub.tell(clock::utc(), Told::Event(event.clone()));
                self.hand_over(&mut state);
            }
        }
        let lines = match self.format {
            LogFormat::Text => event.lines(),
            LogFormat::Json { system, .. } if event.level() >= system => {
                vec![envelope(clock::utc(), event.name(), event.record()).to_string()]
            }
            LogFormat::Json { .. } => return,
        };
        if !lines.is_empty() {
            self.lines(lines);
        }
    }

    /// Writes what a log of text says beside the events, which tell the same.
    pub(crate) fn words(&self, messages: impl IntoIterator<Item = String>) {
        if self.format == LogFormat::Text {
            self.lines(messages);
        }
    }

    /// Writes lines of the platform behind everything that the runtime has written so far.
    fn lines(&self, messages: impl IntoIterator<Item = String>) {
        let mut state = self.state.lock();
        state.drain();
        state.end_partial_lines();
        for message in messages {
            if state.outbox_bytes < 2 * OUTBOX_BYTES {
                state.push(message);
            } else {
                // The store has stood still for thousands of requests.
                self.store.lose(1);
            }
        }
        self.hand_over(&mut state);
    }

    /// The end of the current request's log; the next request's begins empty.
    pub(crate) fn take_tail(&self) -> Vec<u8> {
        self.state.lock().tail.take()
    }

    /// The process has ended: waits for the end of its pipes, for a bounded time, and keeps what they
    /// still hold. `readers` are the tasks of [`InstanceLog::attach`]; what they have in hand they bring to
    /// the store in their own time.
    pub(crate) async fn detach(&self, readers: impl IntoIterator<Item = JoinHandle<()>>) {
        let ends = async {
            for reader in readers {
                let _ = reader.await;
            }
        };
        let _ = tokio::time::timeout(END_OF_PIPES, ends).await;
        let mut state = self.state.lock();
        state.drain();
        state.end_partial_lines();
        state.pipes.clear();
        self.hand_over(&mut state);
        self.held_back.notify_one();
    }

    /// Brings the outbox to the store, at once if there is room, else by a task that can wait.
    fn hand_over(&self, state: &mut State) {
        if state.pushing {
            self.held_back.notify_one();
            return;
        }
        let Some(batch) = self.batch(state) else {
            return;
        };
        let Err(batch) = self.store.try_push(batch) else {
            return;
        };
        if state.attending > 0 {
            state.put_back(batch.lines);
            self.held_back.notify_one();
        } else {
            // The last lines of an instance that has ended; nobody else will bring them.
            let store = self.store.clone();
            tokio::spawn(async move { store.push(batch).await });
        }
    }

    fn batch(&self, state: &mut State) -> Option<Batch> {
        if state.outbox.is_empty() {
            return None;
        }
        state.outbox_bytes = 0;
        Some(Batch {
            group: Arc::clone(&self.group),
            stream: Arc::clone(&self.stream),
            lines: std::mem::take(&mut state.outbox),
            ingested_ms: None,
        })
    }

    /// Brings the outbox to the store, however long the store takes.
    async fn push_outbox(&self) {
        let batch = {
            let mut state = self.state.lock();
            // Another task is at it already, and will find what has come since.
            if state.pushing {
                return;
            }
            let batch = self.batch(&mut state);
            state.pushing = batch.is_some();
            batch
        };
        if let Some(batch) = batch {
            self.store.push(batch).await;
            let mut state = self.state.lock();
            state.pushing = false;
            if !state.outbox.is_empty() {
                self.held_back.notify_one();
            }
        }
    }

    /// Brings what the pipes hold to the store until both are closed or given up. The pipes are read no
    /// faster than the store takes lines in: a flood waits in its pipe.
    async fn read(self: Arc<Self>, [stdout, stderr]: [Arc<pipe::Receiver>; 2]) {
        let (mut out_open, mut err_open) = (true, true);
        loop {
            self.push_outbox().await;
            {
                let mut state = self.state.lock();
                let over = state.place_of(&stdout).is_none() || !(out_open || err_open);
                if over && (state.outbox.is_empty() || state.attending > 1) {
                    state.attending -= 1;
                    // Whoever is left may have slept over it.
                    self.held_back.notify_one();
                    return;
                }
            }
            tokio::select! {
                open = self.read_once(&stdout), if out_open => out_open = open,
                open = self.read_once(&stderr), if err_open => err_open = open,
                () = self.held_back.notified() => {}
            }
        }
    }

    /// Reads one pipe once it has something; false at its end.
    async fn read_once(&self, end: &Arc<pipe::Receiver>) -> bool {
        if end.readable().await.is_err() {
            return false;
        }
        let mut state = self.state.lock();
        let Some(index) = state.place_of(end) else {
            return false;
        };
        !matches!(state.read_pipe(index, pipe::Receiver::try_read), Took::End)
    }
}
