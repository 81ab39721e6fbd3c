//! Destinations and dead-letter targets: ARNs as users write them, which of them can be one, and in whose
//! words one is refused. Pure.

use pilotlight_model::names::{FunctionRef, Target};
use pilotlight_model::node::Caller;
use pilotlight_model::{AccountId, ErrorKind, LambdaError, Region};

/// An ARN, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arn<'a> {
    pub(crate) service: &'a str,
    pub(crate) region: &'a str,
    pub(crate) account: &'a str,
    pub(crate) resource: &'a str,
}

/// What an ARN can be the place for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    OnSuccess,
    OnFailure,
    DeadLetter,
}

impl<'a> Arn<'a> {
    /// `arn:partition:service:region:account:resource`, the resource with whatever colons it has.
    pub(crate) fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        let (Some("arn"), Some(_), Some(service), Some(region), Some(account), Some(resource)) = (
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
            parts.next(),
        ) else {
            return None;
        };
        let whole = !service.is_empty() && !resource.is_empty();
        whole.then_some(Self {
            service,
            region,
            account,
            resource,
        })
    }

    /// The resource's own name: the last part of what is behind the account.
    pub(crate) fn name(&self) -> &'a str {
        let last = self.resource.rsplit([':', '/']).next();
        last.unwrap_or(self.resource)
    }
}

/// The function that an ARN names, if it names one.
pub(crate) fn function(arn: &str) -> Option<Target> {
    if Arn::parse(arn)?.service != "lambda" || !arn.contains(":function:") {
        return None;
    }
    let reference: FunctionRef = arn.parse().ok()?;
    let caller = Caller {
        account: reference.account?,
        region: reference.region?,
        function: None,
    };
    Target::resolve(&caller, arn, None).ok()
}

/// Whether `arn` can be used so by the function of `account` and `region`; whether a function that it names
/// is there is for the catalog to say.
pub(crate) fn check(
    arn: &str,
    used: Use,
    account: &AccountId,
    region: &Region,
) -> Result<(), Refused> {
    let parsed = Arn::parse(arn).ok_or(Refused::Config)?;
    match (parsed.service, used) {
        ("sqs" | "sns", _) => queue(arn, &parsed, used, account, region),
        ("lambda", _) => match function(arn) {
            Some(target) if target.account == *account && target.region == *region => Ok(()),
            _ => Err(Refused::invalid(arn)),
        },
        ("events", Use::OnSuccess | Use::OnFailure) => {
            match parsed.resource.strip_prefix("event-bus/") {
                Some(bus) if plain(bus) => Ok(()),
                _ => Err(Refused::invalid(arn)),
            }
        }
        ("s3", Use::OnFailure) => match plain(parsed.resource) {
            true => Ok(()),
            false => Err(Refused::invalid(arn)),
        },
        (_, Use::DeadLetter) => Err(Refused::words(
            "Invalid dead letter queue ARN: Only Amazon SQS queues and Amazon SNS topics are supported.",
        )),
        _ => Err(Refused::Config),
    }
}

/// Why an ARN cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refused {
    /// AWS repeats the whole configuration, which only its reader knows.
    Config,
    /// With these words.
    Words(String),
}

impl Refused {
    fn words(text: &str) -> Self {
        Self::Words(text.to_owned())
    }

    /// AWS's words for what is not there, or not of the right form.
    pub(crate) fn invalid(arn: &str) -> Self {
        Self::Words(format!("The destination ARN {arn} is invalid."))
    }

    /// As the API answers it; `config` are the words for the whole configuration.
    pub(crate) fn error(self, config: impl FnOnce() -> String) -> LambdaError {
        let message = match self {
            Refused::Config => config(),
            Refused::Words(text) => text,
        };
        LambdaError::new(ErrorKind::InvalidParameterValue, message)
    }
}

/// Queues and topics have no policies here by which they could let another account in.
fn queue(
    arn: &str,
    parsed: &Arn<'_>,
    used: Use,
    account: &AccountId,
    region: &Region,
) -> Result<(), Refused> {
    let fifo = parsed.resource.ends_with(".fifo");
    let kind = match parsed.service {
        "sns" => "SNS topic",
        _ => "SQS queue",
    };
    match used {
        Use::DeadLetter if parsed.region != region.as_str() => Err(Refused::words(
            "Invalid dead letter queue ARN: The resource specified by the TargetArn must be in the same \
             region as the Lambda function it's associated with.",
        )),
        Use::DeadLetter if fifo => Err(Refused::Words(format!(
            "Invalid dead letter queue ARN: FIFO {kind} is not supported for dead letter configuration"
        ))),
        _ if fifo && parsed.service == "sns" => Err(Refused::words(
            "FIFO-type Amazon SNS topics aren't supported as a destination.",
        )),
        _ if fifo || !plain(parsed.resource) || parsed.account != account.as_str() => {
            Err(Refused::invalid(arn))
        }
        _ => Ok(()),
    }
}

/// A name without further structure. Files are named by it, too.
fn plain(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    (1..=256).contains(&name.len()) && name.bytes().all(allowed) && !name.starts_with('.')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn checked(arn: &str, used: Use) -> Result<(), String> {
        check(arn, used, &AccountId::default(), &Region::default())
            .map_err(|refused| refused.error(|| "config".to_owned()).message)
    }

    #[test]
    fn what_each_use_takes() {
        let queue = "arn:aws:sqs:us-east-1:123456789012:q";
        let topic = "arn:aws:sns:us-east-1:123456789012:t";
        let function = "arn:aws:lambda:us-east-1:123456789012:function:f:live";
        let bus = "arn:aws:events:us-east-1:123456789012:event-bus/default";
        for used in [Use::OnSuccess, Use::OnFailure] {
            for arn in [queue, topic, function, bus] {
                assert_eq!(checked(arn, used), Ok(()), "{arn} {used:?}");
            }
        }
        for arn in [queue, topic, function] {
            assert_eq!(checked(arn, Use::DeadLetter), Ok(()), "{arn}");
        }
        assert_eq!(checked("arn:aws:s3:::bucket", Use::OnFailure), Ok(()));
        assert_eq!(
            checked("arn:aws:s3:::bucket", Use::OnSuccess),
            Err("config".to_owned())
        );
    }

    #[test]
    fn refusals_are_in_aws_words() {
        let only = "Invalid dead letter queue ARN: Only Amazon SQS queues and Amazon SNS topics are \
                    supported.";
        let bus = "arn:aws:events:us-east-1:123456789012:event-bus/default";
        assert_eq!(checked(bus, Use::DeadLetter), Err(only.to_owned()));
        let fifo = "arn:aws:sqs:us-east-1:123456789012:q.fifo";
        assert_eq!(
            checked(fifo, Use::DeadLetter).unwrap_err(),
            "Invalid dead letter queue ARN: FIFO SQS queue is not supported for dead letter configuration"
        );
        assert_eq!(
            checked(fifo, Use::OnSuccess).unwrap_err(),
            format!("The destination ARN {fifo} is invalid.")
        );
        let iam = "arn:aws:iam:us-east-1:123456789012:function:f";
        assert_eq!(checked(iam, Use::OnSuccess), Err("config".to_owned()));
        for arn in [
            "arn:aws:lambda:us-east-1:999999999999:function:f",
            "arn:aws:lambda:eu-west-1:123456789012:function:f",
            "arn:aws:lambda:us-east-1:123456789012:layer:f",
            "arn:aws:sqs:us-east-1:123456789012:../../etc/passwd",
            "arn:aws:sqs:us-east-1::q",
            "arn:aws:sqs:us-east-1:999999999999:q",
            "arn:aws:sns:us-east-1:999999999999:t",
        ] {
            let words = format!("The destination ARN {arn} is invalid.");
            assert_eq!(checked(arn, Use::OnFailure), Err(words));
        }
    }

    proptest! {
        #[test]
        fn no_text_upsets_it_and_what_passes_names_a_plain_resource(text in "(arn:aws:(sqs|sns|events|s3|lambda):)?[ -~]{0,60}") {
            for used in [Use::OnSuccess, Use::OnFailure, Use::DeadLetter] {
                if checked(&text, used).is_ok() {
                    let name = Arn::parse(&text).unwrap().name();
                    prop_assert!(!name.contains(['/', '\0']) && !name.starts_with('.'));
                }
            }
        }
    }
}
