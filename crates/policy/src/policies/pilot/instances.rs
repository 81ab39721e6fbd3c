//! Instances and what is held for them: what each change of theirs means for the account, and for what is
//! known of costs.

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use super::Pilot;
use super::mind::{Mind, Resting};
use super::requests::SETTLE;
use crate::VersionId;
use crate::action::{Action, Because};
use crate::books::{Instance, State};
use crate::event::{Held, Measured, Started};
use crate::predict::bins::MINUTE;

/// After an order to hold a template, starts that found none say after so long that none can be made, where nobody has
/// said so ([`Event::Refused`](crate::Event::Refused)): its init may fail each time.
const PATIENCE: u64 = 2 * MINUTE;

impl Pilot {
    /// A start is over: the books still have it as being made.
    pub(super) fn started(&mut self, started: &Started) {
        let Some(at) = self.books.instance(started.instance) else {
            return;
        };
        let Some(mind) = self.minds.entry(at.version.0) else {
            return;
        };
        self.costs
            .started(mind.runtime, &mut mind.its, started.kind, started.took);
        mind.fresh.push((started.instance, started.kind));
        let paid = pays_init(started.kind);
        if paid {
            mind.whole.push(started.instance);
        }
        // What waits for room waits for longer.
        let since = self
            .short_at
            .map_or(mind.wanted_since, |at| at.max(mind.wanted_since));
        let waited = at.since.0.saturating_sub(since.0) > PATIENCE;
        if paid && mind.wanted >= Rung::Template && mind.template.is_none() && waited {
            mind.no_template = true;
        }
    }

    pub(super) fn busy(&mut self, now: Instant, instance: InstanceId, at: &Instance) {
        let Some(mind) = self.minds.entry(at.version.0) else {
            return;
        };
        let whole = mind.its.whole_memory(mind.most).0 as f64;
        let kept = mind.shadow.settle(now) * whole * f64::from(mind.weight);
        self.ledger.add_shadow(kept);
        mind.shadow.busy();
        let rested = mind
            .idle
            .iter()
            .rposition(|resting| resting.instance == instance);
        if let Some(place) = rested {
            mind.idle.remove(place);
        }
        let fresh = mind.fresh.iter().position(|(fresh, _)| *fresh == instance);
        if let Some(kind) = fresh.map(|place| mind.fresh.swap_remove(place).1) {
            mind.record.start(kind);
            self.totals.cold += u32::from(pays_init(kind));
        } else if rested.is_some() {
            mind.record.start(StartKind::Warm);
        }
        self.account(at.version);
    }

    pub(super) fn idle(
        &mut self,
        now: Instant,
        instance: InstanceId,
        at: &Instance,
        served: bool,
        actions: &mut Vec<Action>,
    ) {
        let version = at.version;
        let retired = self.books.version(version).is_retired();
        let keep_alive = self.parameters.budget.keep_alive();
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        if retired {
            self.books.remove(instance);
            mind.forget(instance);
            actions.push(Action::Reclaim {
                instance,
                because: Because::Expired,
            });
            return;
        }
        let resting = rests(mind, now, instance, at);
        let whole = mind.its.whole_memory(mind.most).0 as f64;
        let kept = mind.shadow.settle(now) * whole * f64::from(mind.weight);
        self.ledger.add_shadow(kept);
        if served {
            mind.shadow.done(now, keep_alive);
        }
        // Whom its start was for has been served otherwise, if it was for anyone.
        mind.fresh.retain(|(fresh, _)| *fresh != instance);
        // One that is told again has its time anew.
        mind.idle.retain(|known| known.instance != instance);
        mind.idle.push(resting);
        let first = mind.template.is_none() && !mind.no_template;
        self.account(version);
        if served && (first || !self.worth_seconds(now, version)) {
            self.review(now, version, actions);
        } else {
            // It is looked at when requests cease: until then it is worth what is expected of such a version.
            self.rank_new(now, version);
            self.look_at(now, version, Instant(now.0 + SETTLE));
        }
        self.keep_within(now, actions);
    }

    pub(super) fn gone(&mut self, now: Instant, instance: InstanceId, at: &Instance) {
        let keep_alive = self.parameters.budget.keep_alive();
        let Some(mind) = self.minds.entry(at.version.0) else {
            return;
        };
        if at.state == State::Busy {
            let whole = mind.its.whole_memory(mind.most).0 as f64;
            let kept = mind.shadow.settle(now) * whole * f64::from(mind.weight);
            self.ledger.add_shadow(kept);
            mind.shadow.done(now, keep_alive);
        }
        mind.forget(instance);
        self.account(at.version);
        self.rank(at.version);
    }

    /// An idle instance has been weighed.
    pub(super) fn measured(&mut self, measured: &Measured) {
        let Some(at) = self.books.instance(measured.instance) else {
            return;
        };
        let Some(mind) = self.minds.entry(at.version.0) else {
            return;
        };
        let place = mind
            .idle
            .iter()
            .position(|it| it.instance == measured.instance);
        let Some(resting) = place.and_then(|place| mind.idle.get_mut(place)) else {
            return;
        };
        resting.memory = measured.memory;
        let whole = resting.whole;
        mind.weighed = true;
        mind.its.idle(measured.memory, whole);
        self.account(at.version);
        self.rank(at.version);
    }

    pub(super) fn held(&mut self, now: Instant, held: &Held, actions: &mut Vec<Action>) {
        let Some(mind) = self.minds.entry(held.version.0) else {
            return;
        };
        self.costs.held(
            mind.runtime,
            &mut mind.its,
            held.rung,
            held.memory,
            held.took,
        );
        match held.rung {
            Rung::Template => {
                mind.template = Some(held.memory);
                mind.no_template = false;
                mind.home = held.node;
                mind.wanted = mind.wanted.max(Rung::Template);
            }
            Rung::Spare => {
                mind.spare = Some(held.memory);
                mind.wanted = Rung::Spare;
            }
            _ => return,
        }
        // Of a spare that is told of before its template, nothing follows yet.
        let rests = !mind.idle.is_empty() && mind.template.is_some();
        self.put_off_no_more(held.version, actions);
        self.account(held.version);
        if rests {
            self.review(now, held.version, actions);
        } else {
            self.rank_new(now, held.version);
            self.look_at(now, held.version, Instant(now.0 + SETTLE));
        }
        self.keep_within(now, actions);
    }

    pub(super) fn lost(&mut self, version: VersionId, rung: Rung) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        match rung {
            Rung::Template => (mind.template, mind.spare) = (None, None),
            Rung::Spare => mind.spare = None,
            _ => return,
        }
        self.account(version);
        self.rank(version);
    }

    /// No template of it can be made: what there is of it to be ready are instances.
    pub(super) fn refused(
        &mut self,
        now: Instant,
        version: VersionId,
        rung: Rung,
        actions: &mut Vec<Action>,
    ) {
        let Some(mind) = self.minds.entry(version.0) else {
            return;
        };
        if rung != Rung::Template {
            return;
        }
        mind.no_template = true;
        if mind.template.is_none() {
            mind.wanted = mind.wanted.min(Rung::Zygote);
        }
        self.review(now, version, actions);
    }

    /// Tells the ledger what is kept of a version.
    pub(super) fn account(&mut self, version: VersionId) {
        if let Some(mind) = self.minds.entry(version.0) {
            let kept = mind.kept();
            self.ledger.change(mind.counted, kept, mind.ledger_weight());
            mind.counted = kept;
        }
    }
}

/// Whether such a start pays the user's initialisation.
fn pays_init(kind: StartKind) -> bool {
    matches!(kind, StartKind::Zygote | StartKind::Booted)
}

/// An instance begins to rest. What its reclamation gives back is what it takes, unless that is what it may use at
/// most, or such instances are weighed.
fn rests(mind: &mut Mind, now: Instant, instance: InstanceId, at: &Instance) -> Resting {
    let whole = mind.template.is_none() || mind.whole.contains(&instance);
    if !whole {
        mind.fork_room_kib = u32::try_from(at.memory.0 >> 10).unwrap_or(u32::MAX);
    }
    let says = !mind.weighed && (whole || at.memory < mind.most);
    if says {
        mind.its.idle(at.memory, whole);
    }
    let memory = match whole {
        _ if says => at.memory,
        true => mind.its.whole_memory(mind.most),
        false => mind.its.fork_memory(mind.most),
    };
    Resting {
        instance,
        node: at.node,
        since: now,
        room: at.memory,
        memory,
        whole,
    }
}
