//! What the policy has in mind of one version.

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use super::stated::Stated;
use crate::action::Forecast;
use crate::budget::Shadow;
use crate::budget::ledger::ONE;
use crate::costs::Measured;
use crate::event::Runtime;
use crate::explain::Record;
use crate::predict::bins::{self, MINUTE};
use crate::predict::calls::Callees;
use crate::predict::curve::Past;
use crate::predict::fine::Fine;
use crate::{Bytes, NodeId, VersionId};

/// Over how long requests are counted, in minutes: about three days.
const MEMORY_MINUTES: f32 = 4_320.0;
/// Requests and minutes that a version is taken to have had before it was known.
const PRIOR_REQUESTS: f32 = 0.5;
const PRIOR_MINUTES: f32 = 60.0;
const MINUTES_PER_DAY: f32 = 1_440.0;
/// No version's requests count for more than such as come so many days apart.
const MOST_DAYS: f32 = 2.0;

/// A version; 1 KiB beside its callees and the starts that are told.
#[derive(Debug, Clone)]
pub(super) struct Mind {
    pub runtime: Runtime,
    /// The most that an instance may use.
    pub most: Bytes,
    /// How many versions it stands for.
    pub weight: f32,
    pub since: Instant,
    /// Its last request.
    pub last: Option<Instant>,
    /// Minutes with requests, decayed.
    pub active: f32,
    pub past: Past,
    /// At which seconds its gaps end, and how exactly.
    pub fine: Fine,
    /// How far from its minute a request may come, in nanoseconds.
    pub radius: u64,
    /// Bins that the open gap has outlasted.
    pub crossed: usize,
    pub its: Measured,
    pub shadow: Shadow,
    /// Idle instances, the one used last at the end.
    pub idle: Vec<Resting>,
    /// What starts came from that are over, until it is known whom they serve.
    pub fresh: Vec<(InstanceId, StartKind)>,
    /// Instances that came from no template.
    pub whole: Vec<InstanceId>,
    /// The room of an idle one beside its template, as it was told last, in KiB; 0 before.
    pub fork_room_kib: u32,
    /// Instances are weighed: what the room is that they give back says nothing of what they take.
    pub weighed: bool,
    pub template: Option<Bytes>,
    pub spare: Option<Bytes>,
    /// Where it is held.
    pub home: NodeId,
    /// The rung that was ordered.
    pub wanted: Rung,
    pub wanted_since: Instant,
    /// Templates of it are not made.
    pub no_template: bool,
    /// What the ledger has of it.
    pub counted: Bytes,
    pub due: Option<Instant>,
    pub callees: Callees,
    pub expected: Option<Expectation>,
    pub forecast: Option<Kept>,
    /// Forecasts that were told, and are not decided.
    pub stated: Stated,
    pub gave_up: Option<GaveUp>,
    pub record: Record,
    /// What a second saved was worth when it was looked at last, per minute.
    pub value: f32,
    /// Nodes on which its idle instances are among what could give way.
    pub ranked: Vec<NodeId>,
}

/// An idle instance.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resting {
    pub instance: InstanceId,
    pub node: NodeId,
    /// Since when it has nothing to do.
    pub since: Instant,
    /// What its reclamation gives back of its node's room.
    pub room: Bytes,
    /// What it takes, as far as is known.
    pub memory: Bytes,
    /// Whether it shares no memory with a template.
    pub whole: bool,
}

/// Something that is kept because of a forecast.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kept {
    pub forecast: Forecast,
    pub since: Instant,
}

/// A request that something other than its own past leads one to expect.
#[derive(Debug, Clone, Copy)]
pub(super) struct Expectation {
    pub forecast: Forecast,
    /// Who calls.
    pub caller: Option<VersionId>,
    /// When it was ready.
    pub ready: Option<Instant>,
    /// Where it is sure: an alias shifts requests, or they were announced.
    pub sure: Option<Sure>,
}

/// What is known of requests that will surely come.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sure {
    /// So many at once.
    pub instances: u32,
    /// Since when what is there is kept for them.
    pub since: Instant,
    /// Whether the template, too, is made for them.
    pub made: bool,
    /// One has come.
    pub met: bool,
}

/// When and why nothing was kept any more.
#[derive(Debug, Clone, Copy)]
pub(super) struct GaveUp {
    pub at: Instant,
    pub pressure: bool,
    pub next: Option<Forecast>,
}

impl Default for Mind {
    fn default() -> Self {
        Self {
            runtime: Runtime::default(),
            most: Bytes::mib(128),
            weight: 1.0,
            since: Instant(0),
            last: None,
            active: 0.0,
            past: Past::default(),
            fine: Fine::default(),
            radius: MINUTE / 2,
            crossed: 0,
            its: Measured::default(),
            shadow: Shadow::default(),
            idle: Vec::new(),
            fresh: Vec::new(),
            whole: Vec::new(),
            fork_room_kib: 0,
            weighed: false,
            template: None,
            spare: None,
            home: NodeId(0),
            wanted: Rung::Absent,
            wanted_since: Instant(0),
            no_template: false,
            counted: Bytes(0),
            due: None,
            callees: Callees::default(),
            expected: None,
            forecast: None,
            stated: Stated::default(),
            gave_up: None,
            record: Record::default(),
            value: 0.0,
            ranked: Vec::new(),
        }
    }
}

impl Mind {
    /// What is kept beyond what runs.
    pub(super) fn kept(&self) -> Bytes {
        let idle: u64 = self.idle.iter().map(|resting| resting.memory.0).sum();
        Bytes(idle + self.held().0)
    }

    /// What its template and its spare take.
    pub(super) fn held(&self) -> Bytes {
        Bytes(self.template.unwrap_or_default().0 + self.spare.unwrap_or_default().0)
    }

    /// What the reclamation of an instance beside its template gives back of its node's room.
    pub(super) fn fork_room(&self) -> Bytes {
        match self.fork_room_kib {
            0 => self.its.fork_memory(self.most),
            kib => Bytes(u64::from(kib) << 10),
        }
    }

    /// An instance is no more.
    pub(super) fn forget(&mut self, instance: InstanceId) {
        self.idle.retain(|resting| resting.instance != instance);
        self.fresh.retain(|(fresh, _)| *fresh != instance);
        self.whole.retain(|whole| *whole != instance);
    }

    /// Requests that are surely expected now, or will be, and none of which has come.
    pub(super) fn awaited(&self, now: Instant) -> Option<(Sure, Forecast)> {
        let told = self.expected.filter(|told| now <= told.forecast.until)?;
        let sure = told.sure.filter(|sure| !sure.met)?;
        Some((sure, told.forecast))
    }

    /// Whether requests are surely expected now, or will be.
    pub(super) fn is_sure(&self, now: Instant) -> bool {
        let sure = self.expected.filter(|told| told.sure.is_some());
        sure.is_some_and(|told| now <= told.forecast.until)
    }

    /// The probability per minute of a request that something else than its past leads one to expect.
    pub(super) fn told_hazard(&self, now: Instant) -> f32 {
        let told = self.expected.filter(|told| now <= told.forecast.until);
        told.map_or(0.0, |told| {
            let minutes = told.forecast.until.since(now).as_secs_f32() / 60.0;
            told.forecast.confidence / minutes.max(1.0)
        })
    }

    /// Whether a start would pay neither the runtime's start nor the user's initialisation.
    pub(super) fn is_ready(&self) -> bool {
        self.template.is_some() || self.spare.is_some() || !self.idle.is_empty()
    }

    /// The weight in units of [`ONE`], for the ledger.
    pub(super) fn ledger_weight(&self) -> i64 {
        (f64::from(self.weight.clamp(0.0, 1e6)) * ONE as f64) as i64
    }

    /// A minute with requests, after so many without.
    pub(super) fn count(&mut self, minutes: u16) {
        self.active = self.active * (-f32::from(minutes) / MEMORY_MINUTES).exp() + 1.0;
    }

    /// Mean time between requests, in days.
    pub(super) fn days_between(&self, now: Instant) -> f32 {
        let known = now.since(self.since).as_secs_f32() / 60.0;
        let minutes = MEMORY_MINUTES * (1.0 - (-known / MEMORY_MINUTES).exp());
        let rate = (self.active + PRIOR_REQUESTS) / (minutes + 1.0 + PRIOR_MINUTES);
        (1.0 / (rate * MINUTES_PER_DAY)).min(MOST_DAYS)
    }

    /// Since when its gap is open.
    pub(super) fn gap_since(&self) -> Instant {
        self.last.unwrap_or(self.since)
    }

    /// The minute of the open gap that is not over yet, from 1 on.
    pub(super) fn minute(&self, now: Instant) -> u16 {
        let since = now.0.saturating_sub(self.gap_since().0);
        let minute =
            (since + MINUTE - self.radius).saturating_add_signed(-self.past.gaps.shift()) / MINUTE;
        u16::try_from(minute)
            .unwrap_or(bins::LONGEST)
            .clamp(1, bins::LONGEST)
    }

    /// When a minute of the open gap begins: as much before it as a request may come early. The first begins no
    /// later than gaps do.
    pub(super) fn begins(&self, minute: u16) -> Instant {
        let after = (u64::from(minute) * MINUTE).saturating_sub(self.radius);
        let shift = self.past.gaps.shift();
        let after = after.saturating_add_signed(if minute == 1 { shift.min(0) } else { shift });
        Instant(self.gap_since().0.saturating_add(after))
    }

    /// When the last minute before this one is over.
    pub(super) fn is_over(&self, minute: u16) -> Instant {
        let after = u64::from(minute.saturating_sub(1)) * MINUTE + self.radius;
        let after = after.saturating_add_signed(self.past.gaps.shift());
        Instant(self.gap_since().0.saturating_add(after))
    }

    /// Whether the next request may come soon, as far as those seconds are not over.
    pub(super) fn is_young(&self, now: Instant) -> bool {
        self.last.is_some() && now.0.saturating_sub(self.gap_since().0) < MINUTE / 2
    }
}
