//! What the hybrid histogram can be told, with the paper's values as defaults.

use std::time::Duration;

use crate::histogram::Scale;
use crate::policies::SpecError;
use crate::policies::parameters::Parameters as Given;

/// The parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameters {
    /// The histogram's bins: of one minute, over four hours. Its range is also how long a version is kept
    /// when nothing better is known.
    pub scale: Scale,
    /// Idle times, in and out of bounds, before anything is concluded from them.
    pub least: u32,
    /// Coefficient of variation of the counts from which on the histogram tells something.
    pub variation: f64,
    /// Percentile that says when to load.
    pub head: u8,
    /// Percentile that says when to unload.
    pub tail: u8,
    /// Percent by which loading is earlier and unloading later than the percentiles say.
    pub margin: u8,
    /// Percent of idle times out of bounds beyond which the next one is forecast.
    pub out_of_bounds: u8,
    /// Percent of a forecast by which loading is earlier, and unloading later, than the forecast.
    pub forecast_margin: u8,
}

impl Parameters {
    /// Those that are given, and the paper's for the others.
    pub(super) fn take(given: &mut Given) -> Result<Self, SpecError> {
        let range = given.time("")?;
        let mut taken = range.map_or_else(Self::default, Self::over);
        given.set("least", &mut taken.least)?;
        given.factor("cv", &mut taken.variation)?;
        given.percent("head", &mut taken.head)?;
        given.percent("tail", &mut taken.tail)?;
        given.percent("margin", &mut taken.margin)?;
        given.percent("oob", &mut taken.out_of_bounds)?;
        given.percent("forecast-margin", &mut taken.forecast_margin)?;
        Ok(taken)
    }

    /// The paper's, with another range.
    pub fn over(range: Duration) -> Self {
        Self {
            scale: Scale::new(Duration::from_secs(60), range),
            ..Self::default()
        }
    }
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            scale: Scale::new(Duration::from_secs(60), Duration::from_secs(4 * 3_600)),
            least: 10,
            variation: 2.0,
            head: 5,
            tail: 99,
            margin: 10,
            out_of_bounds: 50,
            forecast_margin: 15,
        }
    }
}
