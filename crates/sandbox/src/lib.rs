//! Linux isolation: slots, namespaces, cgroups, mounts, seccomp.

pub mod cgroup;
pub mod network;
mod sys;
