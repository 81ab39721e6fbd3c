//! Function policies: who, besides the account that a function belongs to, may do what with it. The
//! statements as AddPermission makes them and GetPolicy shows them, and the rule by which they are judged.
//! Pure: whoever asks brings the policy.

mod evaluate;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use serde::{Deserialize, Serialize};
use serde_json::json;

pub use evaluate::{Access, Context, Identity};

use crate::error::{ErrorKind, LambdaError};
use crate::names::Target;
use crate::node::Caller;

/// The right to invoke a function.
pub const INVOKE_FUNCTION: &str = "lambda:InvokeFunction";
/// The right to call a function's URL.
pub const INVOKE_FUNCTION_URL: &str = "lambda:InvokeFunctionUrl";

/// The policy of a function, or of one of its versions or aliases: a policy holds for the very qualifier
/// that it was made for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// Its statements, in the order in which they were added.
    pub statements: Vec<Statement>,
}

/// One statement. All that there are allow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Statement {
    /// Its id within the policy.
    pub sid: String,
    /// What follows from it.
    pub effect: Effect,
    /// For whom.
    pub principal: Principal,
    /// What they may do: one action, `lambda:*` or `*`.
    pub action: String,
    /// With which function, as its ARN.
    pub resource: String,
    /// Under which conditions, all of which must hold.
    #[serde(default, skip_serializing_if = "Conditions::is_empty")]
    pub condition: Conditions,
}

/// What a statement does; Lambda's API makes no others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It allows.
    Allow,
}

/// Whom a statement is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Principal {
    /// Everybody, known or not.
    #[serde(rename = "*")]
    Everyone,
    /// An AWS service, `s3.amazonaws.com`.
    Service(String),
    /// An ARN: of an account's root, which stands for everyone in the account, or of one identity.
    #[serde(rename = "AWS")]
    Aws(String),
}

/// Conditions by operator, each a value by its condition key.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Conditions {
    /// Is the same.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub string_equals: BTreeMap<String, String>,
    /// Is an ARN like this one, part by part; `*` and `?` stand for anything.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub arn_like: BTreeMap<String, String>,
    /// Is `true`, or `false`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub bool: BTreeMap<String, String>,
}

impl Conditions {
    fn is_empty(&self) -> bool {
        self.string_equals.is_empty() && self.arn_like.is_empty() && self.bool.is_empty()
    }
}

impl Policy {
    /// A policy that allows nothing, shared by everything that has none.
    pub fn none() -> Arc<Self> {
        static NONE: LazyLock<Arc<Policy>> = LazyLock::new(Arc::default);
        Arc::clone(&NONE)
    }

    /// The whole policy as GetPolicy shows it.
    pub fn document(&self) -> String {
        json!({ "Version": "2012-10-17", "Id": "default", "Statement": self.statements })
            .to_string()
    }
}

impl Principal {
    /// What AddPermission means by a principal: `*`, a service, an account's number, or an ARN.
    pub fn read(text: &str) -> Option<Self> {
        let account = text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit());
        match text {
            "*" => Some(Self::Everyone),
            _ if text.ends_with(".amazonaws.com") || text.ends_with(".amazon.com") => {
                Some(Self::Service(text.to_owned()))
            }
            _ if account => Some(Self::Aws(format!("arn:aws:iam::{text}:root"))),
            _ if text.starts_with("arn:") => Some(Self::Aws(text.to_owned())),
            _ => None,
        }
    }
}

/// The function that `caller` means by `name`, if it may do `action` with it: in its own account
/// everything, in another's what the function's policy lets it. `policy` finds the policy that holds for a
/// target; it is asked only where it matters.
pub fn authorize(
    caller: &Caller,
    name: &str,
    qualifier: Option<&str>,
    action: &str,
    policy: impl FnOnce(&Target) -> Arc<Policy>,
) -> Result<Target, LambdaError> {
    let target = Target::read(caller, name, qualifier)?;
    if target.account == caller.account {
        return Ok(target);
    }
    let resource = target.arn();
    let access = Access {
        identity: Identity::Account(&caller.account),
        action,
        resource: &resource,
        context: Context::default(),
    };
    match policy(&target).allows(&access) {
        true => Ok(target),
        false => Err(access.denied(caller)),
    }
}

impl Access<'_> {
    /// 403 in AWS's words. It tells nothing about whether the resource is there.
    pub fn denied(&self, caller: &Caller) -> LambdaError {
        let Self {
            action, resource, ..
        } = self;
        LambdaError::new(
            ErrorKind::AccessDenied,
            format!(
                "User: {} is not authorized to perform: {action} on resource: {resource} because \
                 no resource-based policy allows the {action} action",
                caller.arn()
            ),
        )
    }
}
