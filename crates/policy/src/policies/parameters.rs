//! The parameters that a policy is given by its name, as it takes them one by one.

use std::str::FromStr;
use std::time::Duration;

use super::SpecError;
use crate::Bytes;

/// What a policy was given, less what it has taken.
#[derive(Debug)]
pub(super) struct Parameters {
    policy: &'static str,
    /// By name; the one without comes first and has an empty one.
    given: Vec<(String, String)>,
}

impl Parameters {
    /// Those of a policy, from the text after its name.
    pub(super) fn read(policy: &'static str, text: &str) -> Result<Self, SpecError> {
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

    /// Whatever can be read from its text.
    pub(super) fn set<T: FromStr>(&mut self, key: &str, into: &mut T) -> Result<(), SpecError> {
        if let Some(value) = self.take(key) {
            *into = value.parse().map_err(|_| self.value(key, &value))?;
        }
        Ok(())
    }

    /// A number from 0 to 100.
    pub(super) fn percent(&mut self, key: &str, into: &mut u8) -> Result<(), SpecError> {
        self.set(key, into)?;
        if *into > 100 {
            return Err(self.value(key, &into.to_string()));
        }
        Ok(())
    }

    /// A number with `ms`, `s`, `m`, `h` or `d`; the parameter without a name has an empty one.
    pub(super) fn time(&mut self, key: &str) -> Result<Option<Duration>, SpecError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        match time(&value) {
            Some(time) => Ok(Some(time)),
            None => Err(self.value(key, &value)),
        }
    }

    /// One of these words; anything else is left.
    pub(super) fn word(&mut self, key: &str, words: &[&'static str]) -> Option<&'static str> {
        let (_, value) = self.given.iter().find(|(known, _)| known == key)?;
        let word = words.iter().copied().find(|word| *word == value)?;
        self.take(key);
        Some(word)
    }

    /// A number of zero or more.
    pub(super) fn factor(&mut self, key: &str, into: &mut f64) -> Result<(), SpecError> {
        self.set(key, into)?;
        if !into.is_finite() || *into < 0.0 {
            return Err(self.value(key, &into.to_string()));
        }
        Ok(())
    }

    /// A number from 0, below 1.
    pub(super) fn part(&mut self, key: &str, into: &mut f64) -> Result<(), SpecError> {
        self.factor(key, into)?;
        if *into >= 1.0 {
            return Err(self.value(key, &into.to_string()));
        }
        Ok(())
    }

    /// A number of MiB, or with `MiB` or `GiB`.
    pub(super) fn memory(&mut self, key: &str) -> Result<Option<Bytes>, SpecError> {
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

    /// That nothing is left.
    pub(super) fn done(self) -> Result<(), SpecError> {
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
