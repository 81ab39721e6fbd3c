//! What forecasts of a certain confidence came to, and what is said of the next such one.

/// Steps of confidence that are told apart.
const STEPS: usize = 10;
/// What an old forecast is worth one forecast of its step later: about the last thousand matter.
const KEEP: f32 = 0.999;
/// Forecasts that the confidence itself is worth.
const TRUST: f32 = 20.0;

/// What came of forecasts, by steps of confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Calibration {
    steps: [Step; STEPS],
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Step {
    forecasts: f32,
    hits: f32,
}

impl Calibration {
    /// A forecast of that confidence, before it was corrected, has come true or not.
    pub fn learn(&mut self, confidence: f32, hit: bool) {
        let step = &mut self.steps[step(confidence)];
        step.forecasts = step.forecasts * KEEP + 1.0;
        step.hits = step.hits * KEEP + f32::from(u8::from(hit));
    }

    /// The confidence corrected by what came of others like it.
    pub fn correct(&self, confidence: f32) -> f32 {
        let step = self.steps[step(confidence)];
        (step.hits + TRUST * confidence) / (step.forecasts + TRUST)
    }
}

fn step(confidence: f32) -> usize {
    ((confidence.clamp(0.0, 1.0) * STEPS as f32) as usize).min(STEPS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_to_be_what_comes() {
        let mut calibration = Calibration::default();
        assert_eq!(calibration.correct(0.35), 0.35);
        for n in 0..2_000 {
            calibration.learn(0.35, n % 10 < 6);
        }
        assert!((calibration.correct(0.35) - 0.6).abs() < 0.02);
        assert_eq!(calibration.correct(0.95), 0.95);
        assert!(
            calibration.correct(f32::NAN).is_nan(),
            "no number, and no panic"
        );
    }
}
