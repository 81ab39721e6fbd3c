//! Why there is no sandbox, and why a program does not run in one.

use std::io;

use crate::cgroup::CgroupError;
use crate::message::{Failure, Report};
use crate::mounts::MountError;

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

impl From<Failure> for LaunchError {
    fn from(Failure { step, errno }: Failure) -> LaunchError {
        LaunchError::Inside {
            step,
            source: io::Error::from_raw_os_error(errno),
        }
    }
}

impl LaunchError {
    /// What a report comes to, or the end of the channel, where something else was to be heard.
    pub(crate) fn instead(heard: Option<Report>) -> LaunchError {
        match heard {
            Some(Report::Failed(failure)) => failure.into(),
            Some(_) => LaunchError::Channel(io::ErrorKind::InvalidData.into()),
            None => LaunchError::Channel(io::ErrorKind::UnexpectedEof.into()),
        }
    }

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
