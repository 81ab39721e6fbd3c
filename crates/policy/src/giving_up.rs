//! What of the ladder a node gives up when memory is short and its policy has said nothing, or not enough:
//! spares, then templates, then zygotes, and among those of one rung what is worth least for its memory.
//!
//! The rung comes first because of what each saves: a spare the milliseconds of a fork, a template a whole
//! init, and a zygote the runtime's start for every version that has no template. What runs a request is
//! no part of the ladder, and never given up.

use std::cmp::Ordering;
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;

use crate::Bytes;
use crate::event::Shortage;

/// Something kept for starts to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The parked process.
    pub instance: InstanceId,
    /// [`Rung::Spare`], [`Rung::Template`] or [`Rung::Zygote`].
    pub rung: Rung,
    /// What giving it up gives back.
    pub memory: Bytes,
    /// What it saves a start that finds it.
    pub saves: Duration,
    /// When a start last had use for it, or when it was made.
    pub last_used: Instant,
}

/// What to give up so that the shortage is met, in that order: nothing at all if everything together
/// would not meet it. What was used within the time `spared` is kept.
pub fn give_up(
    now: Instant,
    holdings: &[Holding],
    shortage: Shortage,
    spared: Duration,
) -> Vec<InstanceId> {
    let mut candidates: Vec<&Holding> = holdings
        .iter()
        .filter(|holding| spared.is_zero() || now.since(holding.last_used) > spared)
        .collect();
    candidates.sort_by(|a, b| {
        b.rung
            .cmp(&a.rung)
            .then_with(|| by_value(now, a, b))
            .then_with(|| a.instance.cmp(&b.instance))
    });
    let mut given_up = Vec::new();
    let mut freed = Bytes::default();
    for holding in candidates {
        if met(&given_up, freed, shortage) {
            break;
        }
        freed.0 = freed.0.saturating_add(holding.memory.0);
        given_up.push(holding.instance);
    }
    if met(&given_up, freed, shortage) {
        given_up
    } else {
        Vec::new()
    }
}

fn met(given_up: &[InstanceId], freed: Bytes, shortage: Shortage) -> bool {
    freed >= shortage.memory && given_up.len() as u64 >= u64::from(shortage.instances)
}

/// By what a byte saves, per time since it last did: how long ago that was stands for how long it will
/// be until the next time.
fn by_value(now: Instant, a: &Holding, b: &Holding) -> Ordering {
    let saves = |holding: &Holding| holding.saves.as_nanos().max(1);
    let costs = |holding: &Holding| {
        let idle = now.since(holding.last_used).as_millis() + 1;
        u128::from(holding.memory.0.max(1)).saturating_mul(idle)
    };
    // a.saves / a.costs against b.saves / b.costs, without dividing.
    let left = saves(a).saturating_mul(costs(b));
    let right = saves(b).saturating_mul(costs(a));
    left.cmp(&right)
}

#[cfg(test)]
mod tests;
