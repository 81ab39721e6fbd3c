//! What goes wrong with control groups.

use std::io;
use std::path::PathBuf;

use super::Controller;

/// Why a control group does not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// The node's name would not make a folder.
    #[error("the name {name:?} is not made of letters, digits and hyphens")]
    Name {
        /// As given.
        name: String,
    },
    /// No mounted hierarchy has the controller.
    #[error("no cgroup hierarchy with the {controller} controller is mounted")]
    Missing {
        /// The one looked for.
        controller: Controller,
    },
    /// A folder or file in a hierarchy.
    #[error("cannot {action} {path}")]
    Io {
        /// As an infinitive: "write".
        action: &'static str,
        /// Of the file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file does not hold what the kernel documents.
    #[error("{path} does not tell {field}")]
    Format {
        /// Of the file.
        path: PathBuf,
        /// What was looked for.
        field: &'static str,
    },
    /// Killed processes are still there.
    #[error("processes in {path} do not die")]
    Busy {
        /// Of the folder.
        path: PathBuf,
    },
}

impl CgroupError {
    /// Whether a file or folder is not there; the files of a cgroup that is being deleted answer ENODEV.
    pub(super) fn is_not_found(&self) -> bool {
        let CgroupError::Io { source, .. } = self else {
            return false;
        };
        matches!(source.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
    }
}
