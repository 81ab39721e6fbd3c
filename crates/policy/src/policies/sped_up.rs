//! A policy that is told that time passes faster than it does: for replays of a trace at many times its speed,
//! where ten minutes of the trace are ten seconds of the node.
//!
//! Every time that goes in is longer by the factor, and every time that comes out shorter. So what is meant for
//! minutes and days (bins, windows, forgetting) meets the trace as it was; what starts take looks longer by the same
//! factor, on the node and in the simulator alike.

use std::time::Duration;

use pilotlight_model::start::Instant;

use super::SpecError;
use crate::action::{Action, Because, Forecast};
use crate::event::{Announced, Arrived, Cause, Deployed, Held, Shift, Started};
use crate::explain::Counters;
use crate::{Event, Policy};

/// The greatest factor: a day in less than a minute and a half.
const MOST: u32 = 1_000;

/// A policy at a multiple of its speed.
pub(super) struct SpedUp {
    policy: Box<dyn Policy>,
    by: u32,
    /// Ordered, in the policy's own time.
    ordered: Vec<Action>,
}

/// What a name says of speed, and what follows: `60x:hybrid:4h` is `hybrid:4h`, sixty times as fast.
pub(super) fn factor(spec: &str) -> Result<Option<(u32, &str)>, SpecError> {
    let Some((number, policy)) = spec.trim_start().split_once("x:") else {
        return Ok(None);
    };
    if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return Ok(None);
    }
    let known = number.parse().ok().filter(|by| (1..=MOST).contains(by));
    let by = known.ok_or_else(|| SpecError::Speed(number.to_owned()))?;
    Ok(Some((by, policy)))
}

impl SpedUp {
    pub(super) fn new(policy: Box<dyn Policy>, by: u32) -> Self {
        Self {
            policy,
            by,
            ordered: Vec::new(),
        }
    }

    /// A time of the policy's.
    fn inner(&self, at: Instant) -> Instant {
        Instant(at.0.saturating_mul(u64::from(self.by)))
    }

    /// A time as it is, not after that of the policy's.
    fn outer(&self, at: Instant) -> Instant {
        Instant(at.0 / u64::from(self.by))
    }

    /// A time as it is, not before that of the policy's.
    fn outer_until(&self, at: Instant) -> Instant {
        Instant(at.0.div_ceil(u64::from(self.by)))
    }

    fn told(&self, event: Event) -> Event {
        let longer = |time: Duration| time.saturating_mul(self.by);
        match event {
            Event::Deployed(it) => Event::Deployed(Deployed {
                keep_alive: it.keep_alive.map(longer),
                ..it
            }),
            Event::Arrived(it) => Event::Arrived(Arrived {
                cause: it.cause.map(|cause| Cause {
                    after: longer(cause.after),
                    ..cause
                }),
                ..it
            }),
            Event::Started(it) => Event::Started(Started {
                took: longer(it.took),
                ..it
            }),
            Event::Held(it) => Event::Held(Held {
                took: longer(it.took),
                ..it
            }),
            Event::Shift(it) => Event::Shift(Shift {
                at: self.inner(it.at),
                ..it
            }),
            Event::Calls(mut it) => {
                it.after = it.after.map(longer);
                Event::Calls(it)
            }
            Event::Announced(it) => Event::Announced(Announced {
                at: self.inner(it.at),
                ..it
            }),
            Event::Node(_)
            | Event::Retired(_)
            | Event::Waits(_)
            | Event::Left(_)
            | Event::Starting(_)
            | Event::Idle(_)
            | Event::Measured(_)
            | Event::Busy(_)
            | Event::Gone(_)
            | Event::Lost { .. }
            | Event::Refused { .. }
            | Event::Pressure { .. }
            | Event::Tick => event,
        }
    }

    fn meant(&self, action: Action) -> Action {
        match action {
            Action::Reclaim { instance, because } => Action::Reclaim {
                instance,
                because: self.reason(because),
            },
            Action::Hold {
                version,
                node,
                rung,
                because,
            } => Action::Hold {
                version,
                node,
                rung,
                because: self.reason(because),
            },
            Action::PreStart {
                version,
                node,
                instances,
                by,
                because,
            } => Action::PreStart {
                version,
                node,
                instances,
                by: self.outer(by),
                because: self.reason(because),
            },
            Action::Strip { .. } | Action::Start { .. } => action,
        }
    }

    fn reason(&self, because: Because) -> Because {
        match because {
            Because::Forecast(it) => Because::Forecast(Forecast {
                from: self.outer(it.from),
                until: self.outer_until(it.until),
                ..it
            }),
            Because::Expired | Because::Pressure | Because::Worth => because,
        }
    }
}

impl Policy for SpedUp {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        let mut ordered = std::mem::take(&mut self.ordered);
        self.policy
            .observe(self.inner(now), self.told(event), &mut ordered);
        actions.extend(ordered.drain(..).map(|action| self.meant(action)));
        self.ordered = ordered;
    }

    fn wake_at(&self) -> Option<Instant> {
        // Earlier would be before the policy's time has come.
        self.policy.wake_at().map(|at| self.outer_until(at))
    }

    fn weighs(&self) -> bool {
        self.policy.weighs()
    }

    fn hurries(&self) -> bool {
        self.policy.hurries()
    }

    // What the policy tells of a version has times of its own; `explain` tells nothing rather than those.

    fn counters(&self) -> Option<Counters> {
        let counters = self.policy.counters()?;
        Some(Counters {
            wasted_mb_s: counters.wasted_mb_s / f64::from(self.by),
            ..counters
        })
    }
}

#[cfg(test)]
mod tests;
