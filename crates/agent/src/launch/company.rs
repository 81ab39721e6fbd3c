//! Extensions before a process: they are started in its sandbox and have registered when it follows.

use std::time::Duration;

use pilotlight_model::start::Phase;
use tokio::time::sleep_until;

use super::{Launching, Ways, furnishing};
use crate::clock;
use crate::environment;
use crate::extensions::{Accompaniment, Beside, MAX_EXTENSIONS, SHUTDOWN, Shutdown};
use crate::instance::Verdict;
use crate::launcher::{Berth, Company, LaunchError, Marks, Slot};
use crate::runtime_api::Server;

/// What listens to a process that is still to come.
pub(super) struct Accompanied {
    pub(super) beside: Beside,
    pub(super) server: Server,
}

impl Launching<'_> {
    /// Extensions in a slot, if the version's layers bring any.
    pub(super) async fn accompany_in_slot(
        &self,
        slot: &mut dyn Slot,
        ways: &mut Ways,
    ) -> Result<Option<Accompanied>, LaunchError> {
        match self.instance.spec.layers.is_empty() {
            true => Ok(None),
            false => {
                self.attend_to(slot.accompany(self.company()).await?, ways)
                    .await
            }
        }
    }

    /// The same in a berth.
    pub(super) async fn accompany_in_berth(
        &self,
        berth: &mut dyn Berth,
        ways: &mut Ways,
    ) -> Result<Option<Accompanied>, LaunchError> {
        match self.instance.spec.layers.is_empty() {
            true => Ok(None),
            false => {
                self.attend_to(berth.accompany(self.company()).await?, ways)
                    .await
            }
        }
    }

    fn company(&self) -> Company {
        let spec = &self.instance.spec;
        Company {
            furnishing: furnishing(spec, self.image),
            env: environment::of_extensions(spec, self.initialization, self.node.door()),
        }
    }

    /// Listens to extensions until all have registered. When they fail, or the init phase is over before, they have
    /// been ended.
    async fn attend_to(
        &self,
        started: Option<(Accompaniment, Marks)>,
        ways: &mut Ways,
    ) -> Result<Option<Accompanied>, LaunchError> {
        let Some((accompaniment, marks)) = started else {
            return Ok(None);
        };
        let instance = self.instance;
        instance.trace(|trace| trace.furnished(marks));
        let names = accompaniment.names.clone();
        instance.accompany(&names);
        if names.len() > MAX_EXTENSIONS {
            instance.refuse_extensions(&names, MAX_EXTENSIONS);
        }
        let server = self.listen(None, std::mem::take(ways), None);
        let beside = Beside::attend(accompaniment, instance)?;
        let verdict = self.registered(&beside, self.limit).await;
        instance.trace(|trace| trace.end(Phase::Extensions, clock::now()));
        let Err(verdict) = verdict else {
            return Ok(Some(Accompanied { beside, server }));
        };
        let reason = match verdict {
            Verdict::Stop => Shutdown::Spindown,
            Verdict::InitTimedOut => Shutdown::Timeout,
            _ => Shutdown::Failure,
        };
        let deadline = tokio::time::Instant::now() + SHUTDOWN;
        beside.shut_down(instance, reason, deadline).await;
        server.finish().await;
        instance.log.detach([beside.into_reader()]).await;
        Err(LaunchError::Extensions(verdict))
    }

    /// Waits until all have registered, or until they will not.
    async fn registered(&self, beside: &Beside, limit: Duration) -> Result<(), Verdict> {
        let instance = self.instance;
        loop {
            let due = match instance.judge(Some(beside.since + limit)) {
                Verdict::Sleep(due) => due,
                verdict => return Err(verdict),
            };
            if instance.extensions_registered() {
                return Ok(());
            }
            let sleep = async {
                match due {
                    Some(due) => sleep_until(due).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = instance.changed() => {}
                () = sleep => {}
            }
        }
    }
}
