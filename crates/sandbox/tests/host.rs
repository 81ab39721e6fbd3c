//! What the host is asked to do, done for real: networks and cgroups. Needs root, nftables and iproute2.
//!
//! Networks are made in namespaces that stand for the host and the outside, so that the real host keeps its own.

#![allow(clippy::unwrap_used)]

#[path = "host/cgroup.rs"]
mod cgroup;
#[path = "host/network.rs"]
mod network;
#[path = "host/probe.rs"]
mod probe;
