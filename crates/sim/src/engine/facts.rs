//! What is known, or drawn by the seed, of each function before a run. All policies share it.

use pilotlight_model::start::StartKind;
use pilotlight_policy::{Bytes, VersionId};

use crate::draw::{Draw, Stream};
use crate::options::{Options, Room};
use crate::profile::{Class, ClassName, Profile};
use crate::trace::{Durations, Trace};

/// The longest that a start is let take, in nanoseconds: a day.
const LONGEST_START_NS: f64 = 86_400e9;
/// The most memory that an instance is let have.
const MOST_MEMORY: Bytes = Bytes(1 << 44);

/// Facts of all functions.
#[derive(Debug)]
pub(crate) struct Facts {
    profile: Profile,
    functions: Vec<Fact>,
}

/// Facts of one function.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fact {
    pub(crate) class: ClassName,
    /// What it counts for in statistics over functions; one on average.
    pub(crate) weight: f64,
    /// Of an instance.
    pub(crate) memory: Bytes,
    pub(crate) template: Bytes,
    pub(crate) spare: Bytes,
    /// Of an instance that was forked, beside its template.
    pub(crate) forked: Bytes,
    /// What such an instance takes of its node's room.
    pub(crate) forked_takes: Bytes,
    /// What a template takes of it while it is made.
    pub(crate) room_to_make: Bytes,
    /// Its own initialisation, in milliseconds.
    pub(crate) user_init_ms: f64,
    pub(crate) durations: Durations,
}

impl Facts {
    pub(crate) fn new(trace: &Trace, profile: &Profile, options: &Options) -> Self {
        let draw = Draw::new(options.seed);
        let scale = trace.scale();
        let default = Durations::constant(options.duration.as_secs_f32() * 1e3);
        let functions = trace.functions.iter().enumerate().map(|(index, function)| {
            let known = options.runtime.or(function.class);
            let class = known.unwrap_or_else(|| drawn(profile, draw, index as u64));
            let said = function.memory.filter(|_| !options.same_memory);
            let memory = said.unwrap_or(options.memory).min(MOST_MEMORY);
            let weighs = &class_of(profile, class).memory;
            let (template, forked) = (weighs.template.of(memory), weighs.forked.of(memory));
            let takes = |weight| match options.room {
                Room::Weighed => weight,
                Room::Promised => memory,
            };
            Fact {
                class,
                weight: function.weight * scale,
                memory,
                template,
                spare: weighs.spare.of(memory),
                forked,
                forked_takes: takes(forked),
                room_to_make: takes(template),
                durations: function.durations.unwrap_or(default),
                user_init_ms: profile
                    .user_init_ms
                    .at(draw.unit(Stream::UserInit, index as u64, 0)),
            }
        });
        Self {
            functions: functions.collect(),
            profile: profile.clone(),
        }
    }

    pub(crate) fn of(&self, version: VersionId) -> &Fact {
        &self.functions[version.0 as usize]
    }

    pub(crate) fn all(&self) -> &[Fact] {
        &self.functions
    }

    pub(crate) fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What a start of that kind takes at a share of its distribution, in nanoseconds.
    pub(crate) fn start_ns(&self, version: VersionId, kind: StartKind, share: f64) -> u64 {
        let fact = self.of(version);
        let start = class_of(&self.profile, fact.class)
            .start_ms
            .of(kind)
            .at(share);
        let init = match kind {
            StartKind::Zygote | StartKind::Booted => fact.user_init_ms,
            StartKind::Warm | StartKind::Spare | StartKind::Forked => 0.0,
        };
        ((start + init) * 1e6).min(LONGEST_START_NS) as u64
    }
}

impl Fact {
    /// Bytes of all that the function stands for.
    pub(crate) fn weighted(&self, bytes: u64) -> u64 {
        (bytes as f64 * self.weight) as u64
    }
}

/// The costs of a class; those of the first class that was measured where it was not.
pub(crate) fn class_of(profile: &Profile, class: ClassName) -> &Class {
    let measured = profile
        .classes
        .get(&class)
        .or_else(|| profile.classes.values().next());
    measured.expect("a profile without classes is refused when it is read")
}

fn drawn(profile: &Profile, draw: Draw, index: u64) -> ClassName {
    let total: f64 = profile.classes.values().map(|class| class.share).sum();
    let mut left = draw.unit(Stream::Class, index, 0) * total;
    let mut chosen = ClassName::Native;
    for (name, class) in &profile.classes {
        if class.share > 0.0 {
            chosen = *name;
            left -= class.share;
            if left < 0.0 {
                break;
            }
        }
    }
    chosen
}
