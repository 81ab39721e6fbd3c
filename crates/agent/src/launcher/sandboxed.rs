//! The real thing: processes in the sandboxes of this machine.

use std::path::PathBuf;
use std::sync::Arc;

use pilotlight_model::function::VersionKey;
use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox as sandbox;
use pilotlight_store::Store;

use super::mounting::{Erofs, KeptRoot, blocking, keep, rooted, rooted_beside};
use super::terms::{accompaniment, beside, launch_error, launched, marks};
use super::{Company, Launch, LaunchError, Launched, Launcher, Marks, RootKey, Slot};
use crate::extensions::Accompaniment;
use crate::roots::Roots;

/// Working directory of every instance.
const WORKING_DIRECTORY: &std::ffi::CStr = c"/var/task";

/// Launches in real sandboxes.
pub(crate) struct Sandboxed {
    sandboxes: sandbox::Sandboxes,
    roots: Arc<Roots<Erofs>>,
}

impl Sandboxed {
    pub(crate) fn new(
        sandboxes: sandbox::Sandboxes,
        store: Arc<Store>,
        resolv_conf: PathBuf,
    ) -> Self {
        Self {
            sandboxes,
            roots: Arc::new(Roots::new(Erofs { store, resolv_conf })),
        }
    }
}

impl Launcher for Sandboxed {
    fn prepare(&self, owner: VersionKey, root: RootKey) -> BoxFuture<'_, Result<(), LaunchError>> {
        Box::pin(async move {
            let rooted = keep(&self.roots, owner, root).await?;
            let roots = Arc::clone(&self.roots);
            blocking(move || {
                roots.read_ahead(&rooted);
                Ok(())
            })
            .await
        })
    }

    fn forget(&self, owner: &VersionKey) {
        self.roots.forget(owner);
    }

    fn slot(&self) -> BoxFuture<'_, Result<Box<dyn Slot>, LaunchError>> {
        Box::pin(async {
            let mut slot = self
                .sandboxes
                .slot()
                .await
                .map_err(|error| LaunchError::platform("cannot make a sandbox", error))?;
            let slot: Box<dyn Slot> = Box::new(EmptySandbox {
                listeners: Some(slot.take_listeners()),
                slot: Filling::Empty(slot),
                roots: Arc::clone(&self.roots),
            });
            Ok(slot)
        })
    }

    fn pooled(&self) -> usize {
        self.sandboxes.pooled()
    }

    fn forks(&self) -> bool {
        let check = sandbox::probe::templates();
        if let Some(advice) = &check.advice {
            tracing::warn!(found = check.found, advice, "nothing can be forked");
        }
        check.outcome == sandbox::probe::Outcome::Ok
    }
}

struct EmptySandbox {
    slot: Filling,
    listeners: Option<sandbox::Listeners>,
    roots: Arc<Roots<Erofs>>,
}

/// How far a sandbox is filled.
enum Filling {
    Empty(sandbox::Slot),
    /// Extensions run in it, in that root.
    Accompanied(sandbox::Accompanied, KeptRoot),
    /// It came to nothing.
    Gone,
}

impl Slot for EmptySandbox {
    fn take_listeners(&mut self) -> Option<sandbox::Listeners> {
        self.listeners.take()
    }

    fn accompany(
        &mut self,
        company: Company,
    ) -> BoxFuture<'_, Result<Option<(Accompaniment, Marks)>, LaunchError>> {
        Box::pin(async move {
            let Some(rooted) = rooted_beside(&self.roots, &company).await? else {
                return Ok(None);
            };
            let Filling::Empty(slot) = std::mem::replace(&mut self.slot, Filling::Gone) else {
                return Err(LaunchError::platform("a sandbox", "is filled twice"));
            };
            let (accompanied, companions) = slot
                .accompany(beside(&company, &rooted))
                .await
                .map_err(launch_error)?;
            let marks = marks(accompanied.marks());
            let accompaniment = accompaniment(&rooted, companions)?;
            self.slot = Filling::Accompanied(accompanied, rooted);
            Ok(Some((accompaniment, marks)))
        })
    }

    fn launch(
        self: Box<Self>,
        launch: Launch,
    ) -> BoxFuture<'static, Result<Launched, LaunchError>> {
        Box::pin(async move {
            let fill = |root| sandbox::Launch {
                root,
                argv: launch.argv,
                env: launch.env,
                cwd: WORKING_DIRECTORY.to_owned(),
                memory_mb: launch.memory_mb,
                tmp_mb: launch.tmp_mb,
                request_socket: launch.request_socket,
            };
            let process = match self.slot {
                Filling::Empty(slot) => {
                    let rooted = rooted(&self.roots, launch.owner, launch.root).await?;
                    slot.launch(fill(&rooted.root)).await
                }
                Filling::Accompanied(slot, rooted) => slot.launch(fill(&rooted.root)).await,
                Filling::Gone => {
                    return Err(LaunchError::platform("a sandbox", "is filled twice"));
                }
            };
            launched(process.map_err(launch_error)?, self.roots)
        })
    }
}
