//! What a schedule may be beyond what the service model says. What cannot be honoured is refused by name.

use pilotlight_model::LambdaError;
use pilotlight_model::node::Caller;
use serde_json::Value;

use super::invalid;
use crate::schedules::delivery::{Context, Delivery, queue};
use crate::schedules::expression::Expression;
use crate::schedules::settings::{FlexibleMode, Settings, unix_ms};
use crate::schedules::timing::{Timing, zone};

/// The last second that a date can say: of the year 9999, as in an expression.
const LAST_DATE: f64 = 253_402_300_799.0;
/// How far in the past a start date may lie.
const START_MS: u64 = 5 * 60_000;
/// Members of a target that are read; the others belong to targets that are not here.
const TARGET: [&str; 5] = ["Arn", "RoleArn", "Input", "RetryPolicy", "DeadLetterConfig"];

/// Refuses members of a request that nothing here reads.
pub(super) fn supported(input: &Value) -> Result<(), LambdaError> {
    if input.get("KmsKeyArn").is_some() {
        return Err(invalid(
            "KmsKeyArn is not supported on this platform: there is no AWS KMS. Leave it out.",
        ));
    }
    let target = input.get("Target").and_then(Value::as_object);
    let mut members = target.into_iter().flat_map(|target| target.keys());
    match members.find(|member| !TARGET.contains(&member.as_str())) {
        Some(member) => Err(invalid(format!(
            "Target.{member} is not supported on this platform, which has no such targets."
        ))),
        None => Ok(()),
    }
}

/// Judges a schedule's settings. Returns when it is due.
pub(super) fn judge(
    settings: &Settings,
    caller: &Caller,
    now_ms: u64,
) -> Result<impl FnOnce(u64, u64) -> Option<Timing> + use<>, LambdaError> {
    let text = &settings.schedule_expression;
    let expression: Expression = text
        .parse()
        .map_err(|_| invalid(format!("Invalid Schedule Expression {text}.")))?;
    if zone(&settings.schedule_expression_timezone).is_none() {
        return Err(invalid(format!(
            "Invalid Schedule Expression Timezone {}.",
            settings.schedule_expression_timezone
        )));
    }
    window(settings)?;
    imaginable(settings)?;
    // Dates do not apply to a single time.
    if !matches!(expression, Expression::At(_)) {
        dates(settings, now_ms)?;
    }
    Delivery::of(&settings.target, &sample(caller, now_ms))
        .map_err(|unusable| invalid(unusable.0))?;
    let dead_letters = settings.target.dead_letter_config.as_ref();
    if let Some(arn) = dead_letters.and_then(|config| config.arn.as_deref()) {
        queue(arn, caller).map_err(|unusable| invalid(unusable.0))?;
    }
    let settings = settings.clone();
    Ok(move |anchor_ms, seed| settings.timing(anchor_ms, seed))
}

fn window(settings: &Settings) -> Result<(), LambdaError> {
    let window = &settings.flexible_time_window;
    match (window.mode, window.maximum_window_in_minutes) {
        (FlexibleMode::Flexible, None) => Err(invalid(
            "MaximumWindowInMinutes must be given for a flexible time window.",
        )),
        _ => Ok(()),
    }
}

/// Dates that there are, whether they apply or not: they are shown again.
fn imaginable(settings: &Settings) -> Result<(), LambdaError> {
    let given = [settings.start_date, settings.end_date];
    if given.into_iter().flatten().any(|date| date < 0.0) {
        return Err(invalid("Dates before 1970 are not supported."));
    }
    if given.into_iter().flatten().any(|date| date > LAST_DATE) {
        return Err(invalid("Dates after the year 9999 are not supported."));
    }
    Ok(())
}

fn dates(settings: &Settings, now_ms: u64) -> Result<(), LambdaError> {
    let (start, end) = (
        settings.start_date.map(unix_ms),
        settings.end_date.map(unix_ms),
    );
    // Of an update too, which can therefore not repeat an old start.
    if start.is_some_and(|start| start + START_MS < now_ms) {
        return Err(invalid(
            "The StartDate you specify cannot be earlier than 5 minutes ago.",
        ));
    }
    if end.is_some_and(|end| end < now_ms) {
        return Err(invalid("The EndDate you specify cannot be in the past."));
    }
    if let (Some(start), Some(end)) = (start, end)
        && end <= start
    {
        return Err(invalid(
            "The StartDate you specify must come before the EndDate.",
        ));
    }
    Ok(())
}

/// A firing as one will be, to see whether the target and its input hold.
fn sample(caller: &Caller, now_ms: u64) -> Context {
    Context {
        caller: caller.clone(),
        schedule_arn: "arn:aws:scheduler:us-east-1:123456789012:schedule/group/name".to_owned(),
        scheduled_ms: now_ms,
        execution_id: "00000000000000000000000000000000".to_owned(),
        attempt: 1,
    }
}
