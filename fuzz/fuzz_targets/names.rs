//! Names of functions in every form: what reads is written so that it reads as the same, and nobody gets at
//! another account's function by the way it is written.
#![no_main]

use arbitrary::Arbitrary;
use http::Method;
use libfuzzer_sys::fuzz_target;
use pilotlight_model::function_policy::{INVOKE_FUNCTION, Policy, Principal, authorize};
use pilotlight_model::names::{FunctionRef, Qualifier, Target};
use pilotlight_model::node::Caller;
use pilotlight_model::service::lambda;
use pilotlight_model::{AccountId, Region};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    /// Put in front of the name, so that ARNs are come by.
    prefix: u8,
    name: &'a str,
    qualifier: Option<&'a str>,
}

const PREFIXES: [&str; 5] = [
    "",
    "function:",
    "123456789012:function:",
    "arn:aws:lambda:us-east-1:123456789012:function:",
    "arn:aws:lambda:us-east-1:111122223333:function:",
];

fuzz_target!(|input: Input<'_>| {
    let caller = Caller {
        account: AccountId::default(),
        region: Region::default(), function: None,
    };
    let name = format!("{}{}", PREFIXES[usize::from(input.prefix) % PREFIXES.len()], input.name);
    if let Ok(reference) = name.parse::<FunctionRef>() {
        assert_eq!(reference.to_string().parse(), Ok(reference));
    }
    if let Some(Ok(qualifier)) = input.qualifier.map(str::parse::<Qualifier>) {
        assert_eq!(Some(qualifier.to_string().as_str()), input.qualifier);
    }
    let _ = Principal::read(&name);
    if let Ok(target) = Target::read(&caller, &name, input.qualifier) {
        // A qualifier apart from the name is the service model's to judge; what it lets through is written
        // so that it reads as the same.
        let judged = target.qualifier.as_deref().is_none_or(|it| it.parse::<Qualifier>().is_ok());
        if judged {
            assert_eq!(Target::read(&caller, &target.arn(), None).as_ref(), Ok(&target));
        }
        let own = target.account == caller.account;
        let none = |_: &Target| Policy::none();
        let authorized = authorize(&caller, &name, input.qualifier, INVOKE_FUNCTION, none);
        assert_eq!(authorized.is_ok(), own);
        assert_eq!(Target::resolve(&caller, &name, input.qualifier).is_ok(), own);
    }
    let encoded: String = name.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let path = format!("/2015-03-31/functions/{encoded}/configuration");
    if let Some((operation, params)) = lambda().route(&Method::GET, &path) {
        assert_eq!(operation.name(), "GetFunctionConfiguration");
        assert_eq!(params["FunctionName"], name);
    } else {
        assert!(name.is_empty());
    }
});
