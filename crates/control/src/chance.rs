//! Chance, injected: which version of a weighted alias an invocation gets. Tests decide it.

use uuid::Uuid;

/// A source of chance.
pub trait Chance: Send + Sync + 'static {
    /// A number from 0 up to but not including 1, every one as likely.
    fn draw(&self) -> f64;
}

/// The kernel's random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemChance;

/// Bits that a double between 0 and 1 can hold.
const BITS: u32 = f64::MANTISSA_DIGITS;

impl Chance for SystemChance {
    fn draw(&self) -> f64 {
        // The low 62 bits of a random UUID are random.
        let bits = Uuid::new_v4().as_u128() & ((1 << BITS) - 1);
        bits as f64 / (1_u64 << BITS) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_within_bounds_and_all_over_the_place() {
        let mut tenths = [0_u32; 10];
        for _ in 0..10_000 {
            let draw = SystemChance.draw();
            assert!((0.0..1.0).contains(&draw));
            tenths[(draw * 10.0) as usize] += 1;
        }
        // Each tenth is a binomial of deviation 30: beyond 210 is seven of them, which chance alone does
        // less than once in 10^10 runs.
        assert!(
            tenths.iter().all(|it| it.abs_diff(1_000) < 210),
            "{tenths:?}"
        );
    }
}
