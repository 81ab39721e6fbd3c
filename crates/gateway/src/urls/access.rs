//! Who may call a function URL.
//! Source: "Control access to Lambda function URLs" in the AWS Lambda developer guide.

use pilotlight_model::function_policy::{Access, Context, INVOKE_FUNCTION_URL, Identity, Policy};
use pilotlight_model::names::Target;
use pilotlight_model::node::Caller;
use pilotlight_model::url::{AuthType, FunctionUrl};

/// The function or alias whose policy holds for a URL.
pub(super) fn target(url: &FunctionUrl) -> Target {
    Target {
        account: url.account.clone(),
        region: url.region.clone(),
        name: url.name.clone(),
        qualifier: url.alias.as_ref().map(ToString::to_string),
    }
}

/// Whether the policy lets someone call the URL who is not of the function's account: `caller`, or whoever comes.
pub(super) fn allowed(policy: &Policy, url: &FunctionUrl, caller: Option<&Caller>) -> bool {
    let resource = target(url).arn();
    policy.allows(&Access {
        identity: caller.map_or(Identity::Anonymous, |it| Identity::Account(&it.account)),
        action: INVOKE_FUNCTION_URL,
        resource: &resource,
        context: Context {
            function_url_auth_type: Some(match url.auth {
                AuthType::None => "NONE",
                AuthType::Iam => "AWS_IAM",
            }),
            invoked_via_function_url: Some(true),
            ..Context::default()
        },
    })
}
