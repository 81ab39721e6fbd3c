//! What versions do of which little is known: hazards of the next gap by how often a version was seen and
//! by the gap before, learned from all versions together (an empirical Bayes prior).
//!
//! Every cell counts how many gaps entered a bin and how many ended in it. A gap that is still open counts
//! in each bin that it has outlasted: versions that never come back are not forgotten (Kaplan and Meier,
//! JASA 1958). What a cell has not seen itself it takes from the same last gap in any class, and that from
//! constants.

use super::bins::{self, BINS};

/// Classes by gaps seen: 0, 1, 2 to 3, 4 to 7, 8 to 15, more.
const CLASSES: usize = 6;
/// Last gaps: a bin, or none.
const LASTS: usize = BINS + 1;
/// Of how many gaps a constant is worth.
const TRUST_CONSTANT: f64 = 20.0;
/// Of how many gaps a class's parent is worth.
const TRUST_PARENT: f64 = 10.0;
/// Gaps of one version that count in full; later ones count less, so that busy versions do not speak for
/// all others.
const FULL: f64 = 16.0;

/// Hazards by bin of the first gap, before anything was learned: from half of the rows of the day series of
/// the Azure Functions 2019 data (Shahrad et al., USENIX ATC 2020).
const FIRST: [f64; BINS] = [
    0.23, 0.05, 0.04, 0.16, 0.07, 0.08, 0.07, 0.07, 0.06, 0.03, 0.15, 0.08, 0.06, 0.03, 0.03, 0.01,
    0.01, 0.01, 0.01, 0.02, 0.01, 0.01, 0.01, 0.01, 0.01, 0.01,
];
/// The same for later gaps: in the bin of the gap before, in bins of longer gaps, in the first bin, and in
/// others.
const SAME: f64 = 0.65;
const LONGER: f64 = 0.2;
const AT_ONCE: f64 = 0.15;
const SHORTER: f64 = 0.04;

/// Gaps that people like, in minutes, with the share of their bin that they have before anything was
/// learned.
pub const ROUND: [(u16, f64); 17] = [
    (5, 0.6),
    (10, 0.5),
    (15, 0.6),
    (20, 0.3),
    (30, 0.5),
    (40, 0.1),
    (45, 0.15),
    (60, 0.6),
    (90, 0.1),
    (120, 0.4),
    (180, 0.3),
    (240, 0.3),
    (300, 0.1),
    (360, 0.3),
    (480, 0.3),
    (720, 0.4),
    (1440, 0.6),
];

/// Gaps that entered a bin, and that ended there.
#[derive(Debug, Clone, Copy, Default)]
struct Cell {
    entered: f64,
    ended: f64,
}

impl Cell {
    fn add(&mut self, weight: f64, ended: bool) {
        self.entered += weight;
        if ended {
            self.ended += weight;
        }
    }

    fn hazard(self, parent: f64, trust: f64) -> f64 {
        (self.ended + trust * parent) / (self.entered + trust)
    }
}

/// What a version is like others by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Likeness {
    class: usize,
    last: usize,
}

impl Likeness {
    /// Of a version that has had so many gaps, the last of so many minutes.
    pub fn of(seen: u32, last: Option<u16>) -> Self {
        let class = match seen {
            0 => 0,
            1 => 1,
            2..=3 => 2,
            4..=7 => 3,
            8..=15 => 4,
            _ => 5,
        };
        Self {
            class,
            last: last.map_or(BINS, bins::bin),
        }
    }

    /// The class by gaps seen, below [`Likeness::CLASSES`].
    pub fn class(self) -> usize {
        self.class
    }

    /// How many classes there are.
    pub const CLASSES: usize = CLASSES;
}

/// What was learned of all versions; about 80 KB, however many they are.
#[derive(Debug, Clone)]
pub struct Population {
    cells: Vec<Cell>,
    parents: Vec<Cell>,
    round: [f64; ROUND.len()],
    ended: [f64; BINS],
}

impl Default for Population {
    fn default() -> Self {
        Self {
            cells: vec![Cell::default(); CLASSES * LASTS * BINS],
            parents: vec![Cell::default(); LASTS * BINS],
            round: [0.0; ROUND.len()],
            ended: [0.0; BINS],
        }
    }
}

impl Population {
    /// What one more gap of a version counts, that has had so many and stands for so many versions.
    pub fn weight(seen: u32, versions: f32) -> f64 {
        f64::from(versions) * (FULL / f64::from(seen).max(FULL))
    }

    /// A gap has outlasted a bin.
    pub fn outlasted(&mut self, like: Likeness, bin: usize, weight: f64) {
        self.add(like, bin, weight, false);
    }

    /// A gap has ended after so many minutes. The bins before were reported as outlasted.
    pub fn ended(&mut self, like: Likeness, minutes: u16, weight: f64) {
        let bin = bins::bin(minutes);
        self.add(like, bin, weight, true);
        self.ended[bin] += weight;
        if let Some(place) = ROUND.iter().position(|(round, _)| *round == minutes) {
            self.round[place] += weight;
        }
    }

    fn add(&mut self, like: Likeness, bin: usize, weight: f64, ended: bool) {
        let parent = like.last * BINS + bin;
        self.parents[parent].add(weight, ended);
        self.cells[like.class * LASTS * BINS + parent].add(weight, ended);
    }

    /// For each bin the probability that a gap that reached it ends there.
    pub fn hazards(&self, like: Likeness) -> [f32; BINS] {
        std::array::from_fn(|bin| {
            let parent = like.last * BINS + bin;
            let hazard = self.parents[parent].hazard(constant(like.last, bin), TRUST_CONSTANT);
            let cell = self.cells[like.class * LASTS * BINS + parent];
            cell.hazard(hazard, TRUST_PARENT).min(0.999) as f32
        })
    }

    /// The share that a round gap, by its place in [`ROUND`], has of its bin.
    pub fn round_share(&self, place: usize) -> f32 {
        let (minutes, share) = ROUND[place];
        let ended = self.ended[bins::bin(minutes)];
        ((self.round[place] + TRUST_CONSTANT * share) / (ended + TRUST_CONSTANT)) as f32
    }
}

fn constant(last: usize, bin: usize) -> f64 {
    match bin.cmp(&last) {
        _ if last == BINS => FIRST[bin],
        std::cmp::Ordering::Equal => SAME,
        std::cmp::Ordering::Greater => LONGER,
        std::cmp::Ordering::Less if bin == 0 => AT_ONCE,
        std::cmp::Ordering::Less => SHORTER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_takes_over_from_the_constants() {
        let mut population = Population::default();
        let like = Likeness::of(1, Some(60));
        let bin = bins::bin(60);
        assert!((population.hazards(like)[bin] - 0.65).abs() < 1e-6);
        for _ in 0..2_000 {
            for shorter in 0..bin {
                population.outlasted(like, shorter, 1.0);
            }
            population.ended(like, 60, 1.0);
        }
        let hazards = population.hazards(like);
        assert!(hazards[bin] > 0.98 && hazards[0] < 0.01);
        // A class of its own, but the same last gap: it believes its kin.
        assert!(population.hazards(Likeness::of(9, Some(60)))[bin] > 0.95);
        // Another last gap: nothing was learned of that.
        assert!((population.hazards(Likeness::of(1, Some(5)))[bin] - 0.2).abs() < 1e-6);
        let hour = ROUND.iter().position(|(minutes, _)| *minutes == 60);
        assert!(hour.is_some_and(|place| population.round_share(place) > 0.98));
    }

    #[test]
    fn open_gaps_count() {
        let mut population = Population::default();
        let like = Likeness::of(0, None);
        for _ in 0..1_000 {
            population.outlasted(like, 0, 1.0);
        }
        assert!(population.hazards(like)[0] < 0.01, "they never came back");
    }
}
