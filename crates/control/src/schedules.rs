//! Schedules: when they are due ([`timing`], [`misfire`]), what a firing does ([`delivery`]), and the
//! workers that make it happen. The first looks at the schedules whose time has come, by an index, and in
//! one transaction moves each on and hands its firing on; the second sees to firings that take time, or that
//! could not be handed on at once. A third tells the node of firings before they come.

pub(crate) mod delivery;
pub(crate) mod expression;
mod firing;
mod foretelling;
pub(crate) mod handing_on;
mod misfire;
mod retry;
pub(crate) mod settings;
pub(crate) mod timing;
mod worker;

pub(crate) use firing::run as run_firings;
pub(crate) use foretelling::run as foretell;
pub(crate) use worker::run;
