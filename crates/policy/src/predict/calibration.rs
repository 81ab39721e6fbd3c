//! What forecasts of a certain confidence came to, and what is said of the next such one.

/// Steps of confidence that are told apart.
const STEPS: usize = 10;
/// What an old forecast is worth one forecast of its step later: about the last thousand matter.
const KEEP: f32 = 0.999;
/// Forecasts that the confidence itself is worth. Forecasts of the same hour are not independent of each other (many
/// versions are new at once, or all are called by one): believed after twenty, they spoiled what was said next.
const TRUST: f32 = 100.0;

/// What came of forecasts, by steps of confidence.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Calibration {
    steps: [Step; STEPS],
}

#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Step {
    forecasts: f32,
    /// Hits beyond those that were promised.
    excess: f32,
}

impl Step {
    fn correction(&self) -> f32 {
        self.excess / (self.forecasts + TRUST)
    }
}

impl Calibration {
    /// A forecast of that confidence, before it was corrected, has come true or not.
    pub fn learn(&mut self, confidence: f32, hit: bool) {
        let confidence = confidence.clamp(0.0, 1.0);
        let step = ((confidence * STEPS as f32) as usize).min(STEPS - 1);
        let step = &mut self.steps[step];
        step.forecasts = step.forecasts * KEEP + 1.0;
        step.excess = step.excess * KEEP + f32::from(u8::from(hit)) - confidence;
    }

    /// The confidence corrected by what came of others like it: by the corrections of both steps whose middles are
    /// around it, in proportion, so that more is never less by a step.
    pub fn correct(&self, confidence: f32) -> f32 {
        let at = (confidence * STEPS as f32 - 0.5).clamp(0.0, (STEPS - 1) as f32);
        let (below, part) = (at as usize, at.fract());
        let above = (below + 1).min(STEPS - 1);
        let correction =
            self.steps[below].correction() * (1.0 - part) + self.steps[above].correction() * part;
        (confidence + correction).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_comes_to_be_what_comes() {
        let mut calibration = Calibration::default();
        assert_eq!(calibration.correct(0.35), 0.35);
        for n in 0..5_000 {
            calibration.learn(0.35, n % 10 < 6);
        }
        assert!((calibration.correct(0.35) - 0.6).abs() < 0.04);
        assert_eq!(calibration.correct(0.95), 0.95);
        let between = calibration.correct(0.4) - 0.4;
        assert!((between - (calibration.correct(0.35) - 0.35) / 2.0).abs() < 1e-3);
        assert!(
            calibration.correct(f32::NAN).is_nan(),
            "no number, and no panic"
        );
    }

    #[test]
    fn certainty_stays_within_what_a_probability_is() {
        let mut calibration = Calibration::default();
        (0..1_000).for_each(|_| calibration.learn(0.9, true));
        (0..1_000).for_each(|_| calibration.learn(0.05, false));
        assert!(calibration.correct(1.0) <= 1.0 && calibration.correct(0.0) >= 0.0);
    }
}
