//! How the program ends: exit codes that scripts can use, and what is said on standard error.

use std::process::{ExitCode, Termination};

use crate::client::{ApiError, InvalidTarget};
use crate::up::InvalidConfig;

/// How a command ended. The numbers are part of the command line's contract; `pilot --help` lists them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done.
    Done = 0,
    /// Something went wrong; standard error says what.
    Failed = 1,
    /// The command line or the configuration is wrong. Also what clap exits with.
    Usage = 2,
    /// The function was invoked and answered with an error.
    FunctionError = 3,
    /// The function that was named does not exist.
    NotFound = 4,
}

impl Termination for Exit {
    fn report(self) -> ExitCode {
        ExitCode::from(self as u8)
    }
}

/// Says on standard error why a command failed, and which code that is.
pub(crate) fn report(error: &anyhow::Error) -> Exit {
    // A reader that has seen enough (`pilot logs | head`) is not a failure.
    let broken_pipe = |cause: &(dyn std::error::Error + 'static)| {
        cause
            .downcast_ref::<std::io::Error>()
            .is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
    };
    if error.chain().any(broken_pipe) {
        return Exit::Done;
    }
    eprintln!("error: {error:#}");
    match error.downcast_ref::<ApiError>() {
        Some(error) if error.is_not_found() => return Exit::NotFound,
        Some(error) => {
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
        }
        None => {}
    }
    if error.is::<InvalidConfig>() || error.is::<InvalidTarget>() {
        return Exit::Usage;
    }
    Exit::Failed
}
