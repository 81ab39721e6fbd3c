//! The node's policy, as the pool drives it. `happenings` puts what happens in the pool in the policy's terms;
//! what the policy wants done is kept here until [`State::apply`](super::state::State::apply) does it.

use pilotlight_model::function::VersionKey;
use pilotlight_model::node::CallCounters;
use pilotlight_model::start::Instant;
use pilotlight_policy::{Action, Counters, Event, Explained, Policy, VersionId};

use super::numbers::Numbers;
use crate::event_log::EventLog;

pub(super) struct Mind {
    policy: Box<dyn Policy>,
    /// It reckons with what idle instances take.
    weighs: bool,
    /// By what numbers it knows the versions.
    pub(super) numbers: Numbers,
    /// What has happened and it has not heard of yet, in order.
    heard: Vec<(Instant, Event)>,
    /// Said by the policy, and not done yet.
    wanted: Vec<Action>,
    /// When the clock rings that the policy is woken by.
    rings_at: Option<Instant>,
    log: Option<EventLog>,
    /// Memory, in MiB, that it has been told to be out of its hands.
    pub(super) apart_mb: Option<u64>,
}

impl Mind {
    pub(super) fn new(policy: Box<dyn Policy>, log: Option<EventLog>) -> Self {
        Self {
            weighs: policy.weighs(),
            policy,
            numbers: Numbers::new(),
            heard: Vec::new(),
            wanted: Vec::new(),
            rings_at: None,
            log,
            apart_mb: None,
        }
    }

    /// Something has happened. The policy hears of it before anything is asked of it: who waits for the decision
    /// that this is part of does not wait for that.
    pub(super) fn hear(&mut self, now: Instant, event: Event) {
        self.heard.push((now, event));
    }

    /// Tells the policy what has happened since it was told last.
    pub(super) fn tell(&mut self) {
        for (at, event) in self.heard.drain(..) {
            let before = self.wanted.len();
            self.policy.observe(at, event, &mut self.wanted);
            if let Some(log) = &mut self.log {
                log.told(at, event, &self.wanted[before..]);
            }
        }
    }

    /// Whether it is to be told what idle instances take.
    pub(super) fn weighs(&self) -> bool {
        self.weighs
    }

    /// A version has that number from now on.
    pub(super) fn name(&mut self, version: VersionId, key: &VersionKey) {
        // What was heard of the version before, which had that number, comes before.
        self.tell();
        if let Some(log) = &mut self.log {
            log.name(version, key.to_string());
        }
    }

    /// The clock has rung, or may have: it is set anew, to when the policy wants to be woken or to `other`.
    pub(super) fn tick(&mut self, now: Instant, other: Option<Instant>) {
        self.hear(now, Event::Tick);
        self.tell();
        self.rings_at = self.wake_at(other);
    }

    /// When the clock rings.
    pub(super) fn rings_at(&self) -> Option<Instant> {
        self.rings_at
    }

    /// Sets the clock to when the policy wants to be woken, or to `other`, where that is earlier; whether it was.
    pub(super) fn set_clock(&mut self, other: Option<Instant>) -> bool {
        let wake_at = self.wake_at(other);
        let earlier = match (wake_at, self.rings_at) {
            (Some(wake_at), Some(rings_at)) => wake_at < rings_at,
            (wake_at, rings_at) => wake_at.is_some() && rings_at.is_none(),
        };
        if earlier {
            self.rings_at = wake_at;
        }
        earlier
    }

    fn wake_at(&self, other: Option<Instant>) -> Option<Instant> {
        [self.policy.wake_at(), other].into_iter().flatten().min()
    }

    /// What the policy knows of a version, of what it has been told, where it keeps account of that.
    pub(super) fn explain(&self, now: Instant, version: VersionId) -> Option<Explained<'_>> {
        self.policy.explain(version, now)
    }

    /// What its forecasts of calls were worth.
    pub(super) fn call_counters(&self) -> Option<CallCounters> {
        self.policy.call_counters()
    }

    /// What its forecasts were worth.
    pub(super) fn counters(&mut self) -> Option<Counters> {
        self.tell();
        self.policy.counters()
    }

    /// Whether it has said something that is not done yet, or has something to hear.
    pub(super) fn is_open(&self) -> bool {
        !self.wanted.is_empty() || !self.heard.is_empty()
    }

    /// What the policy wants done, all told, which whoever takes it does.
    pub(super) fn take_wanted(&mut self) -> Vec<Action> {
        self.tell();
        std::mem::take(&mut self.wanted)
    }
}
