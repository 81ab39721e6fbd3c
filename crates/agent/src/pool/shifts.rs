//! What a version gets that is about to get requests of another. The policy is told first; what it does not order by
//! itself, as most do not, the pool does.

use std::sync::Arc;

use pilotlight_model::function::VersionKey;
use pilotlight_model::node::Shift;
use pilotlight_policy::{Event, event};

use super::Pool;
use super::effects::Effects;
use super::holdings::Background;
use super::members::{Member, MemberPhase};
use super::orders::Purpose;
use super::state::State;

/// In so many of all moments the new version's instances are enough, if those of both were before.
const ENOUGH: f64 = 0.999_9;

/// Instances of a version.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Instances {
    /// With a request.
    busy: u32,
    idle: u32,
    /// In the making, or ordered.
    coming: u32,
}

impl Instances {
    fn ready(self) -> u32 {
        self.busy + self.idle
    }

    fn all(self) -> u32 {
        self.ready() + self.coming
    }
}

impl Pool {
    /// Orders what the new version lacks. Returns how many instances it is to have.
    pub(crate) fn shift(self: &Arc<Self>, shift: &Shift) -> u32 {
        let wanted = self.decide(|state, effects| state.shift(shift, effects));
        self.pump();
        wanted
    }

    /// Whether the version has fewer instances than that, and some are being made.
    pub(crate) fn is_making(&self, key: &VersionKey, wanted: u32) -> bool {
        let has = self.lock().instances(key);
        has.ready() < wanted && has.coming > 0
    }
}

impl State {
    fn shift(&mut self, shift: &Shift, effects: &mut Effects) -> u32 {
        if self.draining {
            return 0;
        }
        if let (Some(from), Some(to)) = (self.number(&shift.from), self.number(&shift.to)) {
            self.tell_shift(event::Shift {
                from,
                to,
                part: shift.part as f32,
                at: self.now,
            });
            self.apply(effects);
        }
        let (old, new) = (
            self.instances(&shift.from.key),
            self.instances(&shift.to.key),
        );
        // What either has was enough for its share at least; and so many requests run now.
        let most = old.all().max(new.all()).max(old.busy + new.busy);
        let wanted = at_once(most, shift.share).min(self.limits.node_instances);
        for _ in new.all()..wanted {
            let order = Background {
                spec: Arc::clone(&shift.to),
                purpose: Purpose::Ahead,
            };
            self.order(order, effects);
        }
        self.keep(&shift.to, wanted as usize, effects);
        wanted
    }

    fn tell_shift(&mut self, shift: event::Shift) {
        self.mind.hear(self.now, Event::Shift(shift));
    }

    fn instances(&self, key: &VersionKey) -> Instances {
        let mut instances = Instances::default();
        let serves = |member: &&Member| member.rung.is_none() && member.key.as_ref() == Some(key);
        for member in self.members.values().filter(serves) {
            match member.phase {
                MemberPhase::Busy => instances.busy += 1,
                MemberPhase::Idle => instances.idle += 1,
                MemberPhase::Starting => instances.coming += 1,
                MemberPhase::Held | MemberPhase::Ending => {}
            }
        }
        let ordered = |it: &&Background| it.purpose.rung().is_none() && it.spec.key == *key;
        let ordered = self.background.iter().filter(ordered).count();
        instances.coming += u32::try_from(ordered).unwrap_or(u32::MAX);
        instances
    }
}

/// How many of `requests` at once go to a version, at most, that gets each with that probability: no more in
/// [`ENOUGH`] of all moments. The number is binomially distributed.
fn at_once(requests: u32, share: f64) -> u32 {
    if share >= 1.0 {
        return requests;
    }
    if share <= 0.0 {
        return 0;
    }
    // By logarithms: of many requests, none going there is less likely than a number can say.
    let odds = (share / (1.0 - share)).ln();
    let mut probability = f64::from(requests) * (1.0 - share).ln();
    let mut sum = probability.exp();
    for number in 0..requests {
        if sum >= ENOUGH {
            return number;
        }
        probability += (f64::from(requests - number) / f64::from(number + 1)).ln() + odds;
        sum += probability.exp();
    }
    requests
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_those_of_the_binomial_distribution() {
        // Of 10 requests, each with a probability of 0.1, more than 5 go there in 0.015 % of all moments, more than 6 in
        // 0.001 %.
        assert_eq!(at_once(10, 0.1), 6);
        // Of three, all do in 0.1 %; of five, more than three in 0.05 %.
        assert_eq!((at_once(3, 0.1), at_once(5, 0.1)), (3, 4));
        assert_eq!(at_once(1, 0.1), 1);
        assert_eq!(at_once(1, 0.000_01), 0);
        assert_eq!(
            (at_once(7, 0.0), at_once(7, 1.0), at_once(0, 0.5)),
            (0, 7, 0)
        );
    }

    #[test]
    fn of_many_they_are_near_the_mean() {
        // 5,000, with a deviation of 50, and 3.72 of them.
        let many = at_once(10_000, 0.5);
        assert!((5_180..=5_190).contains(&many), "{many}");
        let mut before = 0;
        for share in 0..=100 {
            let now = at_once(100, f64::from(share) / 100.0);
            assert!(before <= now && now <= 100);
            before = now;
        }
    }
}
