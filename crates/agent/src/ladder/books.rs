//! What the ladder knows of each version: its template, why it has none, and when to try again. Nothing
//! here waits or does anything.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ladder::Refusal;
use pilotlight_model::start::Instant;
use tokio::sync::watch;

use super::Parked;
use crate::tries::Tries;

#[derive(Default)]
pub(super) struct Books {
    versions: HashMap<VersionKey, Entry>,
}

pub(super) struct Entry {
    /// The newest known.
    pub(super) spec: Arc<FunctionSpec>,
    pub(super) template: Option<Arc<Parked>>,
    /// Why the process of the newest revision cannot be a template.
    pub(super) refusal: Option<Refusal>,
    /// How its init ended, if it failed: unlike a refusal, the next may do better.
    failure: Option<Refusal>,
    /// The attempt of the newest revision.
    building: Option<Attempt>,
    templates: Tries,
    spares: Tries,
    spare_coming: bool,
    /// A spare was taken while the next was made.
    spare_taken: bool,
}

/// To make a template.
struct Attempt {
    /// Ends when it has.
    over: watch::Receiver<()>,
    /// Its turn has come, and room for it.
    begun: bool,
}

/// What is shown of a version.
pub(super) struct Known {
    pub(super) spec: Arc<FunctionSpec>,
    /// Of its template, those that are ready.
    pub(super) berths: u32,
    /// Why its process cannot be a template, if there is a reason.
    pub(super) refusal: Option<Refusal>,
    /// Whether it has a template, or one is being made.
    pub(super) templated: bool,
}

/// What becomes of the wish for a template.
pub(super) enum Build {
    /// It is there, or there shall be none now.
    Nothing,
    /// It is being made: done when the sender goes.
    UnderWay(watch::Receiver<()>),
    /// It is to be made, by the caller, who drops the sender when that is over.
    Start(watch::Sender<()>, watch::Receiver<()>),
}

impl Books {
    /// The version is on this node; its entry is of the newest revision that is known.
    pub(super) fn note(&mut self, spec: &Arc<FunctionSpec>) -> &mut Entry {
        let entry = self
            .versions
            .entry(spec.key.clone())
            .or_insert_with(|| Entry::new(spec));
        if entry.spec.revision < spec.revision {
            // The template of the revision before serves on until this one has its own.
            let template = entry.template.take();
            *entry = Entry::new(spec);
            entry.template = template;
        }
        entry
    }

    pub(super) fn get(&self, key: &VersionKey) -> Option<&Entry> {
        self.versions.get(key)
    }

    /// The template that starts of that revision are forked from.
    pub(super) fn template(&self, spec: &FunctionSpec) -> Option<Arc<Parked>> {
        let template = self.versions.get(&spec.key)?.template.as_ref()?;
        (template.spec.revision == spec.revision).then(|| Arc::clone(template))
    }

    /// Every version.
    pub(super) fn known(&self) -> Vec<Known> {
        let known = |entry: &Entry| Known {
            spec: Arc::clone(&entry.spec),
            berths: entry.template.as_ref().map_or(0, |it| it.berths.ready()),
            refusal: entry.refusal.as_ref().or(entry.failure.as_ref()).cloned(),
            templated: entry.template.is_some() || entry.building.is_some(),
        };
        self.versions.values().map(known).collect()
    }

    /// A template of that revision is wanted; `now` is absent when what failed before does not count.
    pub(super) fn build(&mut self, spec: &Arc<FunctionSpec>, now: Option<Instant>) -> Build {
        let entry = self.note(spec);
        let of = |template: &Arc<Parked>| template.spec.revision >= spec.revision;
        if entry.spec.revision > spec.revision || entry.template.as_ref().is_some_and(of) {
            return Build::Nothing;
        }
        if let Some(building) = &entry.building {
            return Build::UnderWay(building.over.clone());
        }
        if now.is_some_and(|now| entry.refusal.is_some() || !entry.templates.may(now)) {
            return Build::Nothing;
        }
        let (sender, receiver) = watch::channel(());
        entry.building = Some(Attempt {
            over: receiver.clone(),
            begun: false,
        });
        entry.refusal = None;
        entry.failure = None;
        Build::Start(sender, receiver)
    }

    /// The attempt of that revision has its turn.
    pub(super) fn build_begun(&mut self, spec: &FunctionSpec) {
        let building = self.of_revision(spec).and_then(|it| it.building.as_mut());
        if let Some(attempt) = building {
            attempt.begun = true;
        }
    }

    /// The attempt of that revision is over. One that was called off before its turn came has not failed.
    pub(super) fn build_over(&mut self, spec: &FunctionSpec, now: Instant) {
        let Some(entry) = self.of_revision(spec) else {
            return;
        };
        let begun = entry.building.take().is_some_and(|attempt| attempt.begun);
        if begun && entry.template.is_none() {
            let _rest = entry.templates.failed(now);
        }
    }

    /// The version has a template now. Returns the one that it replaces. A version that is not known any
    /// more takes none.
    pub(super) fn install(&mut self, template: &Arc<Parked>) -> Result<Option<Arc<Parked>>, ()> {
        let entry = self.of_revision(&template.spec).ok_or(())?;
        Ok(entry.template.replace(Arc::clone(template)))
    }

    /// That template is no more. Returns how long to rest before the next is made: not at all after one
    /// that did its work, and longer and longer after such as did not. `None`: there shall be no other.
    pub(super) fn uninstall(
        &mut self,
        template: &Arc<Parked>,
        well: bool,
        now: Instant,
    ) -> Option<Duration> {
        let entry = self.versions.get_mut(&template.spec.key)?;
        let same = |it: &Arc<Parked>| Arc::ptr_eq(it, template);
        // Another may have taken its place, or be about to.
        entry.template.take_if(|it| same(it))?;
        if entry.spec.revision != template.spec.revision {
            return None;
        }
        if well {
            entry.templates = Tries::default();
            return Some(Duration::ZERO);
        }
        Some(entry.templates.failed(now))
    }

    pub(super) fn refuse(&mut self, spec: &FunctionSpec, refusal: Refusal) {
        if let Some(entry) = self.of_revision(spec) {
            entry.refusal = Some(refusal);
        }
    }

    pub(super) fn init_failed(&mut self, spec: &FunctionSpec, failure: Refusal) {
        if let Some(entry) = self.of_revision(spec) {
            entry.failure = Some(failure);
        }
    }

    pub(super) fn init_failure(&mut self, spec: &FunctionSpec) -> Option<String> {
        let entry = self.of_revision(spec)?;
        Some(entry.failure.as_ref()?.detail.clone())
    }

    /// Whether a spare of that revision is to be made now, by the caller.
    pub(super) fn order_spare(&mut self, spec: &FunctionSpec, ready: bool, now: Instant) -> bool {
        let has_template = self.template(spec).is_some();
        let Some(entry) = self.of_revision(spec) else {
            return false;
        };
        if entry.spare_coming {
            entry.spare_taken = true;
            return false;
        }
        if ready || !has_template || !entry.spares.may(now) {
            return false;
        }
        entry.spare_coming = true;
        entry.spare_taken = false;
        // Until it is made it has failed: it may end in many ways.
        let _rest = entry.spares.failed(now);
        true
    }

    pub(super) fn spare_made(&mut self, spec: &FunctionSpec) {
        if let Some(entry) = self.of_revision(spec) {
            entry.spares = Tries::default();
        }
    }

    /// Nothing comes of that order any more. Whether the next one is due at once.
    pub(super) fn spare_over(&mut self, spec: &FunctionSpec) -> bool {
        let Some(entry) = self.of_revision(spec) else {
            return false;
        };
        entry.spare_coming = false;
        std::mem::take(&mut entry.spare_taken)
    }

    /// The version is no more. Returns what is to be dropped once the lock is free.
    pub(super) fn forget(&mut self, key: &VersionKey) -> Option<Entry> {
        self.versions.remove(key)
    }

    /// The node ends: no template is to be had any more.
    pub(super) fn clear(&mut self) -> HashMap<VersionKey, Entry> {
        std::mem::take(&mut self.versions)
    }

    fn of_revision(&mut self, spec: &FunctionSpec) -> Option<&mut Entry> {
        let entry = self.versions.get_mut(&spec.key)?;
        (entry.spec.revision == spec.revision).then_some(entry)
    }
}

impl Entry {
    fn new(spec: &Arc<FunctionSpec>) -> Self {
        Self {
            spec: Arc::clone(spec),
            template: None,
            refusal: None,
            failure: None,
            building: None,
            templates: Tries::default(),
            spares: Tries::default(),
            spare_coming: false,
            spare_taken: false,
        }
    }
}
