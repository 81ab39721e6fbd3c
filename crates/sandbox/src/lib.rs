//! Linux isolation: slots, namespaces, cgroups, mounts, seccomp.

pub mod network;
mod sys;
