//! Names of policies with their parameters: `fixed:10m`, `hybrid:4h,least=5`, `60x:pilot:node`.

use crate::Policy;
use crate::policies::POLICIES;
use crate::policies::parameters::Parameters;
use crate::policies::sped_up::{self, SpedUp};

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
    #[error("{policy} has no parameter {parameter}; it is {}", usage(policy))]
    Parameter {
        /// The policy.
        policy: &'static str,
        /// What it was given.
        parameter: String,
    },
    /// A parameter has a value that it cannot have.
    #[error(
        "{parameter} of {policy} cannot be {value}; times are such as 90s, 10m or 1.5h, memory 512MiB or 2GiB"
    )]
    Value {
        /// The policy.
        policy: &'static str,
        /// Which parameter.
        parameter: String,
        /// Its value.
        value: String,
    },
    /// A speed that there is not.
    #[error("a policy's speed is a number from 1 to 1000 with x, as in 60x:fixed:10m, not {0}x")]
    Speed(String),
}

/// The policy of that name with those parameters: `NAME`, `NAME:VALUE`, or either followed by
/// `KEY=VALUE` parts, all parts parted by commas. `60x:` before all that tells it that time passes sixty times as fast.
pub fn by_name(spec: &str) -> Result<Box<dyn Policy>, SpecError> {
    match sped_up::factor(spec)? {
        Some((by, spec)) => Ok(Box::new(SpedUp::new(at_its_speed(spec)?, by))),
        None => at_its_speed(spec),
    }
}

/// How many times faster than it does a policy of that name is told that time passes, and its name without that.
pub fn speed(spec: &str) -> Result<(u32, &str), SpecError> {
    Ok(sped_up::factor(spec)?.unwrap_or((1, spec)))
}

fn at_its_speed(spec: &str) -> Result<Box<dyn Policy>, SpecError> {
    let (name, rest) = spec.split_once([':', ',']).unwrap_or((spec, ""));
    let entry = POLICIES.iter().find(|entry| entry.name == name.trim());
    let Some(entry) = entry else {
        return Err(SpecError::Name {
            name: name.trim().to_owned(),
        });
    };
    let mut parameters = Parameters::read(entry.name, rest)?;
    let policy = (entry.make)(&mut parameters)?;
    parameters.done()?;
    Ok(policy)
}

/// The same policy as a node has it: what is not given has the default of a node, where that is another.
pub fn on_node(spec: &str) -> String {
    if let Ok(Some((by, spec))) = sped_up::factor(spec) {
        return format!("{by}x:{}", on_node(spec));
    }
    let (name, rest) = spec.split_once([':', ',']).unwrap_or((spec, ""));
    let entry = POLICIES.iter().find(|entry| entry.name == name.trim());
    let (first, _) = rest.split_once(',').unwrap_or((rest, ""));
    let given = !first.trim().is_empty() && !first.contains('=');
    match entry.and_then(|entry| entry.on_node) {
        Some(default) if !given => {
            let rest = rest.trim_start_matches([' ', ',']);
            let comma = if rest.is_empty() { "" } else { "," };
            format!("{}:{default}{comma}{rest}", name.trim())
        }
        _ => spec.to_owned(),
    }
}

/// How a policy is named, with what it takes.
fn usage(policy: &str) -> &'static str {
    let entry = POLICIES.iter().find(|entry| entry.name == policy);
    entry.map_or("", |entry| entry.usage)
}

fn names() -> String {
    let names: Vec<&str> = POLICIES.iter().map(|entry| entry.name).collect();
    names.join(", ")
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
            "60x:fixed:10m",
            "1000x:pilot:node",
            "1x:lru",
        ] {
            assert!(by_name(spec).is_ok(), "{spec}");
        }
    }

    #[test]
    fn a_node_has_defaults_of_its_own() {
        for (given, meant) in [
            ("pilot", "pilot:node"),
            (" pilot ", "pilot:node"),
            ("pilot:floor=0.1", "pilot:node,floor=0.1"),
            ("pilot,floor=0.1", "pilot:node,floor=0.1"),
            ("pilot:", "pilot:node"),
            ("pilot:shadow", "pilot:shadow"),
            ("60x:pilot", "60x:pilot:node"),
            ("60x:fixed:1m", "60x:fixed:1m"),
            ("pilot:2GiB,floor=0.1", "pilot:2GiB,floor=0.1"),
            ("fixed", "fixed"),
            ("hybrid:4h,least=3", "hybrid:4h,least=3"),
            ("quixotic", "quixotic"),
        ] {
            assert_eq!(on_node(given), meant);
            assert_eq!(by_name(given).is_ok(), by_name(meant).is_ok(), "{given}");
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
        for (spec, refusal) in [
            (
                "fixed:ten",
                "the value of fixed cannot be ten; times are such as 90s, ",
            ),
            (
                "fixed:10m,depth=3",
                "fixed has no parameter depth; it is fixed[:KEEP_ALIVE]",
            ),
            ("hybrid:4h,tail=101", "tail of hybrid cannot be 101; "),
            (
                "hybrid:4h,least=3,least=4",
                "hybrid has no parameter least=4; it is hybrid[:RANGE]",
            ),
            ("fixed:99999h", "the value of fixed cannot be 99999h; "),
            ("lru:4GB", "the value of lru cannot be 4GB; "),
            ("cidre,slack=-1", "slack of cidre cannot be -1; "),
            ("cidre:slack=-1", "slack of cidre cannot be -1; "),
            ("pilot:much", "the value of pilot cannot be much; "),
            ("fixed:-1m", "the value of fixed cannot be -1m; "),
        ] {
            assert!(said(spec).starts_with(refusal), "{spec}: {}", said(spec));
        }
        assert!(said("0x:fixed").ends_with("not 0x"));
        assert!(said("1001x:fixed").ends_with("not 1001x"));
        assert!(said("6.5x:fixed").starts_with("no policy is named 6.5x"));
        assert!(said("2x:2x:fixed").starts_with("no policy is named 2x"));
    }
}
