//! Stated confidence beside what came: forecasts by tenths of the confidence that they were made with.

/// Steps of confidence that are told apart.
pub const TENTHS: usize = 10;

/// What came of forecasts, by tenths of confidence: the first is of those below 0.1.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Reliability {
    /// Each tenth.
    pub tenths: [Tenth; TENTHS],
}

/// Forecasts whose confidence is in one tenth.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Tenth {
    /// Forecasts whose time is over.
    pub made: u64,
    /// Of them, those in whose time a request came.
    pub hit: u64,
    /// Their confidence, added up: as many hits were promised.
    pub promised: f64,
}

impl Reliability {
    /// The time of a forecast is over, and a request came in it or not.
    pub(crate) fn learn(&mut self, confidence: f32, hit: bool) {
        let confidence = f64::from(confidence).clamp(0.0, 1.0);
        let tenth = ((confidence * TENTHS as f64) as usize).min(TENTHS - 1);
        let tenth = &mut self.tenths[tenth];
        tenth.made += 1;
        tenth.hit += u64::from(hit);
        tenth.promised += confidence;
    }

    /// Both together.
    pub fn and(mut self, other: &Self) -> Self {
        for (one, other) in self.tenths.iter_mut().zip(&other.tenths) {
            one.made += other.made;
            one.hit += other.hit;
            one.promised += other.promised;
        }
        self
    }

    /// By how much stated and observed differ, on average over forecasts; none without forecasts.
    pub fn error(&self) -> Option<f64> {
        let made: u64 = self.tenths.iter().map(|tenth| tenth.made).sum();
        let off = |tenth: &Tenth| (tenth.promised - tenth.hit as f64).abs();
        let off: f64 = self.tenths.iter().map(off).sum();
        (made > 0).then(|| off / made as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forecasts_count_in_their_tenth() {
        let mut one = Reliability::default();
        assert_eq!(one.error(), None);
        for hit in [true, true, true, false] {
            one.learn(0.85, hit);
        }
        one.learn(1.0, true);
        let tenth = one.tenths[8];
        assert_eq!((tenth.made, tenth.hit), (4, 3));
        assert!((tenth.promised - 3.4).abs() < 1e-6);
        assert_eq!(one.tenths[9].made, 1);
        assert!((one.error().unwrap() - 0.4 / 5.0).abs() < 1e-6);
        assert_eq!(one.and(&one).tenths[8].hit, 6);
    }
}
