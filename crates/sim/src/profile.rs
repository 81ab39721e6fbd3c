//! What starts cost and what rungs weigh: a file that `pilotlight-bench` writes from what it measured.

use std::collections::BTreeMap;

use pilotlight_model::start::StartKind;
use pilotlight_policy::Bytes;
use pilotlight_policy::event::Runtime;
use serde::{Deserialize, Serialize};

use crate::draw::normal;

/// The format's name in the file.
pub const FORMAT: &str = "pilotlight-profile";
/// The format's version that is read and written.
pub const VERSION: u32 = 1;
/// Bytes of a profile file at most.
const MAX_BYTES: usize = 1 << 20;
const DEFAULT: &str = include_str!("../profiles/default.json");
/// The standard normal distribution's 99th percentile.
const NORMAL_P99: f64 = 2.326_347_874_040_841;

/// Costs of a machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// [`FORMAT`].
    pub format: String,
    /// [`VERSION`].
    pub version: u32,
    /// Where the figures come from, for people.
    pub source: String,
    /// What a function's own initialisation takes, over functions.
    pub user_init_ms: Spread,
    /// Costs by class of runtime: `python`, `node`, `java` and `native`, as many as were measured.
    pub classes: BTreeMap<ClassName, Class>,
}

/// A class of runtimes, as it is written in files and on the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassName {
    /// CPython.
    Python,
    /// Node.js.
    Node,
    /// The JVM.
    Java,
    /// Programs of the user's own.
    Native,
}

impl ClassName {
    /// The class of a runtime.
    pub fn of(runtime: Runtime) -> Self {
        match runtime {
            Runtime::Python => Self::Python,
            Runtime::Node => Self::Node,
            Runtime::Java => Self::Java,
            Runtime::Native => Self::Native,
        }
    }

    /// The class as policies know it.
    pub fn runtime(self) -> Runtime {
        match self {
            Self::Python => Runtime::Python,
            Self::Node => Runtime::Node,
            Self::Java => Runtime::Java,
            Self::Native => Runtime::Native,
        }
    }
}

/// Costs of one class of runtimes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Class {
    /// The part of functions that are of this class, where a trace does not say; in any unit.
    pub share: f64,
    /// What starts take.
    pub start_ms: Starts,
    /// What rungs weigh.
    pub memory: Memory,
}

/// What starts take, from the request's first byte to the answer's. `zygote` and `booted` are without the
/// function's own initialisation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Starts {
    /// An idle instance is there.
    pub warm: Spread,
    /// A fork waits.
    pub spare: Spread,
    /// Forked from the template.
    pub forked: Spread,
    /// Forked from the zygote.
    pub zygote: Spread,
    /// From nothing.
    pub booted: Spread,
}

impl Starts {
    /// Of one kind.
    pub fn of(&self, kind: StartKind) -> Spread {
        match kind {
            StartKind::Warm => self.warm,
            StartKind::Spare => self.spare,
            StartKind::Forked => self.forked,
            StartKind::Zygote => self.zygote,
            StartKind::Booted => self.booted,
        }
    }
}

/// A lognormal distribution of milliseconds, by its median and its 99th percentile.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// Median.
    pub p50: f64,
    /// 99th percentile.
    pub p99: f64,
}

impl Spread {
    /// Its value at a share above 0 and below 1, in milliseconds.
    pub fn at(self, share: f64) -> f64 {
        if self.p50 <= 0.0 {
            return 0.0;
        }
        let sigma = (self.p99 / self.p50).ln() / NORMAL_P99;
        self.p50 * (sigma * normal(share)).exp()
    }
}

/// What rungs weigh in an instance's memory M: the whole of M is what an instance takes that was not forked
/// from a template, or whose template has gone.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// The runtime's zygote, one for each node.
    pub zygote_mb: f64,
    /// A template.
    pub template: Weight,
    /// A fork that waits for its first request, beside its template.
    pub spare: Weight,
    /// An instance that was forked from its template, beside it.
    pub forked: Weight,
}

/// Memory as a part that is always the same and a share of M; never more than M.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// The part that is always the same, in MiB.
    pub mb: f64,
    /// The share of M, from 0 to 1.
    pub share: f64,
}

impl Weight {
    /// For an instance's memory.
    pub fn of(self, memory: Bytes) -> Bytes {
        let fixed = self.mb * f64::from(1 << 20);
        let bytes = fixed + self.share * memory.0 as f64;
        Bytes(bytes as u64).min(memory)
    }
}

/// Why a profile cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// It is no JSON of this form.
    #[error("not a profile")]
    Form(#[from] serde_json::Error),
    /// It is too long.
    #[error("longer than {MAX_BYTES} bytes")]
    Long,
    /// What it says makes no sense.
    #[error("{0}")]
    Sense(String),
}

impl Profile {
    /// A profile from the text of its file.
    pub fn read(text: &str) -> Result<Self, ProfileError> {
        if text.len() > MAX_BYTES {
            return Err(ProfileError::Long);
        }
        let profile: Self = serde_json::from_str(text)?;
        profile.check().map_err(ProfileError::Sense)?;
        Ok(profile)
    }

    fn check(&self) -> Result<(), String> {
        if self.format != FORMAT || self.version != VERSION {
            return Err(format!(
                "{} {} is not {FORMAT} {VERSION}",
                self.format, self.version
            ));
        }
        let total: f64 = self.classes.values().map(|class| class.share).sum();
        if !total.is_finite() || total <= 0.0 || self.classes.values().any(|it| it.share < 0.0) {
            return Err("the shares of the classes add up to nothing".to_owned());
        }
        let mut spreads = vec![self.user_init_ms];
        for Class {
            start_ms, memory, ..
        } in self.classes.values()
        {
            spreads.extend(StartKind::ALL.map(|kind| start_ms.of(kind)));
            for weight in [memory.template, memory.spare, memory.forked] {
                if !(0.0..=1.0).contains(&weight.share) || !(0.0..=1e6).contains(&weight.mb) {
                    return Err(format!(
                        "a weight of {} MB and a share of {}",
                        weight.mb, weight.share
                    ));
                }
            }
            if !(0.0..=1e6).contains(&memory.zygote_mb) {
                return Err(format!("a zygote of {} MB", memory.zygote_mb));
            }
        }
        match spreads
            .iter()
            .find(|it| !(it.p50 >= 0.0 && it.p99 >= it.p50 && it.p99 <= 1e9))
        {
            Some(wrong) => Err(format!(
                "p50 {} and p99 {} of a start",
                wrong.p50, wrong.p99
            )),
            None => Ok(()),
        }
    }
}

impl Default for Profile {
    fn default() -> Self {
        Self::read(DEFAULT).expect("the profile that is shipped is tested")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_profile_is_one() {
        let profile = Profile::default();
        let python = &profile.classes[&ClassName::Python];
        assert!((python.start_ms.booted.at(0.5) - 6.1).abs() < 1e-6);
        assert!((python.start_ms.booted.at(0.99) - 8.2).abs() < 1e-6);
        let memory = python.memory.template.of(Bytes::mib(100));
        assert_eq!(memory.0, (63.0 * f64::from(1 << 20)) as u64);
        assert_eq!(python.memory.spare.of(Bytes::mib(1)), Bytes::mib(1));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (from, to) in [
            ("\"version\": 1", "\"version\": 2"),
            ("\"share\": 0.63", "\"share\": 1.63"),
            ("\"p50\": 60.0", "\"p50\": -1.0"),
            ("\"python\"", "\"cobol\""),
        ] {
            assert!(
                Profile::read(&DEFAULT.replacen(from, to, 1)).is_err(),
                "{to}"
            );
        }
    }
}
