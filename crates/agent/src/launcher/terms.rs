//! What the sandboxes of this machine say, in the agent's terms, and the other way round.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use pilotlight_model::node::BoxFuture;
use pilotlight_model::start::Instant;
use pilotlight_sandbox as sandbox;

use super::mounting::{Erofs, KeptRoot};
use super::running::Running;
use super::{Company, LaunchError, Launched, Marks};
use crate::extensions::{Accompaniment, Companions, MAX_EXTENSIONS};
use crate::roots::Roots;

/// A process of the sandboxes', as the agent has it.
pub(super) fn launched(
    process: sandbox::Process,
    roots: Arc<Roots<Erofs>>,
) -> Result<Launched, LaunchError> {
    Ok(Launched {
        stdout: cloned(&process.stdout)?,
        stderr: cloned(&process.stderr)?,
        marks: marks(process.marks),
        process: Box::new(Running::new(process, roots)),
    })
}

/// The times of a start.
pub(super) fn marks(at: sandbox::Marks) -> Marks {
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
    let name = |path: &std::ffi::CString| {
        let path = path.to_string_lossy();
        path.rsplit('/').next().unwrap_or_default().to_owned()
    };
    Ok(Accompaniment {
        names: rooted.root.extensions().iter().map(name).collect(),
        stdout: cloned(&companions.stdout)?,
        stderr: cloned(&companions.stderr)?,
        companions: Arc::new(Programs(companions)),
    })
}

fn cloned(end: &OwnedFd) -> Result<OwnedFd, LaunchError> {
    end.try_clone()
        .map_err(|error| LaunchError::platform("cannot clone a pipe", error))
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
pub(super) fn launch_error(error: sandbox::LaunchError) -> LaunchError {
    match error {
        sandbox::LaunchError::Exec { program, source } => LaunchError::Exec { program, source },
        other => LaunchError::platform("cannot launch", other),
    }
}
