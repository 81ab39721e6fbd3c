//! Trace-driven simulation: the policies of `pilotlight_policy`, run on recorded arrivals instead of on a
//! node.
//!
//! A [`Trace`] is read from public data sets ([`read`]) and run under any set of policies by [`run`]; what
//! a start costs and what a rung weighs comes from a [`Profile`]. The engine sends a policy the events that
//! a node sends and does what it says. Every modelling choice is a field of [`Options`], and described in
//! `docs/simulate.md`. The same trace, options and seed give the same report, byte for byte.
#![forbid(unsafe_code)]

pub mod cli;
pub mod draw;
mod engine;
pub mod eventlog;
pub mod options;
pub mod outcome;
pub mod profile;
pub mod read;
pub mod report;
mod run;
pub mod schedule;
pub mod trace;

pub use options::{Model, Options};
pub use outcome::Outcome;
pub use profile::Profile;
pub use run::{Named, Progress, RunError, by_names, outcome, run};
pub use schedule::Schedule;
pub use trace::Trace;
