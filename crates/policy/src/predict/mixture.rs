//! How far each way to forecast is believed, for one version: by how well it foretold what came.

use super::population::Likeness;

/// Ways to forecast: the histogram with what all versions do, gaps that repeat, and beats.
pub const WAYS: usize = 3;
/// The histogram, and what all versions do.
pub const SMOOTH: usize = 0;
/// Gaps that repeat to the minute.
pub const REPEATS: usize = 1;
/// Beats.
pub const BEATS: usize = 2;

/// What an old success is worth one gap later.
const KEEP: f32 = 0.9;
/// How far behind the best way another may fall: it can catch up when the pattern changes.
const FURTHEST: f32 = -8.0;
/// How fast the start of new versions follows what old ones found.
const LEARN: f32 = 0.003;

/// How far each way is believed for one version, as logarithms of what its successes count.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mixture {
    evidence: [f32; WAYS],
}

/// How far each way is believed before a version has shown anything, by class of gaps seen.
#[derive(Debug, Clone, PartialEq)]
pub struct Beliefs {
    shares: [[f32; WAYS]; Likeness::CLASSES],
}

impl Default for Beliefs {
    fn default() -> Self {
        let mut shares = [[0.7, 0.2, 0.1]; Likeness::CLASSES];
        shares[0] = [0.98, 0.01, 0.01];
        shares[1] = [0.75, 0.24, 0.01];
        Self { shares }
    }
}

impl Mixture {
    /// Shares of the ways, which add up to one.
    pub fn shares(&self, beliefs: &Beliefs, class: usize) -> [f32; WAYS] {
        let mut shares = beliefs.shares[class];
        for (share, evidence) in shares.iter_mut().zip(self.evidence) {
            *share *= evidence.exp();
        }
        let sum: f32 = shares.iter().sum();
        shares.map(|share| share / sum)
    }

    /// A gap has ended: takes in the probability that each way had given to its minute.
    pub fn learn(&mut self, beliefs: &mut Beliefs, class: usize, weight: f32, given: [f32; WAYS]) {
        let shares = self.shares(beliefs, class);
        let mixed: f32 = shares
            .iter()
            .zip(given)
            .map(|(share, given)| share * given)
            .sum();
        for way in 0..WAYS {
            let responsible = (shares[way] * given[way] + 1e-9) / (mixed + 1e-8);
            let share = &mut beliefs.shares[class][way];
            *share += LEARN * weight.min(4.0) * (responsible - *share);
            *share = share.clamp(1e-3, 1.0);
            let floor = 1e-4 * mixed.min(0.1) + 1e-6;
            self.evidence[way] = KEEP * self.evidence[way] + (given[way] + floor).ln();
        }
        let best = self.evidence.iter().copied().fold(f32::MIN, f32::max);
        for evidence in &mut self.evidence {
            *evidence = (*evidence - best).max(FURTHEST);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_foretells_is_believed() {
        let (mut mixture, mut beliefs) = (Mixture::default(), Beliefs::default());
        for _ in 0..10 {
            mixture.learn(&mut beliefs, 3, 1.0, [0.01, 0.6, 0.0]);
        }
        let shares = mixture.shares(&beliefs, 3);
        assert!(shares[REPEATS] > 0.95, "{shares:?}");
        assert!((shares.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        for _ in 0..10 {
            mixture.learn(&mut beliefs, 3, 1.0, [0.01, 0.0, 0.0]);
        }
        assert!(mixture.shares(&beliefs, 3)[SMOOTH] > 0.95, "it catches up");
    }
}
