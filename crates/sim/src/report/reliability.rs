//! Confidence stated, and what came of it, in figures.

use serde::Serialize;

use crate::outcome::{Reliability, TENTHS};

/// Forecasts of one tenth of confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TenthSummary {
    /// The least confidence in it, from 0 to 0.9.
    pub from: f64,
    /// Forecasts whose time is over.
    pub made: u64,
    /// What they stated, on average.
    pub stated: f64,
    /// The share of them in whose time a request came.
    pub came_true: f64,
}

/// The tenths that have forecasts, from the least confident on.
pub(super) fn tenths(reliability: &Reliability) -> Vec<TenthSummary> {
    let with_forecasts = (0u32..).zip(&reliability.tenths);
    with_forecasts
        .filter(|(_, tenth)| tenth.made > 0)
        .map(|(number, tenth)| TenthSummary {
            from: f64::from(number) / TENTHS as f64,
            made: tenth.made,
            stated: tenth.promised / tenth.made as f64,
            came_true: tenth.hit as f64 / tenth.made as f64,
        })
        .collect()
}
