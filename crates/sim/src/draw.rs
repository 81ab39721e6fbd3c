//! Randomness that depends on nothing but the seed and on what it is drawn for: the order in which draws
//! are made changes none of them, and policies that are compared meet the same ones.

/// What a draw is for; streams are independent of each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub enum Stream {
    /// Runtime class of a function.
    Class = 1,
    /// User init of a function.
    UserInit,
    /// What a start took.
    Start,
    /// When in its minute a request came.
    Arrival,
    /// How long a handler ran.
    Duration,
    /// Rows of a generated trace.
    Generate,
}

/// A source of draws.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Draw {
    seed: u64,
}

impl Draw {
    /// The source of that seed.
    pub fn new(seed: u64) -> Self {
        Self { seed }
    }

    /// A number for that purpose: the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014) over
    /// seed, stream and both numbers in turn.
    pub fn bits(self, stream: Stream, a: u64, b: u64) -> u64 {
        [stream as u64, a, b]
            .into_iter()
            .fold(mix(self.seed), |state, part| {
                mix(state ^ part.wrapping_mul(0x9e37_79b9_7f4a_7c15))
            })
    }

    /// A number above 0 and below 1.
    pub fn unit(self, stream: Stream, a: u64, b: u64) -> f64 {
        ((self.bits(stream, a, b) >> 12) as f64 + 0.5) / (1u64 << 52) as f64
    }
}

fn mix(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The standard normal distribution's value at a share above 0 and below 1, to about nine digits: Acklam's
/// rational approximation.
pub fn normal(share: f64) -> f64 {
    const A: [f64; 6] = [
        -3.969683028665376e1,
        2.209460984245205e2,
        -2.759285104469687e2,
        1.38357751867269e2,
        -3.066479806614716e1,
        2.506628277459239,
    ];
    const B: [f64; 5] = [
        -5.447609879822406e1,
        1.615858368580409e2,
        -1.556989798598866e2,
        6.680131188771972e1,
        -1.328068155288572e1,
    ];
    const C: [f64; 6] = [
        -7.784894002430293e-3,
        -3.223964580411365e-1,
        -2.400758277161838,
        -2.549732539343734,
        4.374664141464968,
        2.938163982698783,
    ];
    const D: [f64; 4] = [
        7.784695709041462e-3,
        3.224671290700398e-1,
        2.445134137142996,
        3.754408661907416,
    ];
    let horner = |by: &[f64], x: f64| by.iter().fold(0.0, |sum, factor| sum * x + factor);
    let tail = |share: f64| {
        let x = (-2.0 * share.ln()).sqrt();
        horner(&C, x) / (horner(&D, x) * x + 1.0)
    };
    match share {
        ..0.02425 => tail(share),
        0.97575.. => -tail(1.0 - share),
        _ => {
            let x = share - 0.5;
            horner(&A, x * x) * x / (horner(&B, x * x) * x * x + 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_normal_distribution_has_its_known_values() {
        for (share, value) in [
            (0.5, 0.0),
            (0.99, 2.326_347_874),
            (0.001, -3.090_232_306),
            (0.975, 1.959_963_985),
        ] {
            assert!(
                (normal(share) - value).abs() < 1e-6,
                "{share}: {}",
                normal(share)
            );
        }
    }

    #[test]
    fn draws_are_even_and_hang_on_everything() {
        let draw = Draw::new(7);
        let mean = (0..10_000)
            .map(|n| draw.unit(Stream::Start, n, 0))
            .sum::<f64>()
            / 1e4;
        assert!((mean - 0.5).abs() < 0.02, "{mean}");
        let all = [
            draw.bits(Stream::Start, 1, 2),
            draw.bits(Stream::Start, 2, 1),
            draw.bits(Stream::Arrival, 1, 2),
            Draw::new(8).bits(Stream::Start, 1, 2),
        ];
        assert!((0..4).all(|n| (0..n).all(|m| all[n] != all[m])));
    }
}
