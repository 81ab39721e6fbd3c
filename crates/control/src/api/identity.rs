//! Who a caller is: GetCallerIdentity of the Security Token Service, which tools ask before anything else (Terraform's
//! provider, deploy tools, people). Source: its reference, 2011-06-15; "AWS query protocol" of Smithy.

use pilotlight_model::node::Caller;
use pilotlight_model::service::{ApiId, Operation, STS_NAMESPACE};
use pilotlight_model::{ErrorKind, LambdaError};

use super::{Answer, not_yet};

/// Characters of an action's name that an error repeats.
const ACTION_CHARS: usize = 128;

/// Stands for the unique id of a function's role, of which there is none here: in the form that AWS has them.
const ROLE_ID: &str = "AROA00000000000000000";

/// The operation that the form in a body names. All services of the query protocol look alike from the outside: what the
/// Security Token Service does not have is taken to be meant for another.
pub(super) fn operation(form: &[u8]) -> Result<&'static Operation, LambdaError> {
    let action = form
        .split(|&byte| byte == b'&')
        .find_map(|pair| pair.strip_prefix(b"Action="))
        .unwrap_or_default();
    let action = String::from_utf8_lossy(action);
    ApiId::Sts.model().operation(&action).ok_or_else(|| {
        let action: String = action.chars().take(ACTION_CHARS).collect();
        LambdaError::new(ErrorKind::UnknownOperation, ApiId::not_served(&action))
    })
}

/// Carries it out.
pub(super) fn dispatch(caller: &Caller, operation: &Operation) -> Result<Answer, LambdaError> {
    if operation.name() != "GetCallerIdentity" {
        return Err(not_yet(operation.name()));
    }
    let (account, arn) = (&caller.account, caller.arn());
    let user = match &caller.function {
        None => account.to_string(),
        Some(function) => format!("{ROLE_ID}:{function}"),
    };
    Ok(Answer::Xml(format!(
        "<GetCallerIdentityResponse xmlns=\"{STS_NAMESPACE}\">\n  <GetCallerIdentityResult>\n    \
         <Arn>{arn}</Arn>\n    <UserId>{user}</UserId>\n    <Account>{account}</Account>\n  \
         </GetCallerIdentityResult>\n</GetCallerIdentityResponse>\n"
    )))
}
