//! What a version's starts take and its rungs weigh: measured where it was, and until then what is known
//! of its runtime.

use std::time::Duration;

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::StartKind;

use crate::Bytes;
use crate::event::Runtime;

/// Measurements that a version's prior is worth.
const TRUST_CLASS: f32 = 2.0;
/// Measurements that a class's constants are worth.
const TRUST_CONSTANT: f32 = 8.0;
/// The smallest step of a running median, as a part of its value: it follows a change within some twenty
/// measurements, and one that is far off moves it no more than any other.
const STEP: f32 = 0.05;
/// What a user's own initialisation takes before any was measured, in milliseconds.
const USER_INIT_MS: f32 = 100.0;
const MS: f32 = 1e-3;

/// A running median of milliseconds (or of any positive number), in 8 bytes: it moves by a step towards
/// each measurement, wherever that lies.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Median {
    value: f32,
    seen: u32,
}

impl Median {
    /// Takes a measurement in.
    pub fn add(&mut self, measured: f32) {
        let measured = measured.max(1e-3);
        self.seen = self.seen.saturating_add(1);
        if self.seen == 1 {
            self.value = measured;
            return;
        }
        let step = STEP.max(1.0 / self.seen as f32);
        self.value = if measured > self.value {
            (self.value * (1.0 + step)).min(measured)
        } else {
            (self.value / (1.0 + step)).max(measured)
        };
    }

    /// The median, where a prior counts as so many measurements.
    pub fn with_prior(&self, prior: f32, trust: f32) -> f32 {
        let seen = self.seen.min(64) as f32;
        if seen == 0.0 {
            return prior;
        }
        let logarithm = (seen * self.value.ln() + trust * prior.max(1e-3).ln()) / (seen + trust);
        logarithm.exp()
    }
}

/// What was measured of one version, in 64 bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Measured {
    starts: [Median; StartKind::ALL.len()],
    make_template: Median,
    /// In KiB.
    template: u32,
    spare: u32,
    idle: u32,
    whole: u32,
}

/// What is known of the runtimes, and with it of every version.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs {
    classes: [[Median; StartKind::ALL.len()]; 4],
    make_template: [Median; 4],
}

impl Costs {
    /// A start was measured.
    pub fn started(
        &mut self,
        runtime: Runtime,
        its: &mut Measured,
        kind: StartKind,
        took: Duration,
    ) {
        let ms = took.as_secs_f32() / MS;
        its.starts[kind as usize].add(ms);
        self.classes[runtime as usize][kind as usize].add(ms);
    }

    /// Something that is kept for starts was measured.
    pub fn held(
        &mut self,
        runtime: Runtime,
        its: &mut Measured,
        rung: Rung,
        memory: Bytes,
        took: Duration,
    ) {
        match rung {
            Rung::Template => {
                its.template = kib(memory);
                its.make_template.add(took.as_secs_f32() / MS);
                self.make_template[runtime as usize].add(took.as_secs_f32() / MS);
            }
            Rung::Spare => its.spare = kib(memory),
            _ => {}
        }
    }

    /// How long a start of that kind takes, as a median.
    pub fn start(&self, runtime: Runtime, its: &Measured, kind: StartKind) -> Duration {
        let class = self.classes[runtime as usize][kind as usize];
        let prior = class.with_prior(constant_ms(runtime, kind), TRUST_CONSTANT);
        millis(its.starts[kind as usize].with_prior(prior, TRUST_CLASS))
    }

    /// How long a template takes to make: what a start takes that pays the user's initialisation, where it was
    /// not measured.
    pub fn make_template(&self, runtime: Runtime, its: &Measured) -> Duration {
        let start = self.start(runtime, its, StartKind::Zygote).as_secs_f32() / MS;
        let class = self.make_template[runtime as usize].with_prior(start, TRUST_CONSTANT);
        millis(its.make_template.with_prior(class, TRUST_CLASS))
    }
}

impl Measured {
    /// An idle instance was measured. `whole` where no template shares its memory.
    pub fn idle(&mut self, memory: Bytes, whole: bool) {
        let place = if whole {
            &mut self.whole
        } else {
            &mut self.idle
        };
        *place = kib(memory);
    }

    /// What a template takes. `most` is the most that an instance may use.
    pub fn template_memory(&self, most: Bytes) -> Bytes {
        match (self.template, self.whole) {
            (0, 0) => Bytes(most.0 / 2),
            (0, whole) => Bytes(u64::from(whole) * 1024 / 2),
            (template, _) => Bytes(u64::from(template) * 1024),
        }
    }

    /// What a spare, or an idle instance beside its template, takes.
    pub fn fork_memory(&self, most: Bytes) -> Bytes {
        match self.spare.max(self.idle) {
            0 => Bytes((most.0 / 8).min(Bytes::mib(3).0)),
            fork => Bytes(u64::from(fork) * 1024),
        }
    }

    /// What an instance takes that shares nothing with a template: measured, or the sum of a template and a
    /// fork of it, or what is allowed.
    pub fn whole_memory(&self, most: Bytes) -> Bytes {
        match (self.whole, self.template, self.idle) {
            (0, 0, _) | (0, _, 0) => most,
            (0, template, idle) => Bytes((u64::from(template) + u64::from(idle)) * 1024),
            (whole, ..) => Bytes(u64::from(whole) * 1024),
        }
    }
}

/// What the platform's own benchmark gave, in milliseconds (`pilot bench`, two cores).
fn constant_ms(runtime: Runtime, kind: StartKind) -> f32 {
    match (kind, runtime) {
        (StartKind::Warm | StartKind::Spare, _) => 0.6,
        (StartKind::Forked, Runtime::Python) => 0.7,
        (StartKind::Forked, Runtime::Node) => 1.1,
        (StartKind::Forked, Runtime::Java | Runtime::Native) => 1.2,
        (StartKind::Zygote, Runtime::Python | Runtime::Native) => 9.0 + USER_INIT_MS,
        (StartKind::Zygote, Runtime::Node) => 15.0 + USER_INIT_MS,
        (StartKind::Zygote, Runtime::Java) => 25.0 + USER_INIT_MS,
        (StartKind::Booted, Runtime::Python | Runtime::Native) => 45.0 + USER_INIT_MS,
        (StartKind::Booted, Runtime::Node) => 90.0 + USER_INIT_MS,
        (StartKind::Booted, Runtime::Java) => 250.0 + USER_INIT_MS,
    }
}

fn kib(memory: Bytes) -> u32 {
    u32::try_from(memory.0.div_ceil(1024))
        .unwrap_or(u32::MAX)
        .max(1)
}

fn millis(ms: f32) -> Duration {
    Duration::from_secs_f32((ms * MS).clamp(0.0, 3_600.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_was_measured_takes_over() {
        let (mut costs, mut its) = (Costs::default(), Measured::default());
        let start =
            |costs: &Costs, its: &Measured| costs.start(Runtime::Python, its, StartKind::Booted);
        assert_eq!(start(&costs, &its).as_millis(), 145);
        for _ in 0..40 {
            costs.started(
                Runtime::Python,
                &mut its,
                StartKind::Booted,
                Duration::from_millis(900),
            );
        }
        assert!(start(&costs, &its).as_millis() > 800);
        let another = start(&costs, &Measured::default()).as_millis();
        assert!(
            another > 500 && another < 900,
            "it believes its class: {another}"
        );
        its.idle(Bytes::mib(100), true);
        assert_eq!(its.template_memory(Bytes::mib(512)), Bytes::mib(50));
        costs.held(
            Runtime::Python,
            &mut its,
            Rung::Template,
            Bytes::mib(60),
            Duration::from_secs(1),
        );
        assert_eq!(its.template_memory(Bytes::mib(512)), Bytes::mib(60));
        assert_eq!(its.whole_memory(Bytes::mib(512)), Bytes::mib(100));
        assert!(size_of::<Measured>() <= 64);
    }

    proptest! {
        /// A few outliers, however far, move a median by no more than so many steps.
        #[test]
        fn a_median_stands_outliers(far in 1e3f32..1e9, at in 20usize..60) {
            let mut median = Median::default();
            for place in 0..80 {
                median.add(if place == at { far } else { 10.0 + (place % 5) as f32 });
            }
            let value = median.with_prior(10.0, 0.0);
            prop_assert!((9.0..16.0).contains(&value), "{value}");
        }
    }
}
