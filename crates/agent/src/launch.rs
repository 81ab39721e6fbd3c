//! An instance's process, from where it comes cheapest: forked from the version's template, forked from
//! the runtime's zygote, or executed.

mod company;
mod ways;

use std::ffi::CString;
use std::io::Write;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::error::Causes;
use pilotlight_model::start::{Phase, StartKind};
use tokio::net::UnixStream;

use crate::agent::Node;
use crate::clock;
use crate::environment::{self, Initialization};
use crate::instance::{Begin, Instance};
use crate::ladder::{Origin, Parked, Zygote};
use crate::launcher::{Berth, Furnishing, Launch, LaunchError, Launched, RootKey};
use crate::program;
use crate::runtime::RuntimeImage;
use crate::runtime_api::{OnFree, Outstanding, Via};
use crate::start::inherits_connection;
use crate::watch::Running;
use company::Accompanied;
use ways::Ways;

/// What a launch needs.
pub(crate) struct Launching<'a> {
    pub(crate) node: &'a Arc<Node>,
    pub(crate) instance: &'a Arc<Instance>,
    pub(crate) image: &'a RuntimeImage,
    pub(crate) initialization: Initialization,
    /// How long its init may take.
    pub(crate) limit: Duration,
    pub(crate) on_free: Arc<dyn OnFree>,
}

impl Launching<'_> {
    /// Makes the process in the cheapest way that there is, from that kind on. What cannot be forked, or
    /// has died at that very moment, costs the start the next way and nothing else.
    pub(crate) async fn run(&self, cheapest: StartKind) -> Result<Running, LaunchError> {
        let ladder = &self.node.ladder;
        let mut cheapest = cheapest;
        loop {
            let origin = ladder.origin(&self.instance.spec, cheapest);
            let (kind, launched) = match &origin {
                Origin::Template(template) => {
                    // Of one that is made ahead: see `run_spare`.
                    let forked = match self.initialization {
                        Initialization::Provisioned => {
                            let berth = template.berths.build_ahead();
                            self.fork_template(template, berth, true).await
                        }
                        _ => {
                            let berth = template.berths.take();
                            self.fork_template(template, berth, false).await
                        }
                    };
                    (StartKind::Forked, forked)
                }
                Origin::Zygote(zygote) => (StartKind::Zygote, self.fork_zygote(zygote).await),
                Origin::Nothing => return self.boot_in_one_of_two().await,
            };
            let error = match launched {
                Ok(mut running) => {
                    match origin {
                        // Whether that fork is of use is seen when it asks for an event.
                        Origin::Template(_) => running.origin = Some(origin),
                        _ => origin.forked(true),
                    }
                    return Ok(running);
                }
                // Another process would fare no better.
                Err(ended @ LaunchError::Extensions(_)) => return Err(ended),
                Err(error) => error,
            };
            tracing::warn!(
                instance = %self.instance.id, version = %self.instance.spec.key, %kind,
                error = %Causes(&error), "fork failed"
            );
            origin.forked(false);
            cheapest = match kind {
                StartKind::Forked => StartKind::Zygote,
                _ => StartKind::Booted,
            };
        }
    }

    /// A fork of the version's template, and nothing else: what costs an init is no spare.
    pub(crate) async fn run_spare(&self) -> Result<Running, LaunchError> {
        let origin = self
            .node
            .ladder
            .origin(&self.instance.spec, StartKind::Forked);
        let Origin::Template(template) = &origin else {
            return Err(LaunchError::platform("fork", "the template has gone"));
        };
        // Nobody waits for it: the berth that is ready is for a request.
        let forked = self
            .fork_template(template, template.berths.build_ahead(), true)
            .await;
        if matches!(&forked, Err(error) if !matches!(error, LaunchError::Extensions(_))) {
            origin.forked(false);
        }
        forked.map(|running| Running {
            origin: Some(origin),
            ..running
        })
    }

    /// A fork of the version's template, for a request or ahead of one.
    async fn fork_template(
        &self,
        template: &Parked,
        berth: impl Future<Output = Result<Box<dyn Berth>, LaunchError>>,
        ahead: bool,
    ) -> Result<Running, LaunchError> {
        let instance = self.instance;
        let initialization = match self.initialization {
            Initialization::OnDemand if instance.spec.has_snap_start() => Initialization::SnapStart,
            other => other,
        };
        let told = environment::restored(instance.log.stream(), initialization, ahead);
        instance.begin(Begin::Template(told), self.image, self.initialization);
        let mut berth = berth.await?;
        instance.trace(|trace| trace.end(Phase::Slot, clock::now()));
        let mut ways = Ways::of(berth.take_listeners())?;
        let accompanied = match template.accompanied {
            // Else it is furnished.
            true => self.furnish(&mut *berth, &mut ways).await?,
            false => None,
        };
        let outstanding = (template.outstanding, template.via);
        self.fork(berth, ways, template.inherits, outstanding, accompanied)
            .await
    }

    /// Puts root and limits into a berth, and extensions, if the version's layers bring any.
    async fn furnish(
        &self,
        berth: &mut dyn Berth,
        ways: &mut Ways,
    ) -> Result<Option<Accompanied>, LaunchError> {
        let accompanied = self.accompany_in_berth(berth, ways).await?;
        if accompanied.is_none() {
            let furnishing = furnishing(&self.instance.spec, self.image);
            berth.furnish(furnishing).await?;
            self.instance
                .trace(|trace| trace.end(Phase::Mounts, clock::now()));
        }
        Ok(accompanied)
    }

    /// A fork of the runtime's zygote, told to be this instance.
    async fn fork_zygote(&self, zygote: &Zygote) -> Result<Running, LaunchError> {
        let (instance, spec) = (self.instance, &self.instance.spec);
        let stream = instance.log.stream();
        let assignment = environment::assignment(
            spec,
            self.image,
            stream,
            self.initialization,
            self.node.door(),
        );
        instance.begin(Begin::Zygote(assignment), self.image, self.initialization);
        let mut berth = zygote.berths.take().await?;
        instance.trace(|trace| trace.end(Phase::Slot, clock::now()));
        let mut ways = Ways::of(berth.take_listeners())?;
        let accompanied = self.furnish(&mut *berth, &mut ways).await?;
        let outstanding = (Outstanding::Assignment, Via::Inherited);
        self.fork(berth, ways, true, outstanding, accompanied).await
    }

    async fn fork(
        &self,
        berth: Box<dyn Berth>,
        ways: Ways,
        inherits: bool,
        outstanding: (Outstanding, Via),
        accompanied: Option<Accompanied>,
    ) -> Result<Running, LaunchError> {
        let (outstanding, via) = outstanding;
        // What the fork waits for it finds in its socket.
        let answer = match via {
            Via::Inherited => self.instance.answer(outstanding),
            Via::Tcp => None,
        };
        let (ours, theirs) = pair(inherits, answer.as_deref())?;
        let from = clock::now();
        let launched = berth.fork(theirs.map(Into::into)).await?;
        let to = launched.marks.spawn;
        self.node.ladder.count_fork(to.since(from));
        self.instance.trace(|trace| trace.forked(from, to));
        let unanswered = match answer {
            Some(_) => {
                self.instance.answered(outstanding);
                None
            }
            None => Some((outstanding, via)),
        };
        self.attend(launched, ours, ways, unanswered, accompanied)
            .await
    }

    /// A pooled sandbox may have died, and be the first to know. No event was given to it yet, so another one is as good.
    async fn boot_in_one_of_two(&self) -> Result<Running, LaunchError> {
        let error = match self.boot().await {
            Err(error @ LaunchError::Platform { .. }) => error,
            ended => return ended,
        };
        tracing::warn!(
            instance = %self.instance.id, version = %self.instance.spec.key,
            error = %Causes(&error), "boot failed, and is tried once more"
        );
        self.boot().await
    }

    /// Executes the first of the runtime's programs that can be.
    async fn boot(&self) -> Result<Running, LaunchError> {
        self.instance
            .begin(Begin::Boot, self.image, self.initialization);
        let mut last = None;
        for argv in program::of_instance(self.image, &self.instance.spec) {
            match self.boot_program(argv).await {
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

    async fn boot_program(&self, argv: Vec<CString>) -> Result<Running, LaunchError> {
        let (instance, spec) = (self.instance, &self.instance.spec);
        let mut slot = self.node.launcher.slot().await?;
        instance.trace(|trace| trace.end(Phase::Slot, clock::now()));
        let mut ways = Ways::of(slot.take_listeners())?;
        let accompanied = self.accompany_in_slot(&mut *slot, &mut ways).await?;
        let inherits = inherits_connection(spec.runtime.image());
        let (ours, theirs) = pair(inherits, None)?;
        let launch = Launch {
            owner: Some(spec.key.clone()),
            root: RootKey::of(spec, &self.image.digest),
            argv,
            env: environment::of_instance(
                spec,
                self.image,
                instance.log.stream(),
                inherits,
                self.initialization,
                self.node.door(),
            ),
            memory_mb: spec.memory_mb,
            tmp_mb: spec.ephemeral_storage_mb,
            request_socket: theirs.map(Into::into),
        };
        let launched = slot.launch(launch).await?;
        instance.trace(|trace| trace.launched(launched.marks));
        self.attend(launched, ours, ways, None, accompanied).await
    }

    /// Begins to listen to a process.
    async fn attend(
        &self,
        launched: Launched,
        connection: Option<UnixStream>,
        ways: Ways,
        outstanding: Option<(Outstanding, Via)>,
        accompanied: Option<Accompanied>,
    ) -> Result<Running, LaunchError> {
        let instance = self.instance;
        let process: Arc<dyn crate::launcher::Process> = launched.process.into();
        instance.launched(Arc::clone(&process));
        let reader = instance
            .log
            .attach(launched.stdout, launched.stderr)
            .map_err(|error| LaunchError::platform("log pipes", error))?;
        // Only now, when the start is on the books, can its end be: until then what the runtime says
        // waits in its socket.
        let inherits = connection.is_some();
        let (server, beside) = match accompanied {
            Some(Accompanied { beside, server }) => {
                if let Some(connection) = connection {
                    let outstanding = outstanding.map(|(outstanding, _)| outstanding);
                    server.join(connection, outstanding).await;
                }
                (server, Some(beside))
            }
            None => {
                let server = self.listen(connection, ways, outstanding);
                (server, None)
            }
        };
        Ok(Running {
            process,
            since: beside.as_ref().map(|beside| beside.since),
            beside,
            server,
            reader: tokio::spawn(reader),
            inherits,
            origin: None,
        })
    }
}

/// What a fork of that version is put into.
pub(crate) fn furnishing(
    spec: &pilotlight_model::function::FunctionSpec,
    image: &RuntimeImage,
) -> Furnishing {
    Furnishing {
        owner: spec.key.clone(),
        root: RootKey::of(spec, &image.digest),
        memory_mb: spec.memory_mb,
        tmp_mb: spec.ephemeral_storage_mb,
    }
}

/// A connected pair, where it is wanted: our end for the reactor, theirs for a process that blocks, and that finds there
/// what is `said` already.
pub(crate) fn pair(
    wanted: bool,
    said: Option<&[u8]>,
) -> Result<(Option<UnixStream>, Option<std::os::unix::net::UnixStream>), LaunchError> {
    if !wanted {
        return Ok((None, None));
    }
    let pair = || {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        if let Some(said) = said {
            // Far less than a socket holds.
            (&ours).write_all(said)?;
        }
        Ok((Some(UnixStream::from_std(ours)?), Some(theirs)))
    };
    pair().map_err(|error: std::io::Error| LaunchError::platform("request socket", error))
}
