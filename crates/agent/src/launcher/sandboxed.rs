//! The real thing: processes in the sandboxes of this machine, on images of the store.

use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use pilotlight_model::function::VersionKey;
use pilotlight_model::ids::Digest;
use pilotlight_model::node::BoxFuture;
use pilotlight_model::start::Instant;
use pilotlight_sandbox as sandbox;
use pilotlight_store::Store;

use super::running::Running;
use super::{Launch, LaunchError, Launched, Launcher, Marks, RootKey, Slot};
use crate::roots::{Code, Mounter, Rooted, Roots};

/// Working directory of every instance.
const WORKING_DIRECTORY: &std::ffi::CStr = c"/var/task";

/// Launches in real sandboxes.
pub(crate) struct Sandboxed {
    sandboxes: sandbox::Sandboxes,
    roots: Arc<Roots<Erofs>>,
}

/// Mounts the store's images.
pub(crate) struct Erofs {
    store: Arc<Store>,
    resolv_conf: PathBuf,
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

impl Mounter for Erofs {
    type Image = sandbox::Image;
    type Root = sandbox::Root;

    fn mount(&self, digest: &Digest) -> Result<sandbox::Image, LaunchError> {
        sandbox::Image::mount(&self.store.image_path(digest))
            .map_err(|error| LaunchError::platform("cannot mount an image", error))
    }

    fn read_ahead(&self, image: &sandbox::Image) {
        image.read_ahead();
    }

    fn assemble(
        &self,
        runtime: &sandbox::Image,
        code: Code<'_, sandbox::Image>,
        layers: &[&sandbox::Image],
    ) -> Result<sandbox::Root, LaunchError> {
        let code = match code {
            Code::Image(image) => sandbox::Code::Image(image),
            Code::Live(folder) => sandbox::Code::Live(folder),
            Code::Empty => sandbox::Code::Empty,
        };
        sandbox::Root::assemble(runtime, code, layers, &self.resolv_conf)
            .map_err(|error| LaunchError::platform("cannot assemble the root", error))
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
            let slot = self
                .sandboxes
                .slot()
                .await
                .map_err(|error| LaunchError::platform("cannot make a sandbox", error))?;
            let slot: Box<dyn Slot> = Box::new(EmptySandbox {
                slot,
                taken: false,
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
    slot: sandbox::Slot,
    taken: bool,
    roots: Arc<Roots<Erofs>>,
}

impl Slot for EmptySandbox {
    fn take_runtime_api(&mut self) -> Option<TcpListener> {
        (!std::mem::replace(&mut self.taken, true)).then(|| self.slot.take_runtime_api())
    }

    fn launch(
        self: Box<Self>,
        launch: Launch,
    ) -> BoxFuture<'static, Result<Launched, LaunchError>> {
        Box::pin(async move {
            let rooted = rooted(&self.roots, launch.owner, launch.root).await?;
            let process = self
                .slot
                .launch(sandbox::Launch {
                    root: &rooted.root,
                    argv: launch.argv,
                    env: launch.env,
                    cwd: WORKING_DIRECTORY.to_owned(),
                    memory_mb: launch.memory_mb,
                    tmp_mb: launch.tmp_mb,
                    request_socket: launch.request_socket,
                })
                .await
                .map_err(launch_error)?;
            launched(process, self.roots)
        })
    }
}

pub(super) type KeptRoot = Arc<Rooted<Erofs>>;

/// The root of that key, kept for its owner if it has one.
pub(super) async fn rooted(
    roots: &Arc<Roots<Erofs>>,
    owner: Option<VersionKey>,
    key: RootKey,
) -> Result<KeptRoot, LaunchError> {
    match (roots.find(&key), owner) {
        (Some(rooted), _) => Ok(rooted),
        (None, Some(owner)) => keep(roots, owner, key).await,
        // Nobody waits for what has no owner: it is a zygote, or compiles something.
        (None, None) => {
            let roots = Arc::clone(roots);
            blocking(move || {
                let rooted = roots.once(&key)?;
                roots.read_ahead(&rooted);
                Ok(rooted)
            })
            .await
        }
    }
}

/// The version's root, assembled if need be, and kept for as long as the version is.
async fn keep(
    roots: &Arc<Roots<Erofs>>,
    owner: VersionKey,
    key: RootKey,
) -> Result<KeptRoot, LaunchError> {
    let roots = Arc::clone(roots);
    blocking(move || {
        let rooted = roots.get(&key)?;
        roots.own(owner, key);
        Ok(rooted)
    })
    .await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LaunchError> + Send + 'static,
) -> Result<T, LaunchError> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|error| LaunchError::platform("mounting was cut off", error))?
}

/// A process of the sandboxes', as the agent has it.
pub(super) fn launched(
    process: sandbox::Process,
    roots: Arc<Roots<Erofs>>,
) -> Result<Launched, LaunchError> {
    let clone = |end: &OwnedFd| {
        end.try_clone()
            .map_err(|error| LaunchError::platform("cannot clone a pipe", error))
    };
    let at = process.marks;
    Ok(Launched {
        stdout: clone(&process.stdout)?,
        stderr: clone(&process.stderr)?,
        marks: Marks {
            cgroup: Instant(at.cgroup),
            mounts: Instant(at.mounts),
            network: Instant(at.network),
            spawn: Instant(at.spawn),
        },
        process: Box::new(Running::new(process, roots)),
    })
}

/// Whose fault it is: the function's when its program cannot be executed, else the platform's.
fn launch_error(error: sandbox::LaunchError) -> LaunchError {
    match error {
        sandbox::LaunchError::Exec { program, source } => LaunchError::Exec { program, source },
        other => LaunchError::platform("cannot launch", other),
    }
}
