//! The control plane through its public door, with a node of our own and hand-moved time.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod accounts;
mod aliases;
mod chains;
mod code_signing;
mod concurrency;
mod deploys;
mod endings;
mod errors;
mod event_invoke;
mod events;
mod functions;
mod harness;
mod layers;
mod no_logs;
mod permissions;
mod provisioned;
mod revisions;
mod schedules;
mod small;
mod tags;
mod urls;
mod versions;
