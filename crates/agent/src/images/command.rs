//! Runs the programs that a build needs, with the same surroundings everywhere and errors that explain.

use std::io;
use std::process::{Command, Output, Stdio};

use super::error::BuildError;

/// Lines of standard error that an error shows.
const SHOWN_LINES: usize = 5;

/// A program that a build needs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Program {
    /// Its name, found on the path and in the folders of system tools.
    pub(super) name: &'static str,
    /// Debian package that has it.
    pub(super) package: &'static str,
    /// What to do when it fails.
    pub(super) advice: &'static str,
}

impl Program {
    /// The command without arguments. Its messages are in English, and it asks nothing.
    pub(super) fn command(&self) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let mut command = Command::new(self.name);
        command
            .env("PATH", format!("{path}:/usr/sbin:/usr/bin:/sbin:/bin"))
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(Stdio::null());
        command
    }

    /// Runs the command and returns its standard output.
    pub(super) fn run(&self, command: &mut Command) -> Result<String, BuildError> {
        let output = command.output().map_err(|error| self.not_started(error))?;
        self.check(command, &output)?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// An error unless the command ended well.
    pub(super) fn check(&self, command: &Command, output: &Output) -> Result<(), BuildError> {
        if output.status.success() {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = text
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let shown = &lines[lines.len().saturating_sub(SHOWN_LINES)..];
        Err(self.failed(command, output.status.to_string(), shown.join("; ")))
    }

    /// The command could not even be started.
    pub(super) fn not_started(&self, error: io::Error) -> BuildError {
        if error.kind() == io::ErrorKind::NotFound {
            return BuildError::NoProgram {
                program: self.name,
                package: self.package,
            };
        }
        BuildError::Command {
            command: self.name.to_owned(),
            status: "not started".to_owned(),
            output: error.to_string(),
            advice: self.advice,
        }
    }

    fn failed(&self, command: &Command, status: String, output: String) -> BuildError {
        // The first argument that is no option tells which of apt's commands it was.
        let verb = command
            .get_args()
            .filter_map(|argument| argument.to_str())
            .find(|argument| argument.chars().all(|c| c.is_ascii_lowercase()));
        let command = match verb {
            Some(verb) => format!("{} {verb}", self.name),
            None => self.name.to_owned(),
        };
        BuildError::Command {
            command,
            status,
            output,
            advice: self.advice,
        }
    }
}
