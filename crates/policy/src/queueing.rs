//! Whether a request that found all instances busy waits for one of them or gets a start of its own, and
//! when.
//!
//! The question is that of Liu et al., "Concurrency-Informed Orchestration for Serverless Functions" (CIDRE),
//! ASPLOS 2025: there a start is made beside the wait and whichever is ready first serves, so that nobody
//! waits longer than for a start, and it is left out where it would hardly be used. The rule here is worked
//! out from the distributions.
//!
//! Let R be the time until an instance is free for the request, and S what a start takes. A plan waits until
//! t and then starts, unless an instance has come free; and even then takes one that comes free before the
//! start is over. So the request waits R where R is at most t, and min(R, t + S) otherwise. On average that grows
//! with t, while the probability that a start is made at all, P(R > t), falls: waiting saves starts, and takes
//! time. [`decide`] takes the plan with the fewest starts among those whose expected wait is
//!
//! - at most that of always starting and waiting for the start, E S,
//! - at most that of always waiting for an instance, E R,
//! - and at most so much longer than that of starting at once and taking what is ready first, E min(R, S),
//!   which no plan can be shorter than.
//!
//! Starting at once is one such plan, because E min(R, S) is at most E R and E S. So the rule never loses to
//! either alone, and to both at once by no more than was allowed: up to the rounding of sums ([`ROUNDING`]), and
//! as far as the distributions are right.

use std::time::Duration;

use crate::durations::Distribution;

/// By how much of itself a computed expected wait may be off.
pub const ROUNDING: f64 = 1e-9;

/// Points in time that [`first_free`] looks at.
const POINTS: usize = 48;

/// Servers that [`first_free`] looks at: with more, it says what it would with so many, which is later.
pub const SERVERS: usize = 32;

/// What is done about a request.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Plan {
    /// A start now; an instance that comes free before it is over serves.
    Start,
    /// Wait for so long, and start then if still need be.
    Wait(Duration),
    /// Wait, however long it takes.
    Stay,
}

/// A plan with what is expected of it, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Decision {
    /// What to do.
    pub plan: Plan,
    /// How long the request is expected to wait.
    pub wait: f64,
    /// The probability that a start is made for it.
    pub starts: f64,
}

/// Decides. `free` is R and `start` is S; `slack` is by what part of the shortest possible wait the expected
/// one may exceed it, such as 0.1. At 0, nothing is put off but starts that could not have been of use.
pub fn decide(free: &Distribution, start: &Distribution, slack: f64) -> Decision {
    let shortest = wait(free, start, None);
    let alone = free.mean().min(start.mean());
    let longest = (shortest * (1.0 + slack.max(0.0))).min(alone) * (1.0 + ROUNDING);
    let mut best = Decision {
        plan: Plan::Start,
        wait: shortest,
        starts: 1.0,
    };
    let mut later = 1.0;
    let atoms = free.atoms();
    // Between two values of R a plan waits longer and starts as often: only its own values are candidates.
    for (index, &(at, weight)) in atoms.iter().enumerate() {
        later -= weight;
        let last = index + 1 == atoms.len();
        let candidate = Decision {
            plan: if last { Plan::Stay } else { plan(at) },
            wait: wait(free, start, Some(at)),
            starts: if last { 0.0 } else { later.max(0.0) },
        };
        if candidate.wait > longest {
            break;
        }
        best = candidate;
    }
    best
}

fn plan(at: f64) -> Plan {
    match Duration::try_from_secs_f64(at) {
        Ok(at) => Plan::Wait(at),
        Err(_) => Plan::Stay,
    }
}

/// The expected wait when a start is made at `until`, or right away: what comes free by then serves.
fn wait(free: &Distribution, start: &Distribution, until: Option<f64>) -> f64 {
    let wait = |at: f64| match until {
        Some(until) if at <= until => at,
        _ => {
            let begun = until.unwrap_or(0.0);
            begun + start.mean_up_to(at - begun)
        }
    };
    let atoms = free.atoms().iter();
    atoms.map(|&(at, weight)| weight * wait(at)).sum()
}

/// One that will be free: an instance that serves, or is being made.
#[derive(Debug, Clone, Copy)]
pub struct Server<'a> {
    /// What it does takes that long in all.
    pub takes: &'a Distribution,
    /// It has been at it for that long, in seconds.
    pub since: f64,
}

/// When one of the servers is free for a request that has `ahead` others before it, each of which takes one:
/// a value of at most 48, each rounded up to the next of them. None if there are not so many servers: then one must
/// come free twice.
pub fn first_free(servers: &[Server<'_>], ahead: usize) -> Option<Distribution> {
    let left: Vec<Distribution> = servers
        .iter()
        .take(SERVERS)
        .map(|server| server.takes.after(server.since))
        .collect();
    if ahead >= left.len() {
        return None;
    }
    let mut before = 0.0;
    let atoms = points(&left).into_iter().map(|point| {
        let reached = at_least(&left, ahead + 1, point);
        let weight = (reached - before).max(0.0);
        before = before.max(reached);
        (point, weight)
    });
    Distribution::new(atoms.collect())
}

/// Times at which one of them may be free: all of them, or of many evenly chosen ones, always the last.
fn points(left: &[Distribution]) -> Vec<f64> {
    let mut all: Vec<f64> = left
        .iter()
        .flat_map(|left| left.atoms())
        .map(|(at, _)| *at)
        .collect();
    all.sort_by(f64::total_cmp);
    all.dedup();
    if all.len() <= POINTS {
        return all;
    }
    (1..=POINTS)
        .map(|number| all[number * all.len() / POINTS - 1])
        .collect()
}

/// The probability that at least so many of them are over by then.
fn at_least(left: &[Distribution], many: usize, by: f64) -> f64 {
    // The probability of each number, up to `many - 1`; the rest is what is asked for.
    let mut fewer = vec![0.0; many];
    fewer[0] = 1.0;
    for left in left {
        let over = left.by(by).min(1.0);
        for number in (0..many).rev() {
            let one_less = if number == 0 { 0.0 } else { fewer[number - 1] };
            fewer[number] = fewer[number] * (1.0 - over) + one_less * over;
        }
    }
    (1.0 - fewer.iter().sum::<f64>()).max(0.0)
}

#[cfg(test)]
mod tests;
