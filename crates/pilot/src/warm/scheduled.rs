//! `pilot warm --schedule`: a schedule that warms a function up, made or changed.

use http::Method;
use pilotlight_model::names::FunctionRef;
use serde_json::{Value, json};

use crate::cli::WarmArgs;
use crate::client::{ApiError, Client, encode};

/// The target of such schedules.
const TARGET: &str = "arn:aws:scheduler:::aws-sdk:lambda:warmUp";
/// A role is required, and not checked.
const ROLE: &str = "arn:aws:iam::000000000000:role/pilot";

/// Makes the schedule, or changes the one of that name. Returns its name and its ARN.
pub(super) async fn put(
    client: &Client,
    args: &WarmArgs,
    expression: &str,
    request: &Value,
) -> anyhow::Result<(String, String)> {
    let name = args
        .name
        .clone()
        .unwrap_or_else(|| default_name(&args.function));
    let schedule = json!({
        "ScheduleExpression": expression,
        "ScheduleExpressionTimezone": args.timezone,
        "FlexibleTimeWindow": { "Mode": "OFF" },
        "Target": { "Arn": TARGET, "RoleArn": ROLE, "Input": request.to_string() },
    });
    let path = format!("/schedules/{}", encode(&name));
    let made = match client.send(Method::POST, &path, &schedule).await {
        Err(error) if is_conflict(&error) => client.send(Method::PUT, &path, &schedule).await?,
        made => made?,
    };
    let arn = made["ScheduleArn"].as_str().unwrap_or_default();
    Ok((name, arn.to_owned()))
}

fn is_conflict(error: &anyhow::Error) -> bool {
    error.downcast_ref().is_some_and(ApiError::is_conflict)
}

/// `warm-` and the function's name and qualifier, cut to what a name may have.
fn default_name(function: &str) -> String {
    let text = match function.parse::<FunctionRef>() {
        Ok(named) => match named.qualifier {
            Some(qualifier) => format!("{}-{qualifier}", named.name),
            None => named.name,
        },
        Err(_) => function.to_owned(),
    };
    let allowed = |letter: char| match letter {
        '-' | '_' | '.' => letter,
        _ if letter.is_ascii_alphanumeric() => letter,
        _ => '-',
    };
    let name: String = text.chars().map(allowed).take(64 - "warm-".len()).collect();
    format!("warm-{name}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_named_after_its_function() {
        for (function, name) in [
            ("f", "warm-f"),
            ("f:live", "warm-f-live"),
            ("f:$LATEST", "warm-f--LATEST"),
            (
                "arn:aws:lambda:us-east-1:123456789012:function:f:3",
                "warm-f-3",
            ),
        ] {
            assert_eq!(default_name(function), name);
        }
        assert_eq!(default_name(&"x".repeat(140)).len(), 64);
    }
}
