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

impl Weight {
    /// All invocations.
    pub const ALL: Self = Self(1.0);

    /// That share of so many things that cannot be divided, rounded up. What arithmetic with fractions leaves
    /// over is not rounded: 30 % of ten are three.
    pub fn part_of(self, count: u32) -> u32 {
        (f64::from(count) * self.0 - 1e-9).ceil().max(0.0) as u32
    }
}

impl From<Weight> for f64 {
    fn from(weight: Weight) -> f64 {
        weight.0
    }
}

/// Requests of an alias that go to another version from a change of its routing on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Move {
    /// From that version.
    pub from: Version,
    /// To that one.
    pub to: Version,
    /// The part of what `from` had by the alias, more than 0 and at most 1.
    pub part: f64,
    /// What `to` has of all requests of the alias from then on.
    pub share: f64,
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

    /// The versions that invocations get, each with its share of them. One whose share is nothing is left out.
    pub fn shares(&self) -> impl Iterator<Item = (Version, Weight)> {
        let (main, additional) = match self.additional {
            Some((version, weight)) => (Weight(1.0 - weight.0), Some((version, weight))),
            None => (Weight::ALL, None),
        };
        [(self.version, main)]
            .into_iter()
            .chain(additional)
            .filter(|(_, weight)| weight.0 > 0.0)
    }

    /// The share of invocations that a version gets.
    pub fn share(&self, version: Version) -> f64 {
        let share = self.shares().find(|(it, _)| *it == version);
        share.map_or(0.0, |(_, weight)| weight.0)
    }

    /// What moves where when this routing becomes `next`. What several versions gain is taken from those that lose in
    /// the proportion of their losses.
    pub fn moves(&self, next: &Routing) -> Vec<Move> {
        let gain = |version| next.share(version) - self.share(version);
        let gained: f64 = next.versions().map(gain).filter(|it| *it > 0.0).sum();
        let mut moves = Vec::new();
        for from in self.versions().filter(|from| gain(*from) < 0.0) {
            for to in next.versions().filter(|to| gain(*to) > 0.0) {
                let moved = -gain(from) * gain(to) / gained;
                moves.push(Move {
                    from,
                    to,
                    part: (moved / self.share(from)).min(1.0),
                    share: next.share(to),
                });
            }
        }
        moves
    }

    /// Every version that it names, those that get nothing as well.
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

    fn plain(version: Version) -> Routing {
        Routing {
            version,
            additional: None,
        }
    }

    fn moved(from: Routing, to: Routing) -> Vec<(Version, Version, f64, f64)> {
        let rounded = |number: f64| (number * 1e3).round() / 1e3;
        let moves = from.moves(&to).into_iter();
        moves
            .map(|it| (it.from, it.to, rounded(it.part), rounded(it.share)))
            .collect()
    }

    #[test]
    fn what_a_change_moves() {
        assert_eq!(moved(plain(ONE), split(0.1)), [(ONE, TWO, 0.1, 0.1)]);
        assert_eq!(moved(split(0.1), split(0.2)), [(ONE, TWO, 0.111, 0.2)]);
        assert_eq!(moved(split(0.9), plain(TWO)), [(ONE, TWO, 1.0, 1.0)]);
        assert_eq!(moved(split(0.3), plain(ONE)), [(TWO, ONE, 1.0, 1.0)]);
        assert_eq!(moved(plain(ONE), plain(TWO)), [(ONE, TWO, 1.0, 1.0)]);
        assert_eq!(moved(split(0.3), split(0.3)), []);
        let (three, four) = (Version::Number(3), Version::Number(4));
        let others = Routing {
            version: three,
            additional: Some((four, 0.5.try_into().unwrap())),
        };
        let all = [
            (ONE, three, 0.5, 0.5),
            (ONE, four, 0.5, 0.5),
            (TWO, three, 0.5, 0.5),
            (TWO, four, 0.5, 0.5),
        ];
        assert_eq!(moved(split(0.3), others), all);
    }

    #[test]
    fn weights_are_shares() {
        for wrong in [-0.001, 1.001, f64::NAN, f64::INFINITY] {
            assert!(Weight::try_from(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn versions_that_get_nothing_have_no_share() {
        let versions = |share| {
            split(share)
                .shares()
                .map(|(version, _)| version)
                .collect::<Vec<_>>()
        };
        assert_eq!((versions(0.0), versions(1.0)), (vec![ONE], vec![TWO]));
        assert_eq!(versions(0.5), [ONE, TWO]);
    }

    #[test]
    fn fractions_that_come_out_even_stay_so() {
        let parts = |share| {
            split(share)
                .shares()
                .map(|(_, weight)| weight.part_of(10))
                .collect::<Vec<_>>()
        };
        assert_eq!(
            (parts(0.3), parts(0.9), parts(0.25)),
            (vec![7, 3], vec![1, 9], vec![8, 3])
        );
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

        /// What is lost is gained, and nobody gives more than all.
        #[test]
        fn what_moves_adds_up(one in 0.0..=1.0, other in 0.0..=1.0, same in proptest::bool::ANY) {
            let (before, mut after) = (split(one), split(other));
            if !same {
                after.version = Version::Number(3);
            }
            for to in after.versions() {
                let moves = before.moves(&after).into_iter().filter(|it| it.to == to);
                let got: f64 = moves.map(|it| it.part * before.share(it.from)).sum();
                let gain = (after.share(to) - before.share(to)).max(0.0);
                prop_assert!((got - gain).abs() < 1e-9, "{got} is not {gain}");
            }
            prop_assert!(before.moves(&after).iter().all(|it| 0.0 < it.part && it.part <= 1.0));
        }

        #[test]
        fn all_and_nothing_are_exact(draw in 0.0..1.0) {
            prop_assert_eq!(split(0.0).choose(|| draw), ONE);
            prop_assert_eq!(split(1.0).choose(|| draw), TWO);
        }

        /// Parts are enough for all, and none is larger than it must be.
        #[test]
        fn parts_are_rounded_up(share in 0.0..=1.0, count in 1_u32..2_000) {
            let parts: Vec<u32> = split(share).shares().map(|(_, weight)| weight.part_of(count)).collect();
            let sum: u32 = parts.iter().sum();
            prop_assert!((count..=count + 1).contains(&sum), "{parts:?} of {count}");
            prop_assert!(parts.iter().all(|part| (1..=count).contains(part)), "{parts:?} of {count}");
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
