//! What a user has configured of a schedule, in the API's own names: read from requests, kept in the
//! catalog, and shown.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::timing::{Timing, zone};

/// Time zone where none is given.
const UTC: &str = "UTC";

/// The configuration of a schedule, with the defaults filled in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Settings {
    pub(crate) schedule_expression: String,
    #[serde(default = "utc")]
    pub(crate) schedule_expression_timezone: String,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) start_date: Option<f64>,
    /// Seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) end_date: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) description: Option<String>,
    #[serde(default)]
    pub(crate) state: ScheduleState,
    pub(crate) target: Target,
    pub(crate) flexible_time_window: FlexibleTimeWindow,
    #[serde(default)]
    pub(crate) action_after_completion: ActionAfterCompletion,
}

/// Whether a schedule fires.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ScheduleState {
    #[default]
    Enabled,
    Disabled,
}

/// What becomes of a schedule that will not fire again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum ActionAfterCompletion {
    #[default]
    None,
    Delete,
}

/// How punctual a schedule is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct FlexibleTimeWindow {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) maximum_window_in_minutes: Option<u32>,
    pub(crate) mode: FlexibleMode,
}

/// Whether there is a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum FlexibleMode {
    Off,
    Flexible,
}

/// What a schedule calls, and what happens when it cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Target {
    pub(crate) arn: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) dead_letter_config: Option<DeadLetterConfig>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) input: Option<String>,
    #[serde(default)]
    pub(crate) retry_policy: RetryPolicy,
    pub(crate) role_arn: String,
}

/// Where what could not be delivered goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct DeadLetterConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) arn: Option<String>,
}

/// How often and for how long a delivery is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub(crate) struct RetryPolicy {
    pub(crate) maximum_event_age_in_seconds: u32,
    pub(crate) maximum_retry_attempts: u32,
}

impl Default for RetryPolicy {
    /// AWS's defaults, which are the largest values.
    fn default() -> Self {
        Self {
            maximum_event_age_in_seconds: 86_400,
            maximum_retry_attempts: 185,
        }
    }
}

impl RetryPolicy {
    /// How old a firing may become.
    pub(crate) fn longest(self) -> Duration {
        Duration::from_secs(self.maximum_event_age_in_seconds.into())
    }
}

impl Settings {
    /// When the schedule is due; none where the expression or the time zone does not read.
    pub(crate) fn timing(&self, anchor_ms: u64, seed: u64) -> Option<Timing> {
        let window = &self.flexible_time_window;
        let minutes = match window.mode {
            FlexibleMode::Off => 0,
            FlexibleMode::Flexible => window.maximum_window_in_minutes.unwrap_or(0),
        };
        Some(Timing {
            expression: self.schedule_expression.parse().ok()?,
            zone: zone(&self.schedule_expression_timezone)?,
            anchor_ms,
            start_ms: self.start_date.map(unix_ms),
            end_ms: self.end_date.map(unix_ms),
            window: Duration::from_secs(60 * u64::from(minutes)),
            seed,
        })
    }
}

fn utc() -> String {
    UTC.to_owned()
}

/// What lies before 1970 becomes 1970.
pub(crate) fn unix_ms(seconds: f64) -> u64 {
    (seconds * 1_000.0).round() as u64
}
