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
use super::{Company, Furnishing, Launch, LaunchError, Launched, Launcher, Marks, RootKey, Slot};
use crate::extensions::{Accompaniment, Companions, MAX_EXTENSIONS};
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
            let mut slot = slot;
            let slot: Box<dyn Slot> = Box::new(EmptySandbox {
                runtime_api: Some(slot.take_runtime_api()),
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
    runtime_api: Option<TcpListener>,
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
    fn take_runtime_api(&mut self) -> Option<TcpListener> {
        self.runtime_api.take()
    }

    fn accompany(
        &mut self,
        company: Company,
    ) -> BoxFuture<'_, Result<Option<(Accompaniment, Marks)>, LaunchError>> {
        Box::pin(async move {
            let Furnishing { owner, root, .. } = &company.furnishing;
            let rooted = rooted(&self.roots, Some(owner.clone()), root.clone()).await?;
            if rooted.root.extensions().is_empty() {
                return Ok(None);
            }
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
    let marks = marks(process.marks);
    Ok(Launched {
        stdout: clone(&process.stdout)?,
        stderr: clone(&process.stderr)?,
        marks,
        process: Box::new(Running::new(process, roots)),
    })
}

fn marks(at: sandbox::Marks) -> Marks {
    Marks {
        cgroup: Instant(at.cgroup),
        mounts: Instant(at.mounts),
        network: Instant(at.network),
        spawn: Instant(at.spawn),
    }
}

/// What is to run beside a program in that root.
pub(super) fn beside<'a>(company: &Company, rooted: &'a KeptRoot) -> sandbox::Beside<'a> {
    let extensions = rooted.root.extensions().iter();
    sandbox::Beside {
        root: &rooted.root,
        memory_mb: company.furnishing.memory_mb,
        tmp_mb: company.furnishing.tmp_mb,
        // Those beyond are refused by name.
        programs: extensions.take(MAX_EXTENSIONS).cloned().collect(),
        env: company.env.clone(),
    }
}

/// The sandbox's companions, as the agent has them.
pub(super) fn accompaniment(
    rooted: &KeptRoot,
    companions: sandbox::Companions,
) -> Result<Accompaniment, LaunchError> {
    let clone = |end: &OwnedFd| {
        end.try_clone()
            .map_err(|error| LaunchError::platform("cannot clone a pipe", error))
    };
    let name = |path: &std::ffi::CString| {
        let path = path.to_string_lossy();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    Ok(Accompaniment {
        names: rooted.root.extensions().iter().map(name).collect(),
        stdout: clone(&companions.stdout)?,
        stderr: clone(&companions.stderr)?,
        companions: Arc::new(Programs(companions)),
    })
}

struct Programs(sandbox::Companions);

impl Companions for Programs {
    fn next_end(&self) -> BoxFuture<'_, Option<(usize, sandbox::CompanionEnd)>> {
        Box::pin(self.0.next_end())
    }

    fn kill(&self, index: usize) {
        self.0.kill(index);
    }
}

/// Whose fault it is: the function's when its program cannot be executed, else the platform's.
fn launch_error(error: sandbox::LaunchError) -> LaunchError {
    match error {
        sandbox::LaunchError::Exec { program, source } => LaunchError::Exec { program, source },
        other => LaunchError::platform("cannot launch", other),
    }
}
