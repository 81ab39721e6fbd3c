//! From a start order to an instance, and from the instance to its end: the supervisor of one instance.

mod beginning;
mod on_free;

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::Runtime;
use pilotlight_model::error::Causes;
use pilotlight_model::limits;
use pilotlight_model::node::NodeError;
use pilotlight_model::provisioned::Trouble;
use pilotlight_model::start::{Phase, StartKind};

use crate::agent::Node;
use crate::failure::Failure;
use crate::instance::{Instance, StartTrace, Verdict};
use crate::ladder::preparation;
use crate::launch::Launching;
use crate::launcher::LaunchError;
use crate::logs::{InstanceLog, LogGroup};
use crate::platform_events::Status;
use crate::pool::{Pool, Purpose, StartOrder, Ticket, Turn};
use crate::runtime::RuntimeImage;
use crate::runtime_api::OnFree;
use crate::watch::{Running, TURN, Watched};
use crate::{clock, log_stream, warm_up};
use beginning::For;
use on_free::{Free, Ready, Stock};

pub(crate) use on_free::released;

/// Takes up a start order: makes the instance and leaves it to a task of its own.
pub(crate) fn begin(node: Arc<Node>, order: StartOrder) {
    let spec = Arc::clone(&order.spec);
    let group = LogGroup {
        account: spec.key.account.clone(),
        region: spec.key.region.clone(),
        name: spec.log_group.clone(),
    };
    let stream = log_stream::name(clock::utc(), &spec);
    let log = InstanceLog::new(node.logs.clone(), group, stream, spec.log_format);
    let log = Arc::new(log);
    let trace = StartTrace::admitted(order.admitted);
    let finishing = Arc::clone(&order.finishing);
    let instance = Arc::new(Instance::new(order.instance, spec, log, finishing, trace));
    node.pool.attach(&instance);
    let runtime = node.handle.clone();
    match order.purpose {
        Purpose::Template(_) => runtime.spawn(preparation::run(node, instance, order)),
        Purpose::Request(_)
        | Purpose::Spare(_)
        | Purpose::WarmUp(_)
        | Purpose::Ahead
        | Purpose::Provisioned => runtime.spawn(live(node, instance, order)),
    };
}

/// The life of one instance. Its room in the pool (the order's lease) is given back at the very end.
async fn live(node: Arc<Node>, instance: Arc<Instance>, order: StartOrder) {
    let StartOrder {
        purpose,
        cheapest,
        turn,
        lease,
        ..
    } = order;
    instance.trace(|trace| trace.end(Phase::Place, clock::now()));
    let (beginning, on_free) = match purpose {
        Purpose::Request(ticket) => (For::Request(ticket), Free::of(&node, ticket)),
        Purpose::Spare(done) | Purpose::Template(done) => (For::Spare, Stock::of(&node, done)),
        Purpose::WarmUp(expected) => (For::WarmUp, warm_up::Ready::of(&node, Some(expected))),
        Purpose::Ahead => (For::WarmUp, warm_up::Ready::of(&node, None)),
        Purpose::Provisioned => (For::Provision, Ready::of(&node)),
    };
    let ticket = beginning.ticket();
    let Some(image) = node.runtimes.get(&instance.spec.runtime.image()) else {
        let why = format!(
            "this node has no image of {}",
            instance.spec.runtime.image()
        );
        refuse(&node.pool, ticket, &why);
        return;
    };
    let start = Start {
        node: &node,
        instance: &instance,
        image,
        beginning,
        on_free,
    };
    let ended = start.run(turn, cheapest).await;
    if let For::Provision = beginning {
        let trouble = match ended {
            Ok(()) => Trouble::InitFailed,
            Err(_) => Trouble::Platform,
        };
        node.pool.provisioned_over(&instance, trouble);
    }
    if let Err(error) = ended {
        let why = Causes(&error).to_string();
        instance.end(None);
        // Whoever handles the refusal tells of it; where nobody waits any more, it is told here. A spare's
        // template may just have been let go.
        if let For::Spare | For::WarmUp = beginning {
            tracing::info!(version = %instance.spec.key, error = why, "start off the path not made");
        } else if !refuse(&node.pool, ticket, &why) {
            tracing::error!(
                instance = %instance.id, version = %instance.spec.key, error = why,
                "instance could not be started"
            );
        }
    }
    drop(lease);
}

fn refuse(pool: &Arc<Pool>, ticket: Option<Ticket>, why: &str) -> bool {
    ticket.is_some_and(|ticket| pool.refuse(ticket, NodeError::Internal(why.to_owned())))
}

/// One instance's start and what it needs.
struct Start<'a> {
    node: &'a Arc<Node>,
    instance: &'a Arc<Instance>,
    image: &'a RuntimeImage,
    beginning: For,
    on_free: Arc<dyn OnFree>,
}

impl Start<'_> {
    /// Runs the instance to its end. An error is the platform's: the function's own are answers.
    async fn run(&self, turn: Turn, cheapest: StartKind) -> Result<(), LaunchError> {
        let instance = self.instance;
        let limit = self.beginning.init_limit(instance.spec.timeout);
        let mut watched = self.attempt(limit, Some(turn), cheapest).await?;
        if self.beginning.pays_init() && matches!(watched, Watched::Stillborn) {
            // A request hears nothing of it but the time that it took.
            instance.begin_init();
            let next = cheapest.max(StartKind::Zygote);
            watched = self.attempt(limit, None, next).await?;
        }
        match watched {
            Watched::Killed(Verdict::InitTimedOut) => {
                instance.give_up_start(&Status::Timeout);
                // As on Lambda, the init is repeated within the request's own time.
                instance.begin_init();
                if self.hand_over() {
                    let limit = instance.spec.timeout + limits::INIT;
                    // A restore that hangs would hang again.
                    let next = cheapest.max(StartKind::Zygote);
                    self.attempt(limit, None, next).await?;
                }
                instance.end(None);
            }
            _ => {
                if let Some(failure) = instance.failed() {
                    instance.give_up_start(&(&failure).into());
                    // The request that the start was for hears why from the instance itself.
                    self.hand_over();
                }
            }
        }
        Ok(())
    }

    /// Gives the instance, as it is, to the request that the start is for, if that still waits.
    fn hand_over(&self) -> bool {
        let ticket = self.beginning.ticket();
        ticket.is_some_and(|ticket| self.node.pool.hand_over(self.instance, ticket))
    }

    async fn launch(
        &self,
        limit: Duration,
        turn: &mut Option<Turn>,
        cheapest: StartKind,
    ) -> Result<Running, LaunchError> {
        let launching = Launching {
            node: self.node,
            instance: self.instance,
            image: self.image,
            initialization: self.beginning.initialization(),
            limit,
            on_free: Arc::clone(&self.on_free),
        };
        let launched = async {
            match self.beginning {
                For::Request(_) | For::WarmUp | For::Provision => launching.run(cheapest).await,
                For::Spare => launching.run_spare().await,
            }
        };
        match self.instance.spec.layers.is_empty() {
            true => launched.await,
            // Extensions may take as long as an init may: others must not wait with it.
            false => giving_up(turn, launched).await,
        }
    }

    /// What comes of a launch that failed, where it is the function's fault.
    fn not_launched(&self, error: LaunchError) -> Result<Watched, LaunchError> {
        let instance = self.instance;
        match error {
            LaunchError::Exec { program, source } => {
                let failure = Failure::InvalidEntrypoint(entrypoint(self.image, &program, &source));
                instance.end(Some(failure));
                Ok(Watched::Killed(Verdict::InitFailed))
            }
            LaunchError::Extensions(verdict) => {
                if verdict != Verdict::InitTimedOut {
                    instance.end(instance.failed());
                }
                Ok(Watched::Killed(verdict))
            }
            error => Err(error),
        }
    }

    /// One process from its launch to its end. Afterwards the instance has no process, and its request
    /// has been answered.
    async fn attempt(
        &self,
        limit: Duration,
        mut turn: Option<Turn>,
        cheapest: StartKind,
    ) -> Result<Watched, LaunchError> {
        let instance = self.instance;
        let mut running = match self.launch(limit, &mut turn, cheapest).await {
            Ok(running) => running,
            Err(error) => return self.not_launched(error),
        };
        let watched = running.watch(instance, limit, &mut turn).await;
        drop(turn);
        let again = match &watched {
            Watched::Killed(Verdict::InitTimedOut) => true,
            Watched::Stillborn => self.beginning.pays_init(),
            _ => false,
        };
        running.part(instance, &watched, again).await;
        running.wind_up(instance).await;
        let failure = match &watched {
            Watched::Killed(Verdict::InitTimedOut) => {
                instance.forget_process();
                return Ok(watched);
            }
            Watched::Stillborn if self.beginning.pays_init() => {
                // Of the function's own making, most likely.
                tracing::info!(
                    instance = %instance.id, version = %instance.spec.key,
                    "a fork of the template ended before it asked for an event"
                );
                instance.forget_process();
                return Ok(watched);
            }
            ended => ended.failure(instance),
        };
        instance.end(Some(failure));
        instance.forget_process();
        Ok(watched)
    }
}

/// Gives the turn back when that takes longer than a start may keep it.
async fn giving_up<T>(turn: &mut Option<Turn>, launched: impl Future<Output = T>) -> T {
    tokio::pin!(launched);
    match tokio::time::timeout(TURN, &mut launched).await {
        Ok(launched) => launched,
        Err(_) => {
            drop(turn.take());
            launched.await
        }
    }
}

/// Lambda's words for a program that cannot be executed.
pub(crate) fn entrypoint(image: &RuntimeImage, program: &str, source: &std::io::Error) -> String {
    let custom = image.runtime == Runtime::ProvidedAl2023;
    if custom && source.kind() == std::io::ErrorKind::NotFound {
        return "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]".to_owned();
    }
    format!("fork/exec {program}: {}", execution_error(source))
}

/// Why a program cannot be executed, in Go's words.
pub(crate) fn execution_error(source: &std::io::Error) -> String {
    match source.kind() {
        std::io::ErrorKind::NotFound => "no such file or directory".to_owned(),
        std::io::ErrorKind::PermissionDenied => "permission denied".to_owned(),
        _ if source.raw_os_error() == Some(8) => "exec format error".to_owned(),
        _ => source.to_string(),
    }
}

/// Whether the runtime's bootstrap is ours, and takes an inherited connection to the Runtime API.
pub(crate) fn inherits_connection(runtime: Runtime) -> bool {
    match runtime {
        Runtime::Python311 | Runtime::Nodejs20x | Runtime::Java17 => true,
        Runtime::ProvidedAl2023 => false,
    }
}
