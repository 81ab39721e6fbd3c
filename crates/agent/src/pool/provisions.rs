//! Provisioned instances: of each version so many as its owner asked for, made ahead, used first, and
//! resident until they are released. They have all the room of an instance that serves, and neither
//! keep-alive nor want of memory reclaims them; one that ends is made again.

mod books;

use std::sync::Arc;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::provisioned::{Provisioned, Trouble, Usage};
use pilotlight_model::start::{Instant, StartKind};

use super::Pool;
use super::effects::Effects;
use super::members::{MemberPhase, Occupant};
use super::orders::Purpose;
use super::room::{Room, Wanted};
use super::state::State;
use crate::instance::Instance;
use crate::tries::Tries;
use books::Provision;

pub(super) use books::Provisions;

impl Pool {
    /// So many instances of that version are provisioned from now on.
    pub(crate) fn provision(self: &Arc<Self>, spec: &Arc<FunctionSpec>, count: u32) {
        self.decide(|state, effects| state.provision(spec, count, effects));
        self.pump();
    }

    /// What that version has of what is provisioned for it.
    pub(crate) fn provisioned(&self, key: &VersionKey) -> Option<Provisioned> {
        let state = self.lock();
        state.provisions.of(key, state.now)
    }

    /// A provisioned instance is initialised, and serves from now on.
    pub(crate) fn provisioned_ready(self: &Arc<Self>, instance: &Arc<Instance>) {
        self.decide(|state, effects| state.provisioned_ready(instance, effects));
    }

    /// A provisioned instance has ended, for that reason if it never came so far as to serve.
    pub(crate) fn provisioned_over(&self, instance: &Instance, trouble: Trouble) {
        self.lock().not_provisioned(instance, trouble);
        // The next attempt has a time now.
        self.clock_changed.notify_one();
    }

    /// What provisioned instances have done and cost.
    pub(crate) fn provisioned_usage(&self) -> Usage {
        let state = self.lock();
        state.provisions.usage(state.now)
    }
}

impl State {
    /// So many instances of that version are provisioned from now on.
    pub(super) fn provision(
        &mut self,
        spec: &Arc<FunctionSpec>,
        wanted: u32,
        effects: &mut Effects,
    ) {
        if self.draining {
            return;
        }
        let older = |it: &Provision| it.spec.revision < spec.revision;
        if wanted == 0 || self.provisions.versions.get(&spec.key).is_some_and(older) {
            self.unprovision(&spec.key, effects);
        }
        if wanted == 0 {
            return;
        }
        let versions = &mut self.provisions.versions;
        let provision = versions
            .entry(spec.key.clone())
            .or_insert_with(|| Provision::new(spec));
        if provision.wanted != wanted {
            provision.wanted = wanted;
            provision.trouble = None;
            provision.tries = Tries::default();
        }
        let now = self.now;
        let mut too_many = Vec::new();
        while provision.members() > wanted
            && let Some(id) = provision.take_out(now)
        {
            too_many.push(id);
        }
        for id in too_many {
            self.let_go(id, effects);
        }
    }

    /// Nothing is provisioned for that version any more.
    pub(super) fn unprovision(&mut self, key: &VersionKey, effects: &mut Effects) {
        let Some(mut provision) = self.provisions.versions.remove(key) else {
            return;
        };
        let now = self.now;
        self.provisions.released += provision.usage(now);
        while let Some(id) = provision.take_out(now) {
            self.let_go(id, effects);
        }
    }

    /// What is provisioned for that version is made again.
    pub(super) fn renew_provision(&mut self, key: &VersionKey, effects: &mut Effects) {
        let provision = self.provisions.versions.get(key);
        let Some((spec, wanted)) = provision.map(|it| (Arc::clone(&it.spec), it.wanted)) else {
            return;
        };
        self.unprovision(key, effects);
        self.provision(&spec, wanted, effects);
    }

    /// Nothing is provisioned for any version any more.
    pub(super) fn unprovision_all(&mut self, effects: &mut Effects) {
        let keys: Vec<VersionKey> = self.provisions.versions.keys().cloned().collect();
        for key in keys {
            self.unprovision(&key, effects);
        }
    }

    /// What is provisioned for an older revision of the version is from now on for this one.
    pub(super) fn move_provision(&mut self, spec: &Arc<FunctionSpec>, effects: &mut Effects) {
        let provision = self.provisions.versions.get(&spec.key);
        if let Some(wanted) = provision
            .filter(|it| it.spec.revision < spec.revision)
            .map(|it| it.wanted)
        {
            self.provision(spec, wanted, effects);
        }
    }

    /// Ends a member that was provisioned: at once if it waits, else after what it does.
    fn let_go(&mut self, id: InstanceId, effects: &mut Effects) {
        let Some(member) = self.members.get_mut(&id) else {
            return;
        };
        let Some(Occupant::Instance(instance)) = member.occupant.clone() else {
            return;
        };
        instance.retire();
        if member.phase == MemberPhase::Idle {
            self.stop(&instance, effects);
        }
    }

    /// Admits what is provisioned and not there, as far as there are turns and room.
    pub(super) fn admit_provisions(&mut self, now: Instant, effects: &mut Effects) {
        if self.draining {
            return;
        }
        let lacking = |(_, it): &(&VersionKey, &Provision)| it.lacks(now);
        let versions = self.provisions.versions.iter().filter(lacking);
        let lacking: Vec<VersionKey> = versions.map(|(key, _)| key.clone()).collect();
        for key in lacking {
            while self.has_provision_turn()
                && let Some(spec) = self.next_provisioned(&key, now)
                && self.has_room_for_provisioned(now, &spec, effects)
            {
                let admitted = self.promise(now, Purpose::Provisioned, spec, StartKind::Forked);
                if let Some(provision) = self.provisions.versions.get_mut(&key) {
                    provision.starting.insert(admitted.instance);
                }
                effects.start.push(admitted);
            }
        }
    }

    /// Whether something is provisioned whose turn it is, and that finds no room even when what ends has gone.
    pub(super) fn is_provision_short(&self, ending: Room) -> bool {
        let lacking = |it: &&Provision| it.lacks(self.now);
        let lacking = self.provisions.versions.values().filter(lacking);
        self.has_provision_turn()
            && lacking
                .map(|it| Room::instance(it.spec.memory_mb.into()))
                .any(|need| !self.fits_without(ending, need) && self.may_be_provisioned(need))
    }

    fn next_provisioned(&self, key: &VersionKey, now: Instant) -> Option<Arc<FunctionSpec>> {
        let provision = self.provisions.versions.get(key)?;
        provision.lacks(now).then(|| Arc::clone(&provision.spec))
    }

    /// What does not fit whatever is reclaimed takes nothing away from others.
    fn has_room_for_provisioned(
        &mut self,
        now: Instant,
        spec: &FunctionSpec,
        effects: &mut Effects,
    ) -> bool {
        let need = Room::instance(spec.memory_mb.into());
        if self.can_be_provisioned(need) {
            return self.has_room(now, need, Wanted::Start, effects);
        }
        if let Some(provision) = self.provisions.versions.get_mut(&spec.key) {
            let before = provision.trouble.replace(Trouble::NoRoom);
            if before != Some(Trouble::NoRoom) {
                tracing::warn!(version = %spec.key, "no room for a provisioned instance");
            }
        }
        false
    }

    /// A provisioned instance is initialised. One that is too many by now ends.
    pub(super) fn provisioned_ready(&mut self, instance: &Arc<Instance>, effects: &mut Effects) {
        if let Some(provision) = self.provisions.versions.get_mut(&instance.spec.key)
            && provision.starting.remove(&instance.id)
        {
            provision.ready.insert(instance.id, None);
            provision.trouble = None;
            self.release(instance, None, effects);
        } else {
            self.stop(instance, effects);
        }
    }

    /// The start of a provisioned instance came to nothing, if it had not come to its end before.
    pub(super) fn not_provisioned(&mut self, instance: &Instance, trouble: Trouble) {
        let now = self.now;
        if let Some(provision) = self.provisions.versions.get_mut(&instance.spec.key)
            && provision.starting.remove(&instance.id)
        {
            provision.trouble = Some(trouble);
            let rest = provision.tries.failed(now);
            tracing::warn!(
                version = %instance.spec.key, ?trouble, rest_s = rest.as_secs(),
                "provisioned instance not made"
            );
        }
    }
}
