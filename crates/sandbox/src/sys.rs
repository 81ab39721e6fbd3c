//! All unsafe code of the crate, each block with the reason why it is sound.

pub(crate) mod arch;
pub(crate) mod clone;
pub(crate) mod exec;
pub(crate) mod fd;
pub(crate) mod kcmp;
pub(crate) mod loop_device;
pub(crate) mod namespace;
pub(crate) mod ptrace;
pub(crate) mod reactor;
pub(crate) mod seccomp;
pub(crate) mod signal;
