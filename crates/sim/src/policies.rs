//! The policies that a simulation can be asked for.

mod fixed;

use std::time::Duration;

use pilotlight_policy::Policy;

pub use fixed::Fixed;

/// Why a policy cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("{name:?}: {what}")]
pub struct UnknownPolicy {
    /// What was asked for.
    pub name: String,
    /// What is wrong with it.
    pub what: String,
}

/// The policy that a name with its parameters means: `fixed:10m`.
pub fn by_name(spec: &str) -> Result<Box<dyn Policy>, UnknownPolicy> {
    let wrong = |what: &str| UnknownPolicy {
        name: spec.to_owned(),
        what: what.to_owned(),
    };
    let (name, parameters) = spec.split_once(':').unwrap_or((spec, ""));
    match name {
        "fixed" => {
            let keep_alive = match parameters {
                "" => Duration::from_secs(600),
                text => duration(text).ok_or_else(|| wrong("expected a time such as fixed:10m"))?,
            };
            Ok(Box::new(Fixed::new(keep_alive)))
        }
        _ => Err(wrong("no such policy")),
    }
}

/// A time such as `90s`, `10m`, `4h` or `1d`.
pub(crate) fn duration(text: &str) -> Option<Duration> {
    let unit = text.char_indices().last()?;
    let seconds = match unit.1 {
        's' => 1.0,
        'm' => 60.0,
        'h' => 3_600.0,
        'd' => 86_400.0,
        _ => return None,
    };
    let number: f64 = text[..unit.0].parse().ok()?;
    Duration::try_from_secs_f64(number * seconds).ok()
}
