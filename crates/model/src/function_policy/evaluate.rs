//! Whether a policy allows an access: one statement must, and nothing is allowed by default.

use std::collections::BTreeMap;
use std::fmt;

use super::{Policy, Principal, Statement};
use crate::ids::AccountId;

/// Somebody wants to do something with a function.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    /// Who.
    pub identity: Identity<'a>,
    /// What, as an IAM action: `lambda:InvokeFunction`.
    pub action: &'a str,
    /// The function's ARN with the qualifier that was asked for, if any.
    pub resource: &'a str,
    /// What else is known.
    pub context: Context<'a>,
}

/// Who wants something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Identity<'a> {
    /// Nobody has said.
    Anonymous,
    /// An access key of that account, which acts as its root: there is no IAM.
    Account(&'a AccountId),
    /// A service of AWS, `s3.amazonaws.com`.
    Service(&'a str),
}

/// AWS's condition keys, as far as statements of functions can have them. One that is absent satisfies no
/// condition.
#[derive(Debug, Clone, Copy, Default)]
pub struct Context<'a> {
    /// `aws:SourceArn`: the resource on whose behalf a service asks.
    pub source_arn: Option<&'a str>,
    /// `aws:SourceAccount`: whose that is.
    pub source_account: Option<&'a str>,
    /// `aws:PrincipalOrgID`: the organisation that the identity belongs to.
    pub principal_org_id: Option<&'a str>,
    /// `lambda:EventSourceToken`.
    pub event_source_token: Option<&'a str>,
    /// `lambda:FunctionUrlAuthType`: of the URL that is called, `NONE` or `AWS_IAM`.
    pub function_url_auth_type: Option<&'a str>,
    /// `lambda:InvokedViaFunctionUrl`.
    pub invoked_via_function_url: Option<bool>,
}

impl Policy {
    /// Whether a statement allows it.
    pub fn allows(&self, access: &Access<'_>) -> bool {
        self.statements
            .iter()
            .any(|statement| statement.allows(access))
    }
}

impl Statement {
    fn allows(&self, access: &Access<'_>) -> bool {
        let action = self.action.to_ascii_lowercase();
        self.principal.covers(access.identity)
            && like(&action, &access.action.to_ascii_lowercase())
            && like(&self.resource, unqualified_latest(access.resource))
            && self.conditions_hold(&access.context)
    }

    fn conditions_hold(&self, context: &Context<'_>) -> bool {
        let condition = &self.condition;
        let all = |wanted: &BTreeMap<String, String>, holds: fn(&str, &str) -> bool| {
            wanted.iter().all(|(key, wanted)| {
                let known = context.value(key);
                known.is_some_and(|known| holds(wanted, known))
            })
        };
        all(&condition.string_equals, |wanted, known| wanted == known)
            && all(&condition.arn_like, arn_like)
            && all(&condition.bool, |wanted, known| {
                wanted.eq_ignore_ascii_case(known)
            })
    }
}

impl Principal {
    fn covers(&self, identity: Identity<'_>) -> bool {
        match (self, identity) {
            (Self::Everyone, _) => true,
            (Self::Service(service), Identity::Service(asking)) => service == asking,
            (Self::Aws(arn), Identity::Account(_)) => *arn == identity.to_string(),
            _ => false,
        }
    }
}

impl Context<'_> {
    /// The value of a condition key, whose case does not matter.
    fn value(&self, key: &str) -> Option<&str> {
        match key.to_ascii_lowercase().as_str() {
            "aws:sourcearn" => self.source_arn,
            "aws:sourceaccount" => self.source_account,
            "aws:principalorgid" => self.principal_org_id,
            "lambda:eventsourcetoken" => self.event_source_token,
            "lambda:functionurlauthtype" => self.function_url_auth_type,
            "lambda:invokedviafunctionurl" => self.invoked_via_function_url.map(|it| match it {
                true => "true",
                false => "false",
            }),
            _ => None,
        }
    }
}

impl fmt::Display for Identity<'_> {
    /// As AWS's errors name it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Identity::Anonymous => f.write_str("anonymous"),
            Identity::Account(account) => write!(f, "arn:aws:iam::{account}:root"),
            Identity::Service(service) => f.write_str(service),
        }
    }
}

/// `$LATEST` is the function itself: a policy cannot be made for it.
fn unqualified_latest(arn: &str) -> &str {
    arn.strip_suffix(":$LATEST").unwrap_or(arn)
}

/// Parts of an ARN: `arn:partition:service:region:account:resource`.
const ARN_PARTS: usize = 6;

/// Every part is like its counterpart: a wildcard does not reach over a colon, except in the last part.
fn arn_like(pattern: &str, arn: &str) -> bool {
    let parts = |text| -> Vec<&str> { str::splitn(text, ARN_PARTS, ':').collect() };
    let (pattern, arn) = (parts(pattern), parts(arn));
    pattern.len() == arn.len() && pattern.iter().zip(arn).all(|(part, of)| like(part, of))
}

/// Whether `text` is like `pattern`, in which `*` stands for any text and `?` for any one character. Takes
/// time as the product of both lengths at most.
fn like(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut seen) = (0, 0);
    // Behind the last star, and how much of the text it has been given.
    let mut star: Option<(usize, usize)> = None;
    while seen < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at + 1, seen));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[seen] => {
                at += 1;
                seen += 1;
            }
            _ => match star {
                // The star takes one more, and what is behind it is tried anew.
                Some((behind, given)) => {
                    star = Some((behind, given + 1));
                    at = behind;
                    seen = given + 1;
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}
