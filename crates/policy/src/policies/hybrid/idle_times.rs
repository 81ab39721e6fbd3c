//! The idle times of one version, and the windows that follow from them.

use std::collections::VecDeque;
use std::time::Duration;

use super::Parameters;
use super::forecast::{MOST, forecast};
use crate::histogram::Histogram;

/// When to load a version and when to unload it, from the end of its last execution.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Windows {
    /// Zero: it is not unloaded.
    pub load: Duration,
    pub unload: Duration,
    /// The part of the idle times so far that ended between the two, from 0 to 1.
    pub confidence: f32,
}

impl Windows {
    /// Standard keep-alive: over the histogram's whole range.
    pub(super) fn standard(parameters: &Parameters) -> Self {
        Self {
            load: Duration::ZERO,
            unload: parameters.scale.range(),
            confidence: 0.0,
        }
    }

    /// How long the version stays loaded.
    pub(super) fn loaded(&self) -> Duration {
        self.unload.saturating_sub(self.load)
    }
}

/// What is kept of them.
#[derive(Debug, Default)]
pub(super) struct IdleTimes {
    histogram: Option<Histogram>,
    /// The last ones in minutes, the latest at the end: what a forecast goes by.
    recent: VecDeque<f32>,
    /// The windows that follow, until another idle time is added.
    windows: Option<Windows>,
}

impl IdleTimes {
    pub(super) fn add(&mut self, parameters: &Parameters, idle_time: Duration) {
        self.histogram
            .get_or_insert_with(|| Histogram::new(parameters.scale))
            .add(parameters.scale.bin(idle_time));
        if self.recent.len() == MOST {
            self.recent.pop_front();
        }
        self.recent.push_back(idle_time.as_secs_f32() / 60.0);
        self.windows = None;
    }

    pub(super) fn windows(&mut self, parameters: &Parameters) -> Windows {
        if let Some(windows) = self.windows {
            return windows;
        }
        let windows = self.conclude(parameters);
        self.windows = Some(windows);
        windows
    }

    /// The paper's figure 10, top to bottom.
    fn conclude(&self, parameters: &Parameters) -> Windows {
        let standard = Windows::standard(parameters);
        let Some(histogram) = &self.histogram else {
            return standard;
        };
        let total = u64::from(histogram.total());
        let outside = u64::from(histogram.outside()) * 100;
        if total < u64::from(parameters.least) {
            standard
        } else if outside > total * u64::from(parameters.out_of_bounds) {
            self.by_forecast(parameters).unwrap_or(standard)
        } else if histogram.variation() < parameters.variation {
            standard
        } else {
            by_histogram(parameters, histogram).unwrap_or(standard)
        }
    }

    fn by_forecast(&self, parameters: &Parameters) -> Option<Windows> {
        let recent: Vec<f64> = self
            .recent
            .iter()
            .map(|minutes| f64::from(*minutes))
            .collect();
        let next = forecast(&recent)?;
        let margin = f64::from(parameters.forecast_margin) / 100.0;
        let (from, to) = (next * (1.0 - margin), next * (1.0 + margin));
        let within = recent
            .iter()
            .filter(|minutes| (from..=to).contains(*minutes))
            .count();
        Some(Windows {
            load: minutes(from)?,
            unload: minutes(to)?,
            confidence: within as f32 / recent.len() as f32,
        })
    }
}

/// The head is rounded down to where its bin begins and the tail up to where its bin ends; then the margins.
fn by_histogram(parameters: &Parameters, histogram: &Histogram) -> Option<Windows> {
    let head = histogram.percentile(parameters.head)?;
    let tail = histogram.percentile(parameters.tail)?;
    let margin = u32::from(parameters.margin.min(100));
    let load = parameters.scale.begin(head) * (100 - margin) / 100;
    let unload = parameters.scale.begin(tail.saturating_add(1)) * (100 + margin) / 100;
    Some(Windows {
        load,
        unload,
        confidence: histogram.share(head, tail),
    })
}

fn minutes(minutes: f64) -> Option<Duration> {
    Duration::try_from_secs_f64(minutes * 60.0).ok()
}
