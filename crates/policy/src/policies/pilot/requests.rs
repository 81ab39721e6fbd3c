//! Versions and their requests: what is learned of each.

use pilotlight_model::start::Instant;

use super::Pilot;
use super::mind::Mind;
use crate::action::{Action, Because};
use crate::budget::Budget;
use crate::event::{Arrived, Deployed, Starting};
use crate::explain::{Told, Why};
use crate::predict::bins::{self, MINUTE};
use crate::{Bytes, VersionId};

/// Between a request and the first look at what to keep of its version: busy versions are not looked at
/// for every request.
pub(super) const SETTLE: u64 = MINUTE / 2;
/// Gaps of a version that count among those of all.
const FEW: u32 = 16;

impl Pilot {
    pub(super) fn deployed(&mut self, now: Instant, deployed: &Deployed) {
        let after = deployed.after.and_then(|after| self.minds.get(after.0));
        let inherited = after.map(|old| (old.past, old.fine, old.its, old.callees.clone()));
        let Some(mind) = self.minds.entry(deployed.version.0) else {
            return;
        };
        if mind.last.is_none() {
            mind.since = now;
            if let Some((past, fine, its, callees)) = inherited {
                (mind.past, mind.fine) = (past, fine);
                (mind.its, mind.callees) = (its, callees);
            }
        }
        self.ledger
            .change(mind.counted, Bytes(0), mind.ledger_weight());
        // What refused one may not any more.
        mind.no_template = false;
        mind.runtime = deployed.runtime;
        mind.most = deployed.memory;
        mind.weight = deployed.weight.max(0.0);
        self.ledger
            .change(Bytes(0), mind.counted, mind.ledger_weight());
        let weight = f64::from(mind.weight);
        let (its, most) = (mind.its, mind.most);
        let saves = self.saves(deployed.version);
        self.means.versions += weight;
        self.means.bytes += weight * its.template_memory(most).0 as f64;
        self.means.saves += weight * f64::from(saves);
        if self.price.due().is_none() {
            let fill = self.fill();
            self.price.look(now, &self.ledger, fill);
        }
    }

    pub(super) fn retired(&mut self, version: VersionId, actions: &mut Vec<Action>) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        for resting in std::mem::take(&mut mind.idle) {
            self.books.remove(resting.instance);
            actions.push(Action::Reclaim {
                instance: resting.instance,
                because: Because::Expired,
            });
        }
        self.ledger
            .change(mind.counted, Bytes(0), mind.ledger_weight());
        self.due.remove(version);
        self.forget_worth(version);
        self.queue.retired(version);
        self.minds.clear(version.0);
    }

    pub(super) fn arrived(&mut self, now: Instant, arrived: &Arrived, actions: &mut Vec<Action>) {
        let version = arrived.version;
        let instances = self.books.version(version).instances();
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        let told = Told {
            at: now,
            kind: None,
            why: why(mind, now, instances),
        };
        for counters in [&mut mind.record.counters, &mut self.totals] {
            counters.requests += u64::from(arrived.requests);
        }
        if mind.idle.is_empty() || matches!(told.why, Why::Foreseen(_)) {
            mind.record.tell(told);
        }
        // One that comes before its time was not foreseen, nor proves the forecast wrong.
        if let Some(kept) = mind.forecast.take()
            && now >= kept.forecast.from
        {
            let hit = now <= kept.forecast.until;
            for counters in [&mut mind.record.counters, &mut self.totals] {
                counters.hits += u32::from(hit);
                counters.misses += u32::from(!hit);
            }
        }
        match mind.last {
            None => {
                mind.past.periods.add(now);
                mind.count(0);
            }
            Some(last) => {
                // Busy versions do not speak for all others.
                if mind.past.gaps.seen() < FEW {
                    self.fine.add(now.since(last));
                }
                let minutes = bins::minutes_from(now.since(last), mind.past.gaps.shift());
                if minutes > 0 {
                    let weight = mind.weight;
                    mind.past
                        .add(last, now, minutes, &mut self.all, &mut self.beliefs, weight);
                    mind.count(minutes);
                }
                mind.fine.add(now.since(last));
                mind.past.gaps.end_at(mind.fine.shift());
            }
        }
        mind.radius = (mind.fine.radius(&self.fine) * MINUTE as f32) as u64;
        mind.last = Some(now);
        mind.crossed = 0;
        mind.gave_up = None;
        if arrived.cause.is_none() {
            self.ascribe(now, version);
        }
        self.met(now, version);
        self.learn_confidence(now, version, true);
        self.look_at(now, version, Instant(now.0 + SETTLE));
        self.calls(now, arrived, actions);
    }

    pub(super) fn starting(&mut self, starting: &Starting) {
        if let Some(mind) = self.minds.entry(starting.version.0) {
            mind.home = if mind.template.is_some() {
                mind.home
            } else {
                starting.node
            };
        }
    }

    /// How full what is limited is, as a part of it.
    pub(super) fn fill(&self) -> f64 {
        if let Budget::Bytes(most) = self.parameters.budget {
            return self.ledger.bytes() / most.0.max(1) as f64;
        }
        let nodes = self.books.nodes().map(|node| {
            let memory = self.books.memory(node).0.max(1) as f64;
            self.books.used(node).0 as f64 / memory
        });
        nodes.fold(0.0, f64::max)
    }
}

fn why(mind: &Mind, now: Instant, instances: u32) -> Why {
    let sure = mind.awaited(now).map(|(_, forecast)| forecast);
    let sure = sure.filter(|forecast| now >= forecast.from && mind.is_ready());
    match (&mind.forecast, mind.gave_up) {
        _ if sure.is_some() => sure.map_or(Why::Kept, Why::Foreseen),
        (Some(kept), _) if mind.is_ready() && now <= kept.forecast.until => {
            Why::Foreseen(kept.forecast)
        }
        _ if mind.is_ready() => Why::Kept,
        _ if instances > 0 => Why::Burst { instances },
        _ if mind.last.is_none() => Why::NeverSeen,
        (_, Some(gave_up)) if gave_up.pressure => Why::Pressure { at: gave_up.at },
        (_, Some(gave_up)) => Why::Expired {
            at: gave_up.at,
            forecast: gave_up.next,
        },
        _ => Why::Expired {
            at: mind.gap_since(),
            forecast: None,
        },
    }
}
