//! From a start order to an instance, and from the instance to its end: the supervisor of one instance.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::error::Causes;
use pilotlight_model::function::Runtime;
use pilotlight_model::limits;
use pilotlight_model::node::NodeError;
use pilotlight_model::start::Phase;
use tokio::net::{TcpListener, UnixStream};
use tokio::task::JoinHandle;
use tokio::time::Instant as Deadline;

use crate::agent::Node;
use crate::environment;
use crate::failure::Failure;
use crate::instance::{Instance, StartTrace, Verdict};
use crate::launcher::{Exit, Launch, LaunchError, Process, RootKey};
use crate::logs::{InstanceLog, LogGroup};
use crate::platform_lines;
use crate::pool::{Pool, StartOrder, Ticket, Turn};
use crate::runtime::RuntimeImage;
use crate::runtime_api::{OnFree, Server};
use crate::{clock, log_stream, program};

/// A start keeps its turn for this long at most once its program runs: from then on it is the user's
/// code that takes time, most of it waiting, and other starts must not wait with it.
const TURN: Duration = Duration::from_secs(1);
/// How long a killed process may take to be gone.
const KILL: Duration = Duration::from_secs(5);

/// Takes up a start order: makes the instance and leaves it to a task of its own.
pub(crate) fn begin(node: Arc<Node>, order: StartOrder) {
    let spec = Arc::clone(&order.spec);
    let group = LogGroup {
        account: spec.key.account.clone(),
        region: spec.key.region.clone(),
        name: spec.log_group.clone(),
    };
    let stream = log_stream::name(clock::utc(), spec.key.version);
    let log = Arc::new(InstanceLog::new(node.logs.clone(), group, stream));
    let trace = StartTrace::admitted(order.admitted);
    let finishing = Arc::clone(&order.finishing);
    let instance = Arc::new(Instance::new(order.instance, spec, log, finishing, trace));
    node.pool.attach(&instance);
    let runtime = node.handle.clone();
    runtime.spawn(live(node, instance, order));
}

/// The life of one instance. Its room in the pool (the order's lease) is given back at the very end.
async fn live(node: Arc<Node>, instance: Arc<Instance>, order: StartOrder) {
    let StartOrder {
        ticket,
        turn,
        lease,
        ..
    } = order;
    instance.trace(|trace| trace.end(Phase::Place, clock::now()));
    let Some(image) = node.runtimes.get(&instance.spec.runtime) else {
        let why = format!("this node has no image of {}", instance.spec.runtime);
        node.pool.refuse(ticket, NodeError::Internal(why));
        return;
    };
    instance
        .log
        .line(platform_lines::init_start(&instance.spec, image));
    // The tail that a caller gets begins behind it, as on Lambda.
    drop(instance.log.take_tail());
    let start = Start {
        node: &node,
        instance: &instance,
        image,
        ticket,
    };
    if let Err(error) = start.run(turn).await {
        let why = Causes(&error).to_string();
        instance.end(None);
        // Whoever handles the refusal tells of it; where nobody waits any more, it is told here.
        if !node.pool.refuse(ticket, NodeError::Internal(why.clone())) {
            tracing::error!(
                instance = %instance.id, version = %instance.spec.key, error = why,
                "instance could not be started"
            );
        }
    }
    drop(lease);
}

/// One instance's start and what it needs.
struct Start<'a> {
    node: &'a Arc<Node>,
    instance: &'a Arc<Instance>,
    image: &'a RuntimeImage,
    ticket: Ticket,
}

/// A process that serves an instance, with everything that listens to it.
struct Running {
    process: Arc<dyn Process>,
    server: Server,
    reader: JoinHandle<()>,
}

enum Watched {
    Exited(Exit),
    /// To be killed, for that reason.
    Killed(Verdict),
}

impl Start<'_> {
    /// Runs the instance to its end. An error is the platform's: the function's own are answers.
    async fn run(&self, turn: Turn) -> Result<(), LaunchError> {
        let instance = self.instance;
        match self.attempt(limits::INIT, Some(turn)).await? {
            Watched::Killed(Verdict::InitTimedOut) => {
                let length = instance.init_length();
                instance.trace(|trace| trace.give_up_init(clock::now()));
                instance
                    .log
                    .line(platform_lines::init_report(length, "Status: timeout"));
                // As on Lambda, the init is repeated within the request's own time.
                instance.begin_init();
                if self.node.pool.hand_over(instance, self.ticket) {
                    self.attempt(instance.spec.timeout + limits::INIT, None)
                        .await?;
                }
                instance.end(None);
            }
            _ => {
                if let Some(failure) = instance.failed() {
                    let length = instance.init_length();
                    instance
                        .log
                        .line(platform_lines::init_report(length, &failure.status()));
                    instance.trace(|trace| trace.give_up_init(clock::now()));
                    // The request that the start was for hears why from the instance itself.
                    self.node.pool.hand_over(instance, self.ticket);
                }
            }
        }
        Ok(())
    }

    /// One process from its launch to its end. Afterwards the instance has no process, and its request
    /// has been answered.
    async fn attempt(
        &self,
        init: Duration,
        mut turn: Option<Turn>,
    ) -> Result<Watched, LaunchError> {
        let running = match self.launch().await {
            Ok(running) => running,
            Err(LaunchError::Exec { program, source }) => {
                let failure = Failure::InvalidEntrypoint(self.entrypoint(&program, &source));
                self.instance.end(Some(failure));
                return Ok(Watched::Killed(Verdict::InitFailed));
            }
            Err(error) => return Err(error),
        };
        let watched = self.watch(&running, init, &mut turn).await;
        drop(turn);
        // Whatever the process has left behind goes with it, or it would hold its pipes open.
        running.process.kill();
        if tokio::time::timeout(KILL, running.process.wait())
            .await
            .is_err()
        {
            tracing::error!(instance = %self.instance.id, "killed process does not end");
        }
        // It may have answered, and written its log, right before it ended.
        running.server.finish().await;
        self.instance.log.detach(running.reader).await;
        let failure = match &watched {
            Watched::Killed(Verdict::InitTimedOut) => return Ok(self.forget(watched)),
            Watched::Exited(exit) => self.instance.exit_failure(*exit),
            Watched::Killed(_) => Failure::Exited {
                exit: Exit::Signal(9),
                out_of_memory: false,
            },
        };
        self.instance
            .end(Some(self.instance.failed().unwrap_or(failure)));
        Ok(self.forget(watched))
    }

    fn forget(&self, watched: Watched) -> Watched {
        self.instance.forget_process();
        watched
    }

    /// Watches over the process until it ends or has to.
    async fn watch(&self, running: &Running, init: Duration, turn: &mut Option<Turn>) -> Watched {
        let started = Deadline::now();
        let mut initialising = true;
        let exit = running.process.wait();
        tokio::pin!(exit);
        loop {
            let due = match self.instance.judge(Some(started + init)) {
                Verdict::Sleep(due) => due,
                kill => return Watched::Killed(kill),
            };
            if initialising && self.instance.is_initialised() {
                initialising = false;
                running.process.init_ended();
            }
            if !initialising || started + TURN <= Deadline::now() {
                turn.take();
            }
            let due = [due, turn.as_ref().map(|_| started + TURN)]
                .into_iter()
                .flatten()
                .min();
            tokio::select! {
                biased;
                exit = &mut exit => return Watched::Exited(exit),
                () = self.instance.changed() => {}
                () = sleep_until_or_never(due) => {}
            }
        }
    }

    /// Launches the first of the runtime's programs that can be executed.
    async fn launch(&self) -> Result<Running, LaunchError> {
        let candidates = program::of_instance(self.image, &self.instance.spec);
        let mut last = None;
        for argv in candidates {
            match self.launch_program(argv).await {
                Err(LaunchError::Exec { program, source })
                    if source.kind() == std::io::ErrorKind::NotFound =>
                {
                    last = Some(LaunchError::Exec { program, source });
                }
                other => return other,
            }
        }
        Err(last.unwrap_or_else(|| LaunchError::platform("runtime image", "no program to run")))
    }

    async fn launch_program(&self, argv: Vec<CString>) -> Result<Running, LaunchError> {
        let (node, instance, spec) = (self.node, self.instance, &self.instance.spec);
        let mut slot = node.launcher.slot().await?;
        instance.trace(|trace| trace.end(Phase::Slot, clock::now()));
        let inherits = inherits_connection(spec.runtime);
        let (ours, theirs) = if inherits {
            connection()?
        } else {
            (None, None)
        };
        let listener = slot
            .take_runtime_api()
            .map(TcpListener::from_std)
            .transpose();
        let listener =
            listener.map_err(|error| LaunchError::platform("runtime api listener", error))?;
        let launch = Launch {
            owner: Some(spec.key.clone()),
            root: RootKey::of(spec, &self.image.digest),
            argv,
            env: environment::of_instance(spec, self.image, instance.log.stream(), inherits),
            memory_mb: spec.memory_mb,
            tmp_mb: spec.ephemeral_storage_mb,
            request_socket: theirs.map(Into::into),
        };
        let launched = slot.launch(launch).await?;
        let process: Arc<dyn Process> = launched.process.into();
        instance.launched(Arc::clone(&process));
        instance.trace(|trace| trace.launched(launched.marks));
        let reader = instance
            .log
            .attach(launched.stdout, launched.stderr)
            .map_err(|error| LaunchError::platform("log pipes", error))?;
        // Only now, when the start is on the books, can its end be: until then what the runtime says
        // waits in its socket.
        let on_free: Arc<dyn OnFree> = Arc::new(Free {
            pool: Arc::clone(&node.pool),
            ticket: self.ticket,
        });
        let server = Server::start(Arc::clone(instance), on_free, ours, listener);
        Ok(Running {
            process,
            server,
            reader: tokio::spawn(reader),
        })
    }

    /// Lambda's words for a program that cannot be executed.
    fn entrypoint(&self, program: &str, source: &std::io::Error) -> String {
        let custom = self.image.runtime == Runtime::ProvidedAl2023;
        if custom && source.kind() == std::io::ErrorKind::NotFound {
            return "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
                .to_owned();
        }
        let why = match source.kind() {
            std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
            std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
            _ if source.raw_os_error() == Some(8) => "exec format error".to_owned(),
            _ => source.to_string(),
        };
        format!("fork/exec {program}: {why}")
    }
}

/// Tells the pool when the runtime has nothing to do.
struct Free {
    pool: Arc<Pool>,
    ticket: Ticket,
}

impl OnFree for Free {
    fn free(&self, instance: &Arc<Instance>, first: bool) {
        self.pool.release(instance, first.then_some(self.ticket));
    }
}

/// Whether the runtime's bootstrap is ours, and takes an inherited connection to the Runtime API.
fn inherits_connection(runtime: Runtime) -> bool {
    match runtime {
        Runtime::Python311 | Runtime::Java17 => true,
        Runtime::ProvidedAl2023 => false,
    }
}

/// A connected pair: our end for the reactor, theirs for a process that blocks.
fn connection() -> Result<(Option<UnixStream>, Option<std::os::unix::net::UnixStream>), LaunchError>
{
    let pair = || {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        Ok((Some(UnixStream::from_std(ours)?), Some(theirs)))
    };
    pair().map_err(|error: std::io::Error| LaunchError::platform("request socket", error))
}

async fn sleep_until_or_never(due: Option<Deadline>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
