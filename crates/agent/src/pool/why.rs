//! Why requests found no idle instance: kept as it happens, and told when somebody asks.

mod calls;
mod explained;

use std::sync::Arc;

use pilotlight_model::function::VersionKey;
use pilotlight_model::ids::InstanceId;
use pilotlight_model::node::{CallCounters, ForecastCounters, Why};
use pilotlight_model::start::{Cold, Instant, StartKind};

use super::Pool;
use super::history::{Absence, End, History};
use super::queue::Waiting;
use super::state::State;
use crate::clock;
use crate::instance::Instance;
use explained::Now;

impl Pool {
    /// What is remembered of the starts of a version, under that policy.
    pub(crate) fn why(&self, key: &VersionKey, policy: &str) -> Why {
        let mut state = self.lock();
        state.mind.tell();
        let number = state.mind.numbers.of(key);
        let numbered = number.and_then(|number| state.mind.numbers.at(number));
        let now = Now {
            at: state.now,
            ms: clock::unix_ms(),
        };
        let (warm, starts) = numbered
            .map(|it| it.history.told(now.at, now.ms))
            .unwrap_or_default();
        let explained = number.and_then(|number| state.mind.explain(state.now, number));
        let forecasts = explained.map(|it| explained::told(&it, &state.mind.numbers, now));
        Why {
            version: key.to_string(),
            policy: policy.to_owned(),
            warm,
            starts,
            forecasts,
        }
    }

    /// What the policy's forecasts of calls were worth, where it makes any.
    pub(crate) fn call_counters(&self) -> Option<CallCounters> {
        self.lock().mind.call_counters()
    }

    /// What the policy's forecasts were worth, where it makes any.
    pub(crate) fn forecasts(&self) -> Option<ForecastCounters> {
        self.lock().mind.counters().map(explained::counters)
    }
}

impl State {
    /// Gives a request that waits that instance. False if it waits no more.
    pub(super) fn grant(
        &mut self,
        waiting: Waiting,
        instance: &Arc<Instance>,
        kind: StartKind,
    ) -> bool {
        let (since, absence) = (waiting.since, waiting.absence);
        let granted = waiting.grant(instance, kind);
        if granted {
            self.note_start(&instance.spec.key, since, kind, absence);
        }
        granted
    }

    /// Why a request for that version finds no idle instance now.
    pub(super) fn absence(&self, key: &VersionKey, cold: Option<Cold>) -> Absence {
        let provisioned = u32::try_from(self.provisions.busy(key)).unwrap_or(u32::MAX);
        match self.mind.numbers.find(key) {
            Some(it) => {
                let busy = it.busy.saturating_add(provisioned);
                it.history.absence(cold.is_some(), busy, it.starting)
            }
            None => Absence::First,
        }
    }

    /// A request has found an idle instance.
    pub(super) fn note_warm(&mut self, key: &VersionKey) {
        if let Some(history) = self.history(key) {
            history.warm();
        }
    }

    /// A request that came then, and found none for that reason, has got one.
    pub(super) fn note_start(
        &mut self,
        key: &VersionKey,
        at: Instant,
        kind: StartKind,
        absence: Absence,
    ) {
        let now = self.now;
        if let Some(history) = self.history(key) {
            history.start(at, now, kind, absence);
        }
    }

    /// An instance ends.
    pub(super) fn note_end(&mut self, id: InstanceId, end: End) {
        let now = self.now;
        let number = self.members.get(&id).and_then(|member| member.number);
        if let Some(numbered) = number.and_then(|number| self.mind.numbers.at_mut(number)) {
            numbered.history.ended(now, end);
        }
    }

    fn history(&mut self, key: &VersionKey) -> Option<&mut History> {
        let number = self.mind.numbers.of(key)?;
        Some(&mut self.mind.numbers.at_mut(number)?.history)
    }
}
