//! Why a program cannot be a template.

use std::io;

/// What a program has that a fork could not have too. The text is for the function's owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// A thread runs, or is between two calls, instead of waiting.
    #[error(
        "thread {name} is running; while a version is parked, all of its threads have to wait for something"
    )]
    RunningThread {
        /// The thread's name.
        name: String,
    },
    /// The process's first thread has ended, and others go on.
    #[error("the first thread has ended; it has to wait, as the others do")]
    MainThreadEnded,
    /// There are more processes than the program.
    #[error(
        "there are {count} processes; child processes that were started in init cannot be forked along"
    )]
    ChildProcess {
        /// How many, with the program.
        count: usize,
    },
    /// A connection to somewhere else.
    #[error(
        "descriptor {fd} is an open connection ({peer}); open connections in the handler, or on first use"
    )]
    OpenConnection {
        /// Its number.
        fd: i32,
        /// The kind of socket and whom it is connected to, as far as is known.
        peer: String,
    },
    /// A socket that waits for connections.
    #[error("descriptor {fd} listens for connections ({address})")]
    ListeningSocket {
        /// Its number.
        fd: i32,
        /// Where.
        address: String,
    },
    /// A descriptor of a kind that cannot be made anew.
    #[error("descriptor {fd} is {kind}, which cannot be made anew in a fork")]
    Descriptor {
        /// Its number.
        fd: i32,
        /// As the kernel names it.
        kind: String,
    },
    /// An open file that is not the image's.
    #[error("descriptor {fd} is the file {path}, which each instance has for itself")]
    OpenFile {
        /// Its number.
        fd: i32,
        /// Its path.
        path: String,
    },
    /// More, or higher numbers, than the engine leaves room for.
    #[error("descriptor {fd} is too high; a template has none above {max}")]
    TooManyDescriptors {
        /// The highest.
        fd: i32,
        /// The highest that may be.
        max: i32,
    },
    /// It has lowered the limit.
    #[error("the program has lowered its limit of descriptors")]
    DescriptorLimit,
    /// Files in `/tmp` or `/dev/shm`.
    #[error("{path} was written in init; each instance has an empty folder of its own there")]
    TemporaryFile {
        /// One of them.
        path: String,
    },
    /// Memory that is shared with whoever has it.
    #[error("memory at {address:#x} is shared ({what}); forks would write to the same")]
    SharedMemory {
        /// Where it begins.
        address: u64,
        /// What it is of.
        what: String,
    },
    /// A timer of the kernel's that forks do not inherit.
    #[error("a timer of timer_create or setitimer is armed")]
    Timer,
    /// A filter of the program's own.
    #[error("the program has filtered its own system calls")]
    SystemCallFilter,
    /// It may have no new code (`PR_SET_MDWE`), and so not the engine's.
    #[error("the program has forbidden itself memory for new code")]
    ExecutableMemory,
    /// Where it stands is not in the image.
    #[error("the working directory {path} is not in the image")]
    WorkingDirectory {
        /// Its path.
        path: String,
    },
    /// So many threads, or so many that have ended, that forks would take long.
    #[error("{count} threads, or ids between theirs, are more than {max}")]
    TooManyThreads {
        /// How many.
        count: usize,
        /// How many may be.
        max: usize,
    },
    /// All of it together.
    #[error("the program's state does not fit")]
    TooMuchState,
}

impl Refusal {
    /// One word for it, as metrics and interfaces have it.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::RunningThread { .. } => "running_thread",
            Refusal::MainThreadEnded => "main_thread_ended",
            Refusal::ChildProcess { .. } => "child_process",
            Refusal::OpenConnection { .. } => "open_connection",
            Refusal::ListeningSocket { .. } => "listening_socket",
            Refusal::Descriptor { .. } => "descriptor",
            Refusal::OpenFile { .. } => "open_file",
            Refusal::TooManyDescriptors { .. } => "too_many_descriptors",
            Refusal::DescriptorLimit => "descriptor_limit",
            Refusal::TemporaryFile { .. } => "temporary_file",
            Refusal::SharedMemory { .. } => "shared_memory",
            Refusal::Timer => "timer",
            Refusal::SystemCallFilter => "system_call_filter",
            Refusal::ExecutableMemory => "executable_memory",
            Refusal::WorkingDirectory { .. } => "working_directory",
            Refusal::TooManyThreads { .. } => "too_many_threads",
            Refusal::TooMuchState => "too_much_state",
        }
    }
}

/// Why there is no template.
#[derive(Debug, thiserror::Error)]
pub enum FreezeError {
    /// The program cannot be one.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The platform failed; the program may be gone.
    #[error("cannot freeze the program")]
    Failed(#[from] io::Error),
}
