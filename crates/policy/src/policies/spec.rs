//! Names of policies with their parameters: `fixed:10m`, `hybrid:4h,least=5`.

use std::str::FromStr;
use std::time::Duration;

use crate::budget::Budget;
use crate::policies::POLICIES;
use crate::policies::cache::{Order, cache};
use crate::policies::fixed::{self, fixed};
use crate::policies::hybrid::{self, hybrid};
use crate::policies::pilot::{self, Pilot};
use crate::policies::rainbowcake::{self, rainbowcake};
use crate::{Bytes, Policy};

/// Why a policy cannot be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SpecError {
    /// There is none of that name.
    #[error("no policy is named {name}; there are {}", names())]
    Name {
        /// What was asked for.
        name: String,
    },
    /// It has no such parameter.
    #[error("{policy} has no parameter {parameter}")]
    Parameter {
        /// The policy.
        policy: &'static str,
        /// What it was given.
        parameter: String,
    },
    /// A parameter has a value that it cannot have.
    #[error("{parameter} of {policy} cannot be {value}")]
    Value {
        /// The policy.
        policy: &'static str,
        /// Which parameter.
        parameter: String,
        /// Its value.
        value: String,
    },
}

/// The policy of that name with those parameters: `NAME`, `NAME:VALUE`, or either followed by
/// `KEY=VALUE` parts, all parts parted by commas.
pub fn by_name(spec: &str) -> Result<Box<dyn Policy>, SpecError> {
    let (name, rest) = spec.split_once([':', ',']).unwrap_or((spec, ""));
    let entry = POLICIES.iter().find(|entry| entry.name == name.trim());
    let Some(entry) = entry else {
        return Err(SpecError::Name {
            name: name.trim().to_owned(),
        });
    };
    let mut parameters = Parameters::read(entry.name, rest)?;
    let policy: Box<dyn Policy> = match entry.name {
        "fixed" => Box::new(fixed(parameters.time("")?.unwrap_or(fixed::KEEP_ALIVE))),
        "lru" => Box::new(cache(Order::Lru, parameters.memory("")?, 0.0)),
        "lfu" => Box::new(cache(Order::Lfu, parameters.memory("")?, 0.0)),
        "greedy-dual" => Box::new(cache(Order::GreedyDual, parameters.memory("")?, 0.0)),
        "cidre" => {
            let mut slack = SLACK;
            parameters.factor("slack", &mut slack)?;
            Box::new(cache(Order::Cidre, parameters.memory("")?, slack))
        }
        "hybrid" => Box::new(hybrid(hybrid_parameters(&mut parameters)?)),
        "rainbowcake" => Box::new(rainbowcake(rainbowcake_parameters(&mut parameters)?)),
        "pilot" => Box::new(Pilot::new(pilot_parameters(&mut parameters)?)),
        name => unreachable!("{name} is in the list and has no way to be made"),
    };
    parameters.done()?;
    Ok(policy)
}

/// By what part of the shortest possible wait `cidre` may exceed it, to make fewer starts.
const SLACK: f64 = 0.1;

fn names() -> String {
    let names: Vec<&str> = POLICIES.iter().map(|entry| entry.name).collect();
    names.join(", ")
}

fn hybrid_parameters(parameters: &mut Parameters) -> Result<hybrid::Parameters, SpecError> {
    let range = parameters.time("")?;
    let mut hybrid = range.map_or_else(hybrid::Parameters::default, hybrid::Parameters::over);
    parameters.set("least", &mut hybrid.least)?;
    parameters.factor("cv", &mut hybrid.variation)?;
    parameters.percent("head", &mut hybrid.head)?;
    parameters.percent("tail", &mut hybrid.tail)?;
    parameters.percent("margin", &mut hybrid.margin)?;
    parameters.percent("oob", &mut hybrid.out_of_bounds)?;
    parameters.percent("forecast-margin", &mut hybrid.forecast_margin)?;
    Ok(hybrid)
}

fn pilot_parameters(parameters: &mut Parameters) -> Result<pilot::Parameters, SpecError> {
    let budget = match parameters.take("").as_deref() {
        None | Some("shadow") => Budget::Shadow,
        Some("node") => Budget::Node,
        Some(text) => Budget::Bytes(memory(text).ok_or_else(|| SpecError::Value {
            policy: parameters.policy,
            parameter: "the budget".to_owned(),
            value: text.to_owned(),
        })?),
    };
    let mut floor = f64::from(pilot::Parameters::default().floor);
    parameters.factor("floor", &mut floor)?;
    Ok(pilot::Parameters {
        budget,
        floor: floor as f32,
    })
}

fn rainbowcake_parameters(
    parameters: &mut Parameters,
) -> Result<rainbowcake::Parameters, SpecError> {
    let mut rainbowcake = rainbowcake::Parameters::default();
    parameters.part("quantile", &mut rainbowcake.quantile)?;
    parameters.part("waiting", &mut rainbowcake.waiting)?;
    rainbowcake.least = parameters.time("least")?.unwrap_or(rainbowcake.least);
    rainbowcake.most = parameters.time("most")?.unwrap_or(rainbowcake.most);
    Ok(rainbowcake)
}

/// What a policy was given, less what it has taken.
struct Parameters {
    policy: &'static str,
    /// By name; the one without comes first and has an empty one.
    given: Vec<(String, String)>,
}

impl Parameters {
    fn read(policy: &'static str, text: &str) -> Result<Self, SpecError> {
        let mut given: Vec<(String, String)> = Vec::new();
        for (index, part) in text.split(',').map(str::trim).enumerate() {
            let (key, value) = match part.split_once('=') {
                Some((key, value)) => (key.trim(), value.trim()),
                None if index == 0 && part.is_empty() => continue,
                None if index == 0 => ("", part),
                None => (part, ""),
            };
            let unknown =
                (index > 0 && value.is_empty()) || given.iter().any(|(known, _)| known == key);
            if unknown {
                return Err(SpecError::Parameter {
                    policy,
                    parameter: part.to_owned(),
                });
            }
            given.push((key.to_owned(), value.to_owned()));
        }
        Ok(Self { policy, given })
    }

    fn take(&mut self, key: &str) -> Option<String> {
        let index = self.given.iter().position(|(known, _)| known == key)?;
        Some(self.given.remove(index).1)
    }

    fn set<T: FromStr>(&mut self, key: &str, into: &mut T) -> Result<(), SpecError> {
        if let Some(value) = self.take(key) {
            *into = value.parse().map_err(|_| self.value(key, &value))?;
        }
        Ok(())
    }

    fn percent(&mut self, key: &str, into: &mut u8) -> Result<(), SpecError> {
        self.set(key, into)?;
        if *into > 100 {
            return Err(self.value(key, &into.to_string()));
        }
        Ok(())
    }

    /// A number with `ms`, `s`, `m`, `h` or `d`.
    fn time(&mut self, key: &str) -> Result<Option<Duration>, SpecError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match time(&value) {
            Some(time) => Ok(Some(time)),
            None => Err(self.value(key, &value)),
        }
    }

    /// A number of zero or more.
    fn factor(&mut self, key: &str, into: &mut f64) -> Result<(), SpecError> {
        self.set(key, into)?;
        if !into.is_finite() || *into < 0.0 {
            return Err(self.value(key, &into.to_string()));
        }
        Ok(())
    }

    /// A number from 0, below 1.
    fn part(&mut self, key: &str, into: &mut f64) -> Result<(), SpecError> {
        self.factor(key, into)?;
        if *into >= 1.0 {
            return Err(self.value(key, &into.to_string()));
        }
        Ok(())
    }

    /// A number of MiB, or with `MiB` or `GiB`.
    fn memory(&mut self, key: &str) -> Result<Option<Bytes>, SpecError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match memory(&value) {
            Some(memory) => Ok(Some(memory)),
            None => Err(self.value(key, &value)),
        }
    }

    fn value(&self, key: &str, value: &str) -> SpecError {
        SpecError::Value {
            policy: self.policy,
            parameter: if key.is_empty() { "the value" } else { key }.to_owned(),
            value: value.to_owned(),
        }
    }

    fn done(self) -> Result<(), SpecError> {
        match self.given.into_iter().next() {
            None => Ok(()),
            Some((key, value)) => Err(SpecError::Parameter {
                policy: self.policy,
                parameter: if key.is_empty() { value } else { key },
            }),
        }
    }
}

/// Above a year is above any use, and would be too much for the clock before long.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3_600);

fn time(text: &str) -> Option<Duration> {
    let unit = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit);
    let seconds = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3_600.0,
        "d" => 86_400.0,
        _ => return None,
    };
    let time = Duration::try_from_secs_f64(number.trim().parse::<f64>().ok()? * seconds).ok()?;
    (time <= LONGEST).then_some(time)
}

fn memory(text: &str) -> Option<Bytes> {
    let unit = text
        .find(|letter: char| letter.is_ascii_alphabetic())
        .unwrap_or(text.len());
    let (number, unit) = text.split_at(unit);
    let mib = match unit {
        "" | "MiB" => 1,
        "GiB" => 1 << 10,
        _ => return None,
    };
    let bytes = number
        .trim()
        .parse::<u64>()
        .ok()?
        .checked_mul(mib)?
        .checked_mul(1 << 20)?;
    Some(Bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_policy_of_the_list_can_be_made() {
        for entry in POLICIES {
            assert!(by_name(entry.name).is_ok(), "{}", entry.name);
            assert!(entry.usage.starts_with(entry.name));
        }
    }

    #[test]
    fn parameters_are_read() {
        for spec in [
            "fixed:10m",
            "fixed:1.5h",
            "fixed: 90s",
            "lru",
            "lfu:4096",
            "greedy-dual:4GiB",
            "cidre:512MiB,slack=0.5",
            "hybrid:4h",
            "hybrid:1h,least=3,cv=1.5,head=1,tail=95,margin=0,oob=40,forecast-margin=20",
            "hybrid:least=3",
            "rainbowcake:quantile=0.9,waiting=0.99,least=0s,most=1h",
            "hybrid,least=3",
            "pilot",
            "pilot:node",
            "pilot:2GiB,floor=0.1",
        ] {
            assert!(by_name(spec).is_ok(), "{spec}");
        }
    }

    #[test]
    fn what_is_wrong_is_said() {
        let said = |spec: &str| {
            by_name(spec)
                .err()
                .map(|error| error.to_string())
                .unwrap_or_default()
        };
        assert!(said("quixotic").starts_with("no policy is named quixotic; there are fixed, "));
        assert_eq!(said("fixed:ten"), "the value of fixed cannot be ten");
        assert_eq!(said("fixed:10m,depth=3"), "fixed has no parameter depth");
        assert_eq!(said("hybrid:4h,tail=101"), "tail of hybrid cannot be 101");
        assert_eq!(
            said("hybrid:4h,least=3,least=4"),
            "hybrid has no parameter least=4"
        );
        assert_eq!(said("fixed:99999h"), "the value of fixed cannot be 99999h");
        assert_eq!(said("lru:4GB"), "the value of lru cannot be 4GB");
        assert_eq!(said("cidre,slack=-1"), "slack of cidre cannot be -1");
        assert_eq!(said("cidre:slack=-1"), "slack of cidre cannot be -1");
        assert_eq!(said("fixed:-1m"), "the value of fixed cannot be -1m");
    }
}
