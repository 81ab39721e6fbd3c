//! Schedules: when they are due ([`timing`], [`misfire`]), what a firing does ([`delivery`]), and the two
//! workers that make it happen. The first looks at the schedules whose time has come, by an index, and in
//! one transaction moves each on and hands its firing on; the second sees to firings that take time, or that
//! could not be handed on at once.

pub(crate) mod delivery;
pub(crate) mod expression;
mod firing;
pub(crate) mod handing_on;
mod misfire;
mod retry;
pub(crate) mod settings;
pub(crate) mod timing;
mod worker;

pub(crate) use firing::run as run_firings;
pub(crate) use worker::run;
