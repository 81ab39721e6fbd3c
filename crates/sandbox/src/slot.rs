//! Slots: pre-built, empty sandboxes, and the start path, which fills one.

use std::ffi::CString;
use std::io;
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::io::ioctl_fionbio;
use rustix::pipe::{PipeFlags, pipe_with};
use tokio::io::unix::AsyncFd;

use crate::cgroup::{CgroupError, CgroupLimits};
use crate::channel::{Channel, Received, are_open};
use crate::clock::monotonic_now;
use crate::companions::{Beside, Companions, Request, told_by};
use crate::foundation::Foundation;
use crate::init::program::{CHANGE_FOLDER, EXECUTE};
use crate::message::{Failure, MAX_SHORT_BYTES, Order, Report, Run};
use crate::mounts::MountError;
use crate::node::{Node, Sandbox};
use crate::process::{Marks, Origin, Process};
use crate::root::Root;
use crate::sys::reactor;

/// Why there is no slot.
#[derive(Debug, thiserror::Error)]
pub enum SlotError {
    /// As many sandboxes are in use, or being deleted, as may be.
    #[error("all {max} slots are taken")]
    Exhausted {
        /// How many that is.
        max: u32,
    },
    /// After shutdown.
    #[error("sandboxes are shut down")]
    Closed,
    /// The kernel forks no sandbox.
    #[error("cannot fork a sandbox")]
    Fork(#[source] io::Error),
    /// Its control group.
    #[error("cannot make the control group")]
    Cgroup(#[from] CgroupError),
    /// Something that is done for it, or inside.
    #[error("the sandbox cannot {step}")]
    Inside {
        /// What was tried.
        step: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The talk with the sandbox's processes.
    #[error("the sandbox does not answer as it should")]
    Channel(#[source] io::Error),
}

impl From<Failure> for SlotError {
    fn from(Failure { step, errno }: Failure) -> SlotError {
        SlotError::Inside {
            step,
            source: io::Error::from_raw_os_error(errno),
        }
    }
}

/// Why the program does not run.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// It cannot be executed: there is no such file, or it is not executable. The function is at fault.
    #[error("cannot execute {program}")]
    Exec {
        /// Its path inside.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Arguments and environment are more than a sandbox takes.
    #[error("arguments and environment are too long, or empty")]
    Arguments,
    /// The limits.
    #[error("cannot limit the control group")]
    Cgroup(#[from] CgroupError),
    /// The root.
    #[error("cannot provide the root")]
    Mount(#[from] MountError),
    /// Something that is done inside.
    #[error("the sandbox cannot {step}")]
    Inside {
        /// What was tried.
        step: String,
        /// Why it failed.
        #[source]
        source: io::Error,
    },
    /// The talk with the sandbox's processes.
    #[error("the sandbox does not answer as it should")]
    Channel(#[from] io::Error),
}

impl LaunchError {
    /// The exit status with which a shell, and AWS Lambda, would report it: 127 where there is no such program, 126 where
    /// it is not executable. `None` where the function is not at fault.
    #[must_use]
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            LaunchError::Exec { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                Some(127)
            }
            LaunchError::Exec { .. } => Some(126),
            _ => None,
        }
    }
}

/// What to run in a slot.
#[derive(Debug)]
pub struct Launch<'a> {
    /// What the program sees as its file system. (That of an [`Accompanied`] slot is there already, like its limits.)
    pub root: &'a Root,
    /// The program's path inside, and its arguments.
    pub argv: Vec<CString>,
    /// All of its environment, `NAME=value`.
    pub env: Vec<CString>,
    /// Where it starts.
    pub cwd: CString,
    /// Memory limit, in MiB. While it boots its share of the CPU is not limited, see [`Process::boot_ended`].
    pub memory_mb: u32,
    /// Size of `/tmp`, in MiB.
    pub tmp_mb: u32,
    /// Becomes its descriptor 3.
    pub request_socket: Option<OwnedFd>,
}

/// An empty sandbox. It serves once; dropping it deletes it.
#[derive(Debug)]
pub struct Slot {
    sandbox: Sandbox,
    control: Channel,
    program: Channel,
    program_pid: i32,
    runtime_api: Option<TcpListener>,
    pub(crate) pooled: bool,
}

impl Slot {
    /// Builds one, from nothing. Blocks for milliseconds, most of them waiting for the kernel.
    pub(crate) fn build(node: &Arc<Node>) -> Result<Slot, SlotError> {
        let Foundation {
            sandbox,
            control,
            program,
            program_pid,
            runtime_api,
        } = Foundation::lay(node, &node.user_ids(), None)?;
        sandbox.hurry()?;
        // From here on async code waits on them.
        for channel in [&control, &program] {
            ioctl_fionbio(channel, true).map_err(|error| SlotError::Channel(error.into()))?;
        }
        Ok(Slot {
            sandbox,
            control,
            program,
            program_pid,
            runtime_api: Some(runtime_api),
            pooled: false,
        })
    }

    /// Whether it waited in the pool, and was not built for the caller.
    #[must_use]
    pub fn pooled(&self) -> bool {
        self.pooled
    }

    /// Whether its init and its program wait for orders still. With one that somebody killed meanwhile it is of no use.
    pub(crate) fn is_alive(&self) -> bool {
        are_open([&self.control, &self.program])
    }

    /// The listener at 127.0.0.1:9001 inside, non-blocking.
    ///
    /// # Panics
    /// The second time.
    pub fn take_runtime_api(&mut self) -> TcpListener {
        self.runtime_api
            .take()
            .expect("a slot's listener is taken once")
    }

    /// Fills the slot and executes the program. Dropping the future deletes the slot.
    ///
    /// # Errors
    /// The program cannot be executed, or the platform failed. The slot is no more.
    pub async fn launch(self, launch: Launch<'_>) -> Result<Process, LaunchError> {
        let Slot {
            sandbox,
            control,
            program,
            program_pid,
            ..
        } = self;
        let run = match Run::encode(&launch.cwd, &launch.argv, &launch.env) {
            Some(run) if !launch.argv.is_empty() => run,
            _ => return Err(LaunchError::Arguments),
        };

        // The parked program reads this while init mounts; it waits for init before it goes on.
        let origin = Origin::of(&sandbox, launch.request_socket.as_ref())?;
        let outputs = tell(&program, &run, launch.request_socket)?;

        // A few writes to a file system without a disk.
        sandbox.limit(&CgroupLimits::booting(launch.memory_mb))?;
        let cgroup = monotonic_now();

        // Init mounts it, makes it the root of all, gives up its privileges and lets the program go.
        let root = launch.root.clone_tree().await?;
        let tmp_bytes = u64::from(launch.tmp_mb) << 20;
        control.send(&Order::Launch { tmp_bytes }.encode(), &[root.as_fd()])?;
        drop(root);

        // It says when it is about to call `execve`; if that succeeds, the kernel closes its end.
        let control = reactor::readable(control)?;
        let program = reactor::readable(program)?;
        let spawn = executed(&program, &control, &launch.argv[0], &launch.cwd).await?;
        match receive(&control).await? {
            Some(Report::Launched { mounts, network }) => {
                let marks = Marks {
                    cgroup,
                    mounts,
                    network,
                    spawn,
                };
                Ok(Process::new(
                    sandbox,
                    control,
                    program_pid,
                    launch.memory_mb,
                    outputs,
                    marks,
                    origin,
                ))
            }
            Some(report) => Err(failure(report)),
            None => Err(LaunchError::Channel(io::ErrorKind::UnexpectedEof.into())),
        }
    }

    /// Fills the slot and starts companions; its program follows. Dropping the future deletes the slot.
    ///
    /// # Errors
    /// The platform failed. The slot is no more.
    pub async fn accompany(
        self,
        beside: Beside<'_>,
    ) -> Result<(Accompanied, Companions), LaunchError> {
        let request = Request::prepare(&beside)?;
        let memory_mb = beside.memory_mb;
        self.sandbox.limit(&CgroupLimits::booting(memory_mb))?;
        let cgroup = monotonic_now();
        let root = beside.root.clone_tree().await?;
        let tmp_bytes = u64::from(beside.tmp_mb) << 20;
        let pending = request.send(&self.control, &root, tmp_bytes)?;
        drop(root);
        let control = reactor::readable(self.control)?;
        let companions = match pending.started().await {
            Ok(companions) => companions,
            Err(error) => return Err(told_by(&control, error).await),
        };
        match receive(&control).await? {
            Some(Report::Launched { mounts, network }) => {
                let accompanied = Accompanied {
                    sandbox: self.sandbox,
                    control,
                    program: self.program,
                    program_pid: self.program_pid,
                    memory_mb,
                    marks: Marks {
                        cgroup,
                        mounts,
                        network,
                        spawn: network,
                    },
                };
                Ok((accompanied, companions))
            }
            Some(report) => Err(failure(report)),
            None => Err(LaunchError::Channel(io::ErrorKind::UnexpectedEof.into())),
        }
    }
}

/// A slot that is filled and has companions; its program waits to be told what to execute. Dropping it deletes all.
#[derive(Debug)]
pub struct Accompanied {
    sandbox: Sandbox,
    control: AsyncFd<Channel>,
    program: Channel,
    program_pid: i32,
    memory_mb: u32,
    marks: Marks,
}

impl Accompanied {
    /// When each step up to here ended; the program is still to be executed.
    #[must_use]
    pub fn marks(&self) -> Marks {
        self.marks
    }

    /// Executes the program beside its companions. Dropping the future deletes the sandbox.
    ///
    /// # Errors
    /// The program cannot be executed, or the platform failed. The sandbox is no more.
    pub async fn launch(self, launch: Launch<'_>) -> Result<Process, LaunchError> {
        let run = match Run::encode(&launch.cwd, &launch.argv, &launch.env) {
            Some(run) if !launch.argv.is_empty() => run,
            _ => return Err(LaunchError::Arguments),
        };
        let origin = Origin::of(&self.sandbox, launch.request_socket.as_ref())?;
        let outputs = tell(&self.program, &run, launch.request_socket)?;
        self.control.get_ref().send(&Order::Go.encode(), &[])?;
        let program = reactor::readable(self.program)?;
        let spawn = executed(&program, &self.control, &launch.argv[0], &launch.cwd).await?;
        Ok(Process::new(
            self.sandbox,
            self.control,
            self.program_pid,
            self.memory_mb,
            outputs,
            Marks {
                spawn,
                ..self.marks
            },
            origin,
        ))
    }
}

/// Tells the parked program what to execute; returns our ends of its standard output and error.
fn tell(
    program: &Channel,
    run: &[u8],
    request_socket: Option<OwnedFd>,
) -> io::Result<[OwnedFd; 2]> {
    let (stdout, their_stdout) = pipe_with(PipeFlags::CLOEXEC)?;
    let (stderr, their_stderr) = pipe_with(PipeFlags::CLOEXEC)?;
    let mut descriptors = vec![their_stdout.as_fd(), their_stderr.as_fd()];
    descriptors.extend(request_socket.as_ref().map(OwnedFd::as_fd));
    // What is held here would keep the pipes open when the program has ended; it is dropped with this call.
    program.send(run, &descriptors)?;
    Ok([stdout, stderr])
}

/// Waits until the program is executed; returns when it was about to be.
async fn executed(
    program: &AsyncFd<Channel>,
    control: &AsyncFd<Channel>,
    path: &CString,
    cwd: &CString,
) -> Result<u64, LaunchError> {
    let (spawn, heard) = match receive(program).await? {
        Some(Report::Executing { at }) => (at, receive(program).await?),
        Some(report) => (0, Some(report)),
        None => return Err(LaunchError::Channel(io::ErrorKind::UnexpectedEof.into())),
    };
    match heard {
        None => Ok(spawn),
        Some(Report::Failed(Failure { step, errno }))
            if step == EXECUTE || step == CHANGE_FOLDER =>
        {
            let program = if step == EXECUTE { path } else { cwd };
            let source = io::Error::from_raw_os_error(errno);
            Err(LaunchError::Exec {
                program: program.to_string_lossy().into_owned(),
                source,
            })
        }
        // Init, without which the program could not go on, knows better.
        Some(report) => Err(failure(receive(control).await?.unwrap_or(report))),
    }
}

/// The next report, or none at the channel's end.
pub(crate) async fn receive(channel: &AsyncFd<Channel>) -> io::Result<Option<Report>> {
    let received = receive_all(channel).await?;
    Ok(received.map(|(report, _)| report))
}

/// The next report and what is beside it, or none at the channel's end.
pub(crate) async fn receive_all(
    channel: &AsyncFd<Channel>,
) -> io::Result<Option<(Report, Received)>> {
    let mut buffer = [0; MAX_SHORT_BYTES];
    loop {
        let mut readable = channel.readable().await?;
        match readable.try_io(|channel| channel.get_ref().receive(&mut buffer)) {
            Ok(received) => {
                let received = received?;
                return match received.length {
                    0 => Ok(None),
                    length => Ok(Some((Report::decode(&buffer[..length])?, received))),
                };
            }
            Err(_would_block) => {}
        }
    }
}

pub(crate) fn failure(report: Report) -> LaunchError {
    match report {
        Report::Failed(Failure { step, errno }) => LaunchError::Inside {
            step,
            source: io::Error::from_raw_os_error(errno),
        },
        _ => LaunchError::Channel(io::ErrorKind::InvalidData.into()),
    }
}
