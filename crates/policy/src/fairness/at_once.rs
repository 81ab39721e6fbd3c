//! How many starts a node makes at once: what it sustains without starts' getting in each other's way.
//!
//! As long as starts beside others take about what they take otherwise, one more is let in for each round; when
//! they take twice as long, half as many.

use std::time::Duration;

/// Starts at once, at least.
const FEWEST: f32 = 2.0;
/// How many times what it takes otherwise a start may take before fewer are made at once.
const CROWDED: f32 = 2.0;

/// The number, which follows what starts take.
#[derive(Debug, Clone)]
pub struct AtOnce {
    now: f32,
    most: f32,
}

impl AtOnce {
    /// As many as that at first, and at most.
    pub fn new(most: u32) -> Self {
        let most = most.max(1) as f32;
        Self { now: most, most }
    }

    /// So many.
    pub fn get(&self) -> u32 {
        self.now as u32
    }

    /// A start is over that took so long, and takes so long as a rule, when so many were under way, it among them.
    pub fn over(&mut self, under_way: u32, took: Duration, rule: Duration) {
        if took.as_secs_f32() > CROWDED * rule.as_secs_f32() + 1e-3 {
            // Once for each round of starts that are under way.
            self.now *= 0.5f32.powf(1.0 / self.now);
        } else if under_way as f32 + 1.0 > self.now {
            self.now += 1.0 / self.now;
        }
        self.now = self.now.clamp(FEWEST.min(self.most), self.most);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn crowded_starts_make_fewer_at_once() {
        let mut at_once = AtOnce::new(64);
        for _ in 0..200 {
            at_once.over(at_once.get(), 500 * MS, 100 * MS);
        }
        assert_eq!(at_once.get(), 2);
        for _ in 0..40 {
            let before = at_once.get();
            for _ in 0..before {
                at_once.over(before, 100 * MS, 100 * MS);
            }
            assert!(at_once.get() >= before);
        }
        assert!(at_once.get() > 4, "{}", at_once.get());
    }

    #[test]
    fn limits_hold_and_a_node_at_rest_learns_nothing() {
        let mut at_once = AtOnce::new(8);
        for _ in 0..100 {
            at_once.over(8, MS, MS);
        }
        assert_eq!(at_once.get(), 8);
        for _ in 0..100 {
            at_once.over(8, 50 * MS, MS);
        }
        let fewest = at_once.get();
        for _ in 0..1000 {
            at_once.over(1, MS, MS);
        }
        assert_eq!(
            (fewest, at_once.get()),
            (2, 2),
            "one at a time says nothing of two"
        );
        let mut one = AtOnce::new(1);
        one.over(1, 50 * MS, MS);
        assert_eq!(one.get(), 1);
    }
}
