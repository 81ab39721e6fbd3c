//! Making the template of a version: its init runs as for any instance, from the zygote if there is one,
//! and then the process is frozen instead of serving. One that cannot be frozen serves after all: its init
//! has been paid, and the next request finds it idle.

use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use pilotlight_model::error::Causes;
use pilotlight_model::ladder::{Refusal, Rung};
use pilotlight_model::limits;
use pilotlight_model::start::StartKind;
use tokio::sync::oneshot;

use super::berths::{BERTH_BYTES, Berths};
use super::{Parked, freezing};
use crate::agent::Node;
use crate::environment::Initialization;
use crate::extensions::{SHUTDOWN, Shutdown};
use crate::failure::Failure;
use crate::instance::{Instance, Verdict};
use crate::launch::{Launching, furnishing};
use crate::launcher::{FreezeError, LaunchError, Template};
use crate::platform_events::Status;
use crate::pool::{Done, Lease, Pool, Purpose, StartOrder, Turn, Worth};
use crate::runtime::RuntimeImage;
use crate::runtime_api::{OnFree, Outstanding, Then, Via};
use crate::start::entrypoint;
use crate::watch::{Running, Watched};

/// Berths of each template that are ready.
const BERTHS: usize = 1;
/// A template that lived longer did its work, and is made again at once when it dies.
const LIVED: Duration = Duration::from_secs(60);

/// Takes up the order for a template, and looks after what comes of it until it ends.
pub(crate) async fn run(node: Arc<Node>, instance: Arc<Instance>, order: StartOrder) {
    let StartOrder {
        purpose,
        turn,
        lease,
        ..
    } = order;
    let (Purpose::Template(done), Some(image)) =
        (purpose, node.runtimes.get(&instance.spec.runtime.image()))
    else {
        return;
    };
    let preparation = Preparation {
        node: &node,
        instance: &instance,
        image,
    };
    if let Err(error) = preparation.run(turn, &lease, done).await {
        let error = Causes(&error);
        tracing::error!(version = %instance.spec.key, %error, "no template");
        instance.end(None);
    }
    drop(lease);
}

struct Preparation<'a> {
    node: &'a Arc<Node>,
    instance: &'a Arc<Instance>,
    image: &'a RuntimeImage,
}

/// Learns when the process waits for the answer that only a fork gets.
struct Parking {
    pool: Arc<Pool>,
    /// Locked to take it, once.
    parked: Mutex<Option<oneshot::Sender<(Outstanding, Via)>>>,
}

/// What came of an init.
enum Init {
    Parked(Outstanding, Via),
    Ended(Watched),
}

impl Preparation<'_> {
    async fn run(&self, turn: Turn, lease: &Lease, done: Done) -> Result<(), LaunchError> {
        let instance = self.instance;
        self.node.ladder.build_begun(&instance.spec);
        let mut turn = Some(turn);
        let (parked, parks) = oneshot::channel();
        instance.become_template();
        let Some(mut running) = self.launch(parked).await? else {
            return Ok(());
        };
        let init = tokio::select! {
            biased;
            Ok((outstanding, via)) = parks => Init::Parked(outstanding, via),
            ended = running.watch(instance, limits::INIT, &mut turn) => Init::Ended(ended),
        };
        let (outstanding, via) = match init {
            Init::Parked(outstanding, via) => (outstanding, via),
            Init::Ended(watched) => {
                self.failed(running, &watched).await;
                return Ok(());
            }
        };
        let saves = instance.init_length();
        if let Some(refusal) = unsuited(&running, instance, via) {
            drop(turn);
            let error = FreezeError::Refused(refusal);
            return self.serve(running, error, done).await;
        }
        let accompanied = running.beside.is_some();
        if let Some(beside) = &running.beside {
            // Each fork has extensions of its own.
            let deadline = tokio::time::Instant::now() + SHUTDOWN;
            beside
                .shut_down(instance, Shutdown::Spindown, deadline)
                .await;
        }
        let frozen = freezing::freeze(running.process.as_ref()).await;
        drop(turn);
        match frozen {
            Ok(template) => {
                let bytes = freezing::private_bytes(&template).await + BERTHS as u64 * BERTH_BYTES;
                lease.hold(Rung::Template, Worth { bytes, saves });
                let parked = self.park(template, outstanding, via, &running);
                self.look_after(&parked, done).await;
                drop(parked);
                running.wind_up(instance).await;
                instance.end(None);
                instance.forget_process();
                Ok(())
            }
            // Without its extensions it cannot serve.
            Err(error) if accompanied => {
                let refused = self.refused(error);
                drop(done);
                self.node.pool.refresh(&instance.spec);
                running.wind_up(instance).await;
                instance.end(None);
                instance.forget_process();
                if refused {
                    self.node.pool.refused(&instance.spec);
                }
                Ok(())
            }
            Err(error) => self.serve(running, error, done).await,
        }
    }

    /// The process is no template, for that reason. Whether another of the version could not be one either.
    fn refused(&self, error: FreezeError) -> bool {
        let spec = &self.instance.spec;
        match error {
            FreezeError::Refused(refusal) => {
                tracing::info!(version = %spec.key, %refusal, "no template");
                self.node.ladder.refuse(spec, refusal);
                true
            }
            FreezeError::Platform(error) => {
                let error = Causes(&error);
                tracing::error!(version = %spec.key, %error, "template not made");
                false
            }
        }
    }

    /// `None`: the function has no program.
    async fn launch(
        &self,
        parked: oneshot::Sender<(Outstanding, Via)>,
    ) -> Result<Option<Running>, LaunchError> {
        let launching = Launching {
            node: self.node,
            instance: self.instance,
            image: self.image,
            initialization: Initialization::SnapStart,
            limit: limits::INIT,
            on_free: Arc::new(Parking {
                pool: Arc::clone(&self.node.pool),
                parked: Mutex::new(Some(parked)),
            }),
        };
        match launching.run(StartKind::Zygote).await {
            Ok(running) => Ok(Some(running)),
            Err(LaunchError::Exec { program, source }) => {
                let failure = Failure::InvalidEntrypoint(entrypoint(self.image, &program, &source));
                self.instance.give_up_start(&(&failure).into());
                self.instance.end(Some(failure));
                Ok(None)
            }
            Err(LaunchError::Extensions(verdict)) => {
                self.init_failed(&Watched::Killed(verdict));
                self.instance.end(None);
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The init failed, or took too long: requests will hear of it from their own.
    async fn failed(&self, running: Running, watched: &Watched) {
        let instance = self.instance;
        running.part(instance, watched, true).await;
        running.wind_up(instance).await;
        self.init_failed(watched);
        instance.end(None);
        instance.forget_process();
    }

    fn init_failed(&self, watched: &Watched) {
        let instance = self.instance;
        let status = match watched {
            Watched::Killed(Verdict::InitTimedOut) => Some(Status::Timeout),
            Watched::Killed(Verdict::Stop) => None,
            Watched::Exited(exit) => {
                let failure = instance.exit_failure(*exit);
                Some(Status::from(&instance.failed().unwrap_or(failure)))
            }
            Watched::Stillborn | Watched::Killed(_) => {
                instance.failed().map(|failure| Status::from(&failure))
            }
        };
        if let Some(status) = status {
            let told = status.to_string();
            tracing::info!(version = %instance.spec.key, status = told, "no template: the init failed");
            self.node.ladder.init_failed(&instance.spec, &told);
            instance.give_up_start(&status);
        }
    }

    fn park(
        &self,
        template: Arc<dyn Template>,
        outstanding: Outstanding,
        via: Via,
        running: &Running,
    ) -> Arc<Parked> {
        let accompanied = running.beside.is_some();
        // Extensions have to know the instance that they are started for.
        let furnishing = (!accompanied).then(|| furnishing(&self.instance.spec, self.image));
        Arc::new(Parked {
            accompanied,
            spec: Arc::clone(&self.instance.spec),
            berths: Berths::new(Arc::clone(&template), furnishing, BERTHS),
            template,
            outstanding,
            via,
            inherits: running.inherits,
            failures: AtomicU32::new(0),
            instance: Arc::clone(self.instance),
        })
    }

    /// Lets starts be forked from the template until it dies or is told to end.
    async fn look_after(&self, parked: &Arc<Parked>, done: Done) {
        let (node, instance) = (self.node, self.instance);
        let since = Instant::now();
        if instance.is_retired() || !node.ladder.install(parked) {
            return;
        }
        // From here on the version is of this revision; what is older goes.
        node.pool.refresh(&instance.spec);
        let (ladder_of, ready) = (Arc::clone(node), Arc::clone(parked));
        node.handle.spawn(async move {
            ready.berths.fill().await;
            ladder_of
                .ladder
                .order_first_spare(&ladder_of, &ready.spec, done);
        });
        let died = loop {
            if instance.judge(None) == Verdict::Stop {
                break false;
            }
            tokio::select! {
                () = parked.template.died() => break true,
                () = instance.changed() => {}
            }
        };
        // One that nothing can be forked from has been told to end, and is no better than one that died.
        let well = since.elapsed() > LIVED || !(died || parked.is_useless());
        let rest = node.ladder.uninstall(parked, well);
        if died {
            tracing::warn!(version = %instance.spec.key, "template died");
            if let Some(rest) = rest {
                node.ladder.rebuild(node, &instance.spec, rest);
            }
        }
    }

    /// The process serves, as any instance whose start nobody waits for.
    async fn serve(
        &self,
        mut running: Running,
        error: FreezeError,
        done: Done,
    ) -> Result<(), LaunchError> {
        let (node, instance) = (self.node, self.instance);
        let refused = self.refused(error);
        running.since = None;
        node.pool.refresh(&instance.spec);
        node.pool.adopt(instance);
        // Else the pool hears when its extensions are ready, or its runtime is.
        if instance.stay() {
            node.pool.release(instance, None);
        }
        if refused {
            // Now that this one is there, nothing has to be made in the template's place.
            node.pool.refused(&instance.spec);
        }
        drop(done);
        let watched = running.watch(instance, limits::RESTORE, &mut None).await;
        running.part(instance, &watched, false).await;
        running.wind_up(instance).await;
        instance.end(Some(watched.failure(instance)));
        instance.forget_process();
        Ok(())
    }
}

/// Why a process with such extensions is no template.
fn unsuited(running: &Running, instance: &Instance, via: Via) -> Option<Refusal> {
    let refusal = |reason: &'static str, detail: &str| Refusal {
        reason: reason.into(),
        detail: detail.to_owned(),
    };
    if instance.has_internal_extensions() {
        let detail =
            "the runtime's process has registered an extension, which would be every fork's";
        return Some(refusal("internal_extension", detail));
    }
    (running.beside.is_some() && via == Via::Tcp).then(|| {
        let detail = "the runtime connects to the Runtime API by itself, as its extensions do; a fork's connection could \
                      not be told from theirs";
        refusal("extensions", detail)
    })
}

impl OnFree for Parking {
    fn free(&self, instance: &Arc<Instance>, first: bool, via: Via, then: Then) {
        match self.parked.lock().take().filter(|_| first) {
            // The supervisor may have given it up meanwhile.
            Some(parked) => {
                let _ = parked.send((Outstanding::Next(then), via));
            }
            None => self.pool.release(instance, None),
        }
    }

    fn parked(&self, _instance: &Arc<Instance>, via: Via, then: Then) {
        if let Some(parked) = self.parked.lock().take() {
            let _ = parked.send((Outstanding::Restore(then), via));
        }
    }
}
