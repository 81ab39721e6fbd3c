//! Names and ARNs of log groups and streams.

use pilotlight_model::logs::LogGroup;
use pilotlight_model::node::Caller;
use pilotlight_model::{ErrorKind, LambdaError};

use super::no_group;
use crate::api::invalid;

/// The caller's group of that name.
pub(super) fn named(caller: &Caller, name: &str) -> LogGroup {
    LogGroup {
        account: caller.account.clone(),
        region: caller.region.clone(),
        name: name.to_owned(),
    }
}

/// The group that a request names, either by its name or by name or ARN.
pub(super) fn either(
    caller: &Caller,
    name: Option<&str>,
    identifier: Option<&str>,
) -> Result<LogGroup, LambdaError> {
    match (name, identifier) {
        (Some(name), None) => Ok(named(caller, name)),
        (None, Some(identifier)) => identified(caller, identifier),
        (Some(_), Some(_)) => Err(LambdaError::new(
            ErrorKind::InvalidRequestContent,
            "LogGroup name and LogGroup ARN are mutually exclusive parameters.",
        )),
        (None, None) => Err(invalid(
            "Either logGroupName or logGroupIdentifier must be specified.",
        )),
    }
}

/// The group of a name or an ARN, with `:*` behind it or without. Groups of others are not there.
pub(super) fn identified(caller: &Caller, identifier: &str) -> Result<LogGroup, LambdaError> {
    let Some(rest) = identifier.strip_prefix("arn:") else {
        return Ok(named(caller, identifier));
    };
    let parts: Vec<&str> = rest.splitn(6, ':').collect();
    let [_partition, "logs", region, account, "log-group", name] = parts[..] else {
        return Err(invalid(format!("Invalid log group ARN: {identifier}")));
    };
    if region != caller.region.as_str() || account != caller.account.as_str() {
        return Err(no_group());
    }
    Ok(named(caller, name.strip_suffix(":*").unwrap_or(name)))
}

/// ARN of a group, without `:*`.
pub(super) fn arn(group: &LogGroup) -> String {
    format!(
        "arn:{}:logs:{}:{}:log-group:{}",
        group.region.partition(),
        group.region,
        group.account,
        group.name
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_arns_mean_the_same_group() {
        let caller = Caller {
            account: Default::default(),
            region: Default::default(),
            function: None,
        };
        let group = named(&caller, "/aws/lambda/f");
        let arn = arn(&group);
        assert_eq!(
            arn,
            "arn:aws:logs:us-east-1:123456789012:log-group:/aws/lambda/f"
        );
        for text in ["/aws/lambda/f", &arn, &format!("{arn}:*")] {
            assert_eq!(identified(&caller, text).unwrap(), group);
        }
        for other in [
            arn.replace("us-east-1", "us-east-2"),
            arn.replace("1234", "0000"),
        ] {
            assert_eq!(identified(&caller, &other), Err(no_group()));
        }
        for wrong in [
            "arn:aws:logs",
            "arn:aws:s3:us-east-1:123456789012:log-group:x",
        ] {
            assert!(identified(&caller, wrong).is_err());
        }
        assert!(either(&caller, None, None).is_err());
        assert!(either(&caller, Some("a"), Some("a")).is_err());
    }
}
