//! PutRetentionPolicy and DeleteRetentionPolicy: for how many days events are kept.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};
use serde::Deserialize;

use super::{groups, identifier};
use crate::catalog::CatalogError;
use crate::control::Parts;

/// The days that AWS takes.
const DAYS: [u32; 22] = [
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922,
    3288, 3653,
];
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PutRetentionPolicyRequest {
    log_group_name: String,
    retention_in_days: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct DeleteRetentionPolicyRequest {
    log_group_name: String,
}

pub(super) async fn put(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: PutRetentionPolicyRequest,
) -> Result<(), LambdaError> {
    let days = days(request.retention_in_days)?;
    set(parts, caller, &request.log_group_name, Some(days)).await
}

pub(super) async fn delete(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: DeleteRetentionPolicyRequest,
) -> Result<(), LambdaError> {
    set(parts, caller, &request.log_group_name, None).await
}

/// Tells the log store how long events are kept, which it has forgotten since the last run.
pub(crate) async fn tell(parts: &Parts) -> Result<(), CatalogError> {
    let groups = parts
        .catalog
        .read(|session| session.retained_log_groups())
        .await?;
    for (group, days) in groups {
        parts.logs.retain(&group, Some(DAY * days));
    }
    Ok(())
}

/// The time before which events of a group are no longer shown. Those that the log store still has go with
/// others of their segment.
pub(super) fn begin_ms(now_ms: u64, days: Option<u32>) -> u64 {
    let kept = days.map(|days| u64::from(days) * DAY.as_millis() as u64);
    kept.map_or(0, |kept| now_ms.saturating_sub(kept))
}

async fn set(
    parts: &Parts,
    caller: &Caller,
    name: &str,
    days: Option<u32>,
) -> Result<(), LambdaError> {
    let group = identifier::named(caller, name);
    groups::change(parts, group.clone(), move |row| {
        row.retention_days = days;
        Ok(())
    })
    .await?;
    parts.logs.retain(&group, days.map(|days| DAY * days));
    Ok(())
}

fn days(given: i64) -> Result<u32, LambdaError> {
    let known = DAYS.iter().find(|days| i64::from(**days) == given);
    known.copied().ok_or_else(|| {
        let known: Vec<String> = DAYS.iter().map(u32::to_string).collect();
        LambdaError::new(
            ErrorKind::Validation,
            format!(
                "1 validation error detected: Value '{given}' at 'retentionInDays' failed to satisfy \
                 constraint: Member must satisfy enum value set: [{}]",
                known.join(", ")
            ),
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_those_that_aws_has() {
        assert_eq!(days(7), Ok(7));
        for wrong in [0, -1, 2, 8, 99_999, i64::MIN] {
            let error = days(wrong).unwrap_err();
            assert!(
                error.message.ends_with("2922, 3288, 3653]"),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn what_is_kept_for_a_day_begins_a_day_ago() {
        assert_eq!(begin_ms(100_000_000, None), 0);
        assert_eq!(begin_ms(100_000_000, Some(1)), 13_600_000);
        assert_eq!(begin_ms(5, Some(1)), 0);
    }
}
