//! Instances that have nothing to do: the next request of their version takes one, or the policy ends it.

use std::sync::Arc;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::start::StartKind;

use super::effects::Effects;
use super::history::End;
use super::members::MemberPhase;
use super::orders::Ticket;
use super::state::State;
use crate::instance::Instance;

impl State {
    /// Finds the instance its next request, or a place among the idle, or its end. `started_for` names the
    /// request that its start was for, when this is the end of the start.
    pub(super) fn release(
        &mut self,
        instance: &Arc<Instance>,
        started_for: Option<(Ticket, StartKind)>,
        effects: &mut Effects,
    ) {
        let kind = started_for.map_or(StartKind::Warm, |(_, kind)| kind);
        // The request that a start was for gets it even if the version has moved on since.
        let current = !instance.is_retired() && self.is_newest(&instance.spec);
        match self.members.get(&instance.id).map(|member| member.phase) {
            Some(MemberPhase::Starting) => self.tell_started(instance.id, instance.started_as()),
            Some(MemberPhase::Busy) if current && !self.draining => self.tell_idle(instance.id),
            _ => {}
        }
        let mut next = started_for
            .map(|(ticket, _)| ticket)
            .filter(|ticket| self.waiting.contains_key(ticket));
        if next.is_none() && current && !self.draining && self.makes_way(instance, effects) {
            return;
        }
        loop {
            next = next.or_else(|| self.first_waiting(&instance.spec.key).filter(|_| current));
            let Some(waiting) = next.take().and_then(|ticket| self.take_waiting(ticket)) else {
                break;
            };
            self.set_busy(instance.id);
            if self.grant(waiting, instance, kind) {
                return;
            }
        }
        if self.draining || !current {
            self.note_end(instance.id, End::Changed);
            self.stop(instance, effects);
        } else {
            self.make_idle(instance, effects);
        }
    }

    pub(super) fn make_idle(&mut self, instance: &Arc<Instance>, effects: &mut Effects) {
        let Some(member) = self.members.get_mut(&instance.id) else {
            return;
        };
        if member.phase == MemberPhase::Ending {
            return;
        }
        member.phase = MemberPhase::Idle;
        let member_is_apart = member.number.is_none();
        if self.provisions.keep(instance, self.now) {
            return;
        }
        if member_is_apart {
            // Nobody would ever end it.
            self.stop(instance, effects);
            return;
        }
        self.version(&instance.spec).idle.push(Arc::clone(instance));
        self.tell_idle(instance.id);
        self.weigh_soon(instance.id);
    }

    /// What is provisioned is used first; of the others the one used last.
    pub(super) fn pop_idle(&mut self, key: &VersionKey) -> Option<Arc<Instance>> {
        let instance = self.take_idle(key)?;
        let now = self.now;
        let version = self.versions.get_mut(key)?;
        version.uses += 1;
        version.last_used = now;
        Some(instance)
    }

    /// As [`State::pop_idle`], but for no request: it does not count as a use.
    pub(super) fn take_idle(&mut self, key: &VersionKey) -> Option<Arc<Instance>> {
        let provisioned = self.provisions.pop(key);
        let instance = match provisioned {
            Some(instance) => instance,
            None => self.versions.get_mut(key)?.idle.pop()?,
        };
        self.set_busy(instance.id);
        Some(instance)
    }

    /// Counts the version's idle instances, provisioned ones among them. Of the others those used last, up
    /// to `wanted` of all, are kept from now on as if they had just become idle.
    pub(super) fn keep(
        &mut self,
        spec: &Arc<FunctionSpec>,
        wanted: usize,
        effects: &mut Effects,
    ) -> usize {
        self.refresh(spec, effects);
        let Some(version) = self.versions.get(&spec.key) else {
            return 0;
        };
        let idle = version.idle.clone();
        let provisioned = self.provisions.idle(&spec.key);
        for instance in idle.iter().rev().take(wanted.saturating_sub(provisioned)) {
            self.tell_idle_from_now(instance.id);
        }
        provisioned + idle.len()
    }

    /// Ends the idle instances of that version, those that are provisioned apart.
    pub(super) fn end_idle(&mut self, key: &VersionKey, effects: &mut Effects) {
        let version = self.versions.get_mut(key);
        let idle = version.map_or_else(Vec::new, |version| std::mem::take(&mut version.idle));
        for instance in idle {
            self.note_end(instance.id, End::Changed);
            self.stop(&instance, effects);
        }
    }
}
