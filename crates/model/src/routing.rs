//! Which version an invocation of an alias gets. Pure: chance is handed in.

use serde::{Deserialize, Serialize};

use crate::ids::{InvalidId, Version};

/// A share of the invocations of an alias, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Weight(f64);

impl TryFrom<f64> for Weight {
    type Error = InvalidId;

    fn try_from(share: f64) -> Result<Self, InvalidId> {
        match (0.0..=1.0).contains(&share) {
            true => Ok(Self(share)),
            false => Err(InvalidId {
                what: "weight",
                text: share.to_string(),
            }),
        }
    }
}

impl From<Weight> for f64 {
    fn from(weight: Weight) -> f64 {
        weight.0
    }
}

/// What an alias points at: `FunctionVersion` and `RoutingConfig` of the API.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Routing {
    /// The version that gets what the other does not.
    pub version: Version,
    /// A second version, with its share.
    pub additional: Option<(Version, Weight)>,
}

impl Routing {
    /// The version of one invocation. `draw` gives a number from 0 up to but not including 1, every one
    /// as likely; it is asked only where there is a choice.
    pub fn choose(&self, draw: impl FnOnce() -> f64) -> Version {
        match self.additional {
            Some((version, weight)) if draw() < weight.0 => version,
            _ => self.version,
        }
    }

    /// Every version that an invocation may get.
    pub fn versions(&self) -> impl Iterator<Item = Version> {
        [self.version]
            .into_iter()
            .chain(self.additional.map(|(version, _)| version))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ONE: Version = Version::Number(1);
    const TWO: Version = Version::Number(2);

    fn split(share: f64) -> Routing {
        Routing {
            version: ONE,
            additional: Some((TWO, share.try_into().unwrap())),
        }
    }

    #[test]
    fn no_choice_asks_no_chance() {
        let plain = Routing {
            version: ONE,
            additional: None,
        };
        assert_eq!(plain.choose(|| unreachable!()), ONE);
    }

    #[test]
    fn weights_are_shares() {
        for wrong in [-0.001, 1.001, f64::NAN, f64::INFINITY] {
            assert!(Weight::try_from(wrong).is_err(), "{wrong}");
        }
    }

    proptest! {
        /// Draws that are spread evenly are split by the weight, as closely as their number allows.
        #[test]
        fn even_draws_are_split_by_the_weight(share in 0.0..=1.0, draws in 1_u32..2_000) {
            let split = split(share);
            let even = |index| f64::from(index) / f64::from(draws);
            let got = (0..draws).filter(|&index| split.choose(|| even(index)) == TWO).count();
            let exact = share * f64::from(draws);
            prop_assert!((got as f64 - exact).abs() <= 1.0, "{got} of {draws}, not {exact}");
        }

        #[test]
        fn all_and_nothing_are_exact(draw in 0.0..1.0) {
            prop_assert_eq!(split(0.0).choose(|| draw), ONE);
            prop_assert_eq!(split(1.0).choose(|| draw), TWO);
        }

        /// A larger weight never takes an invocation away from the version that it is for.
        #[test]
        fn a_larger_weight_keeps_what_a_smaller_had(one in 0.0..=1.0, other in 0.0..=1.0, draw in 0.0..1.0) {
            let (less, more) = (f64::min(one, other), f64::max(one, other));
            if split(less).choose(|| draw) == TWO {
                prop_assert_eq!(split(more).choose(|| draw), TWO);
            }
        }
    }
}
