//! The seam between the agent's logic and the machine: what it takes to run a process in a sandbox.
//! [`Sandboxed`] does it for real; tests put a runtime in its place that lives in the same process.

mod forked;
mod mounting;
mod running;
mod sandboxed;
mod terms;

use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::Digest;
use pilotlight_model::ladder::Refusal;
use pilotlight_model::node::BoxFuture;
use pilotlight_model::start::Instant;
use pilotlight_sandbox::{Demand, Lesson, Listeners};

use crate::extensions::Accompaniment;
use crate::instance::Verdict;

pub(crate) use sandboxed::Sandboxed;

/// Runs processes in sandboxes.
pub(crate) trait Launcher: Send + Sync + 'static {
    /// Mounts and assembles what a version's instances see, so that a launch finds it ready.
    fn prepare(&self, owner: VersionKey, root: RootKey) -> BoxFuture<'_, Result<(), LaunchError>>;

    /// The version is no more; what only it used is let go.
    fn forget(&self, owner: &VersionKey);

    /// An empty sandbox, from the pool if one is there.
    fn slot(&self) -> BoxFuture<'_, Result<Box<dyn Slot>, LaunchError>>;

    /// Sandboxes that wait in the pool.
    fn pooled(&self) -> usize;

    /// Whether processes can be frozen and forked on this machine. Where they cannot, every cold start
    /// boots.
    fn forks(&self) -> bool;
}

/// An empty sandbox.
pub(crate) trait Slot: Send {
    /// What can be connected to inside the sandbox; `None` once taken.
    fn take_listeners(&mut self) -> Option<Listeners>;

    /// Fills the sandbox and starts the extensions that its root brings; the program follows. Without extensions nothing
    /// is done.
    fn accompany(
        &mut self,
        company: Company,
    ) -> BoxFuture<'_, Result<Option<(Accompaniment, Marks)>, LaunchError>>;

    /// Fills the sandbox and executes the program. Dropping the future gives the sandbox up.
    fn launch(self: Box<Self>, launch: Launch)
    -> BoxFuture<'static, Result<Launched, LaunchError>>;
}

/// A process in a sandbox. Dropping it kills all of the sandbox's processes.
pub(crate) trait Process: Send + Sync {
    /// Resolves when the program has ended.
    fn wait(&self) -> BoxFuture<'_, Exit>;

    /// Asks the program to end (SIGTERM). Blocks for a moment.
    fn terminate(&self);

    /// Kills every process of the sandbox.
    fn kill(&self);

    /// The init phase is over: from now on CPU is limited in proportion to memory.
    fn init_ended(&self);

    /// The most memory that the sandbox has used.
    fn memory_peak_bytes(&self) -> u64;

    /// How often the kernel killed a process of the sandbox for want of memory.
    fn oom_kills(&self) -> u64;

    /// Memory that is the process's own and not shared with what it was forked from, in bytes. Blocks.
    fn private_bytes(&self) -> u64;

    /// Has the template that it was forked from give later forks ahead what this one has touched of its memory. Whether
    /// that is new to the template: berths that are ready do not profit. Blocks.
    fn teach_template(&self, lesson: Lesson) -> bool;

    /// Stops every thread for good and makes the process a template; refused, it runs on as if nothing
    /// had happened. It waits for the answer to one request, whose connection stays open meanwhile.
    fn freeze(&self) -> BoxFuture<'_, Result<Arc<dyn Template>, FreezeError>>;
}

/// A frozen process that is forked into instances. Dropping the last handle kills it; instances that were
/// forked from it live on.
pub(crate) trait Template: Send + Sync {
    /// A sandbox with a fork in it that waits for its start. Takes some milliseconds: never on the path of
    /// a start if that can be helped. One that a start waits for is not built after those that nobody waits for.
    fn berth(&self, demand: Demand) -> BoxFuture<'_, Result<Box<dyn Berth>, LaunchError>>;

    /// Resolves when it has died.
    fn died(&self) -> BoxFuture<'_, ()>;

    /// Memory that is its own and not shared with what it was forked from, in bytes. Blocks.
    fn private_bytes(&self) -> u64;
}

/// A sandbox with a fork that waits for its start.
pub(crate) trait Berth: Send {
    /// What can be connected to inside the sandbox; `None` once taken.
    fn take_listeners(&mut self) -> Option<Listeners>;

    /// Puts root, limits and `/tmp` in place: ahead of time where the function is known.
    fn furnish(&mut self, furnishing: Furnishing) -> BoxFuture<'_, Result<(), LaunchError>>;

    /// The same, and starts the extensions that the root brings. Without extensions nothing is done.
    fn accompany(
        &mut self,
        company: Company,
    ) -> BoxFuture<'_, Result<Option<(Accompaniment, Marks)>, LaunchError>>;

    /// Whether what is to be forked is there still.
    fn is_alive(&self) -> bool;

    /// Gives the fork ahead what forks of its template touch first, as far as that is known, and a share of
    /// the CPU. For a start that nobody waits for yet. Blocks.
    fn make_ready(&mut self);

    /// Starts the fork. Its descriptor 3 is `request_socket`, if the template had one;
    /// connections that the template had to 127.0.0.1:9001 are made anew by the fork, before its code
    /// runs on. Dropping the future gives the sandbox up.
    fn fork(
        self: Box<Self>,
        request_socket: Option<OwnedFd>,
    ) -> BoxFuture<'static, Result<Launched, LaunchError>>;
}

/// What to run.
#[derive(Debug)]
pub(crate) struct Launch {
    /// Version whose instance it is; its root is kept for the next one.
    pub(crate) owner: Option<VersionKey>,
    /// What the process sees as its file system.
    pub(crate) root: RootKey,
    /// Program and arguments.
    pub(crate) argv: Vec<CString>,
    /// `NAME=value`.
    pub(crate) env: Vec<CString>,
    /// Memory limit; CPU follows it.
    pub(crate) memory_mb: u32,
    /// Size of `/tmp`.
    pub(crate) tmp_mb: u32,
    /// Becomes the program's descriptor 3.
    pub(crate) request_socket: Option<OwnedFd>,
}

/// What a fork is put into.
#[derive(Debug, Clone)]
pub(crate) struct Furnishing {
    /// Version whose instance it is to be.
    pub(crate) owner: VersionKey,
    /// What the process sees as its file system.
    pub(crate) root: RootKey,
    /// Memory limit; CPU follows it.
    pub(crate) memory_mb: u32,
    /// Size of `/tmp`.
    pub(crate) tmp_mb: u32,
}

/// What runs beside a program, and in what.
#[derive(Debug, Clone)]
pub(crate) struct Company {
    pub(crate) furnishing: Furnishing,
    /// `NAME=value`: what extensions find.
    pub(crate) env: Vec<CString>,
}

/// A launched process with its ends of the pipes.
pub(crate) struct Launched {
    pub(crate) process: Box<dyn Process>,
    pub(crate) stdout: OwnedFd,
    pub(crate) stderr: OwnedFd,
    pub(crate) marks: Marks,
}

/// When each step of a launch ended. Of a fork only `spawn` counts: when the copy runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Marks {
    pub(crate) cgroup: Instant,
    pub(crate) mounts: Instant,
    pub(crate) network: Instant,
    pub(crate) spawn: Instant,
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Code(i32),
    Signal(i32),
}

/// Names the contents of a root file system; equal keys are equal trees.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct RootKey {
    pub(crate) runtime: Digest,
    pub(crate) code: CodeKey,
    /// Lowest first.
    pub(crate) layers: Vec<Digest>,
}

/// What stands at `/var/task`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum CodeKey {
    Image(Digest),
    Live(PathBuf),
    /// Nothing: a zygote knows no function.
    Empty,
}

impl RootKey {
    /// The root of that version's instances, on that runtime image.
    pub(crate) fn of(spec: &FunctionSpec, runtime: &Digest) -> Self {
        Self {
            runtime: runtime.clone(),
            code: match &spec.live_code {
                Some(folder) => CodeKey::Live(folder.clone()),
                None => CodeKey::Image(spec.code.clone()),
            },
            layers: once_each(&spec.layers),
        }
    }
}

/// Without what is there again further up, where nothing of it can be seen. Layers of two names may have the
/// same contents, and no overlay takes one image twice.
fn once_each(layers: &[Digest]) -> Vec<Digest> {
    let above = |index: usize| layers.get(index + 1..).unwrap_or_default();
    let seen = layers.iter().enumerate();
    seen.filter(|(index, layer)| !above(*index).contains(layer))
        .map(|(_, layer)| layer.clone())
        .collect()
}

/// Why there is no process.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LaunchError {
    /// The program cannot be executed: the function's own fault.
    #[error("cannot execute {program}")]
    Exec {
        program: String,
        #[source]
        source: io::Error,
    },
    /// The start ended while extensions were started: they failed, or took too long, or nobody needs the instance any
    /// more.
    #[error("the start ended with its extensions: {0:?}")]
    Extensions(Verdict),
    /// The platform failed.
    #[error("{step}")]
    Platform {
        step: &'static str,
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Why a process is no template.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FreezeError {
    /// It holds what cannot be forked. It runs on.
    #[error("refused: {0}")]
    Refused(Refusal),
    /// The platform failed.
    #[error(transparent)]
    Platform(#[from] LaunchError),
}

impl LaunchError {
    /// A failure of the platform in that step.
    pub(crate) fn platform(
        step: &'static str,
        source: impl Into<Box<dyn std::error::Error + Send + Sync>>,
    ) -> Self {
        Self::Platform {
            step,
            source: source.into(),
        }
    }
}

impl fmt::Display for Exit {
    /// As Lambda's own messages have it, which are those of Go's `os.ProcessState`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Exit::Code(code) => write!(f, "exit status {code}"),
            Exit::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(f, "signal: {name}"),
                None => write!(f, "signal: signal {signal}"),
            },
        }
    }
}

fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        31 => "bad system call",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_that_is_layered_twice_counts_where_it_is_highest() {
        let digests = |digits: &str| -> Vec<Digest> {
            let digit = |it: char| it.to_string().repeat(64).parse().unwrap();
            digits.chars().map(digit).collect()
        };
        assert_eq!(once_each(&digests("12131")), digests("231"));
        assert_eq!(once_each(&digests("123")), digests("123"));
        assert_eq!(once_each(&[]), []);
    }
}
