//! The zygotes of a node: for each runtime that can have one, a process that has started and knows no
//! function yet. One that dies is raised again; one that was given up, when a start misses it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use pilotlight_model::error::Causes;
use pilotlight_model::ladder::{Rung, ZygoteStatus};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::net::unix::pipe;
use tokio::sync::{Notify, watch};
use tokio::time::{sleep, timeout};

use super::FAILURES;
use super::berths::Berths;
use crate::agent::Node;
use crate::environment;
use crate::ladder::freezing;
use crate::launch::pair;
use crate::launcher::{
    CodeKey, Exit, FreezeError, Launch, LaunchError, Process, RootKey, Template,
};
use crate::pool::{Lease, Occupant, Worth};
use crate::program::c_strings;
use crate::runtime::RuntimeImage;

/// Berths of each zygote that are ready.
const BERTHS: usize = 4;
/// Memory limit of a zygote. A fork has its function's own.
const MEMORY_MB: u32 = 1024;
/// Its `/tmp`.
const TMP_MB: u32 = 64;
/// Room that it takes on the node until it has been measured.
const NEW_MB: u64 = 64;
/// Longest start of one.
const START: Duration = Duration::from_secs(30);
/// Pauses before one is raised again, doubled from the first to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// One that lived longer did not die of its start.
const LIVED: Duration = Duration::from_secs(60);
/// Bytes of the question that a zygote asks.
const HEAD_BYTES: usize = 8 * 1024;
/// Bytes of its standard error that are shown when it does not come up.
const STDERR_BYTES: usize = 4 * 1024;

/// A zygote, ready to be forked.
pub(crate) struct Zygote {
    pub(crate) berths: Arc<Berths>,
    template: Arc<dyn Template>,
    bytes: u64,
    /// Forks that failed since the last that did not.
    failures: AtomicU32,
    /// Tells its keeper to let go of it.
    stop: Arc<Notify>,
    _process: Box<dyn Process>,
    /// Our end of the connection on which it has asked. It would end if this were closed.
    _connection: UnixStream,
    /// Its room on the node.
    lease: Lease,
}

/// Where the zygote of a runtime stands.
#[derive(Clone)]
enum Standing {
    Rising,
    Ready(Arc<Zygote>),
    Absent(String),
}

/// Keeps the zygote of one runtime.
pub(super) struct Keeper {
    image: RuntimeImage,
    standing: watch::Sender<Standing>,
    /// It is to go: the node needs its room, or it is of no use.
    stop: Arc<Notify>,
    /// A start missed it.
    missed: Notify,
}

/// Why there is no zygote.
#[derive(Debug, thiserror::Error)]
enum NoZygote {
    #[error("the node has no room for it")]
    NoRoom,
    #[error("it did not start within {} s", START.as_secs())]
    TooSlow,
    #[error("it ended with {exit}: {stderr}")]
    Ended { exit: Exit, stderr: String },
    #[error("it asked for something else than its assignment")]
    Question,
    #[error("it cannot be frozen")]
    Freeze(#[source] FreezeError),
    #[error(transparent)]
    Launch(#[from] LaunchError),
}

impl Zygote {
    /// A start has had use for it, and the fork came about or did not. One of which none does is let go.
    pub(super) fn used(&self, well: bool) {
        self.lease.used();
        if well {
            self.failures.store(0, Ordering::Relaxed);
        } else if self.failures.fetch_add(1, Ordering::Relaxed) + 1 == FAILURES {
            self.stop.notify_one();
        }
    }
}

impl Drop for Zygote {
    fn drop(&mut self) {
        self.berths.close();
    }
}

impl Keeper {
    pub(super) fn new(image: RuntimeImage) -> Arc<Self> {
        Arc::new(Self {
            image,
            standing: watch::Sender::new(Standing::Rising),
            stop: Arc::default(),
            missed: Notify::new(),
        })
    }

    pub(super) fn is_ready(&self) -> bool {
        matches!(&*self.standing.borrow(), Standing::Ready(_))
    }

    /// The zygote, if it can be forked now.
    pub(super) fn ready(&self) -> Option<Arc<Zygote>> {
        match &*self.standing.borrow() {
            Standing::Ready(zygote) => Some(Arc::clone(zygote)),
            Standing::Rising | Standing::Absent(_) => {
                self.missed.notify_one();
                None
            }
        }
    }

    /// Waits, for as long as a zygote may take, while the first one is being raised.
    pub(super) async fn risen(&self) {
        let mut standing = self.standing.subscribe();
        let risen = standing.wait_for(|it| !matches!(it, Standing::Rising));
        let _ = timeout(START, risen).await;
    }

    pub(super) fn status(&self) -> ZygoteStatus {
        let absent = |note: &str| ZygoteStatus {
            runtime: self.image.runtime.to_string(),
            ready: false,
            berths: 0,
            bytes: 0,
            note: Some(note.to_owned()),
        };
        match &*self.standing.borrow() {
            Standing::Rising => absent("starting"),
            Standing::Absent(why) => absent(why),
            Standing::Ready(zygote) => ZygoteStatus {
                runtime: self.image.runtime.to_string(),
                ready: true,
                berths: zygote.berths.ready(),
                bytes: zygote.bytes,
                note: None,
            },
        }
    }

    /// Raises the zygote and looks after it, for as long as the node runs.
    pub(super) async fn keep(self: Arc<Self>, node: Arc<Node>) {
        let mut pause = FIRST_PAUSE;
        let mut told = false;
        while !node.pool.is_draining() {
            let raised = Instant::now();
            let came = tokio::select! {
                came = self.raise(&node) => came,
                () = self.stop.notified() => {
                    self.given_up().await;
                    continue;
                }
            };
            match came {
                Ok(zygote) => {
                    tracing::info!(runtime = %self.image.runtime, bytes = zygote.bytes, "zygote ready");
                    let zygote = Arc::new(zygote);
                    self.standing
                        .send_replace(Standing::Ready(Arc::clone(&zygote)));
                    told = false;
                    if self.lived(&zygote).await {
                        tracing::warn!(runtime = %self.image.runtime, "zygote died");
                        self.absent("it died".to_owned());
                    } else {
                        drop(zygote);
                        self.given_up().await;
                    }
                }
                Err(error) => {
                    let why = Causes(&error).to_string();
                    let runtime = self.image.runtime;
                    match &error {
                        // The room is for others, and comes back.
                        NoZygote::NoRoom => tracing::info!(%runtime, "no room for a zygote"),
                        // Everything boots meanwhile: worth a person's look, once.
                        _ if !std::mem::replace(&mut told, true) => {
                            tracing::error!(%runtime, error = why, "no zygote");
                        }
                        _ => tracing::debug!(%runtime, error = why, "no zygote"),
                    }
                    self.absent(why);
                    if let NoZygote::Freeze(FreezeError::Refused(refusal)) = &error {
                        node.ladder.count_refusal(refusal);
                        if !freezing::passes(refusal) {
                            // The next would hold the same.
                            return;
                        }
                    }
                }
            }
            if raised.elapsed() > LIVED {
                pause = FIRST_PAUSE;
            }
            sleep(pause).await;
            pause = (2 * pause).min(LONGEST_PAUSE);
        }
    }

    /// True when it has died, false when it is to go.
    async fn lived(&self, zygote: &Zygote) -> bool {
        tokio::select! {
            () = zygote.template.died() => true,
            () = self.stop.notified() => false,
        }
    }

    fn absent(&self, why: String) {
        self.standing.send_replace(Standing::Absent(why));
    }

    /// Waits until a start misses the zygote.
    async fn given_up(&self) {
        // What was missed before does not count; from the next line on it does.
        let _ = timeout(Duration::ZERO, self.missed.notified()).await;
        self.absent("given up, until a start misses it".to_owned());
        self.missed.notified().await;
    }

    async fn raise(&self, node: &Arc<Node>) -> Result<Zygote, NoZygote> {
        let occupant = Occupant::Zygote(Arc::clone(&self.stop));
        let lease = node.pool.reserve(NEW_MB, occupant);
        let lease = lease.ok_or(NoZygote::NoRoom)?;
        let began = Instant::now();
        let slot = node.launcher.slot().await?;
        let (ours, theirs) = pair(true, None)?;
        let mut connection =
            ours.ok_or_else(|| LaunchError::platform("zygote", "it has no connection"))?;
        let launched = slot
            .launch(Launch {
                owner: None,
                root: RootKey {
                    runtime: self.image.digest.clone(),
                    code: CodeKey::Empty,
                    layers: Vec::new(),
                },
                argv: c_strings(&self.image.zygote_argv()),
                env: environment::of_zygote(&self.image),
                memory_mb: MEMORY_MB,
                tmp_mb: TMP_MB,
                request_socket: theirs.map(Into::into),
            })
            .await?;
        let process = launched.process;
        let said = Said::listen(launched.stdout, launched.stderr)?;
        tokio::select! {
            asked = timeout(START, asked(&mut connection)) => match asked {
                Ok(Ok(true)) => {}
                Ok(_) => return Err(self.ended(process.as_ref(), said).await),
                Err(_) => return Err(NoZygote::TooSlow),
            },
            exit = process.wait() => {
                let stderr = said.stderr().await;
                return Err(NoZygote::Ended { exit, stderr });
            }
        }
        let template = freezing::freeze(process.as_ref())
            .await
            .map_err(NoZygote::Freeze)?;
        let bytes = freezing::private_bytes(&template).await;
        let saves = began.elapsed();
        lease.hold(Rung::Zygote, Worth { bytes, saves });
        let berths = Berths::new(Arc::clone(&template), None, BERTHS);
        berths.fill().await;
        Ok(Zygote {
            berths,
            template,
            bytes,
            failures: AtomicU32::new(0),
            stop: Arc::clone(&self.stop),
            _process: process,
            _connection: connection,
            lease,
        })
    }

    /// Its connection has ended: most likely it has too.
    async fn ended(&self, process: &dyn Process, said: Said) -> NoZygote {
        match timeout(Duration::from_secs(1), process.wait()).await {
            Ok(exit) => NoZygote::Ended {
                exit,
                stderr: said.stderr().await,
            },
            Err(_) => NoZygote::Question,
        }
    }
}

/// Waits for the zygote's question. False if it is another, or none.
async fn asked(connection: &mut UnixStream) -> std::io::Result<bool> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() > HEAD_BYTES || connection.read_buf(&mut head).await? == 0 {
            return Ok(false);
        }
    }
    Ok(head.starts_with(b"GET /pilotlight/assignment "))
}

/// What a zygote writes. Nobody reads it unless it does not come up.
struct Said {
    stderr: tokio::task::JoinHandle<Vec<u8>>,
}

impl Said {
    fn listen(
        stdout: std::os::fd::OwnedFd,
        stderr: std::os::fd::OwnedFd,
    ) -> Result<Self, LaunchError> {
        let pipe = |end| {
            pipe::Receiver::from_owned_fd(end)
                .map_err(|error| LaunchError::platform("zygote pipes", error))
        };
        let (stdout, stderr) = (pipe(stdout)?, pipe(stderr)?);
        tokio::spawn(first_bytes(stdout));
        Ok(Self {
            stderr: tokio::spawn(first_bytes(stderr)),
        })
    }

    async fn stderr(self) -> String {
        let said = timeout(Duration::from_secs(1), self.stderr).await;
        let said = said.ok().and_then(Result::ok).unwrap_or_default();
        String::from_utf8_lossy(&said).trim_end().to_owned()
    }
}

/// Reads to the end and keeps the beginning.
async fn first_bytes(mut pipe: pipe::Receiver) -> Vec<u8> {
    let (mut kept, mut buffer) = (Vec::new(), [0; 1024]);
    while let Ok(count @ 1..) = pipe.read(&mut buffer).await {
        let room = STDERR_BYTES - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
    }
    kept
}
