//! Who may do what, and above all who may not.

use proptest::prelude::*;
use serde_json::Value;

use super::*;
use crate::ids::{AccountId, Region};

const FUNCTION: &str = "arn:aws:lambda:us-east-1:123456789012:function:f";
const FRIEND: &str = "111122223333";

fn statement(principal: &str, action: &str) -> Statement {
    Statement {
        sid: "s".to_owned(),
        effect: Effect::Allow,
        principal: Principal::read(principal).unwrap(),
        action: action.to_owned(),
        resource: FUNCTION.to_owned(),
        condition: Conditions::default(),
    }
}

fn allows(statement: &Statement, identity: Identity<'_>, action: &str, resource: &str) -> bool {
    under(statement, identity, action, resource, Context::default())
}

fn under(
    statement: &Statement,
    identity: Identity<'_>,
    action: &str,
    resource: &str,
    context: Context<'_>,
) -> bool {
    let policy = Policy {
        statements: vec![statement.clone()],
    };
    policy.allows(&Access {
        identity,
        action,
        resource,
        context,
    })
}

#[test]
fn nothing_is_allowed_by_default() {
    let friend: AccountId = FRIEND.parse().unwrap();
    let access = Access {
        identity: Identity::Account(&friend),
        action: INVOKE_FUNCTION,
        resource: FUNCTION,
        context: Context::default(),
    };
    assert!(!Policy::none().allows(&access));
    let caller = Caller {
        account: friend.clone(),
        region: Region::default(),
        function: None,
    };
    assert_eq!(
        access.denied(&caller).message,
        format!(
            "User: arn:aws:iam::{FRIEND}:root is not authorized to perform: lambda:InvokeFunction on \
             resource: {FUNCTION} because no resource-based policy allows the lambda:InvokeFunction action"
        )
    );
}

#[test]
fn a_principal_is_whom_it_names() {
    let (friend, other) = (FRIEND.parse().unwrap(), "444455556666".parse().unwrap());
    let (friend, other) = (Identity::Account(&friend), Identity::Account(&other));
    let s3 = Identity::Service("s3.amazonaws.com");
    let root = format!("arn:aws:iam::{FRIEND}:root");
    let user = format!("arn:aws:iam::{FRIEND}:user/somebody");
    for (principal, expected) in [
        ("*", [true, true, true, true]),
        (FRIEND, [true, false, false, false]),
        (&root, [true, false, false, false]),
        (&user, [false, false, false, false]),
        ("s3.amazonaws.com", [false, false, true, false]),
    ] {
        let statement = statement(principal, INVOKE_FUNCTION);
        let got = [friend, other, s3, Identity::Anonymous]
            .map(|identity| allows(&statement, identity, INVOKE_FUNCTION, FUNCTION));
        assert_eq!(got, expected, "{principal}");
    }
    for nobody in ["", "friend", "invalid.nonaws.com", "12345678901", "**"] {
        assert_eq!(Principal::read(nobody), None, "{nobody}");
    }
}

#[test]
fn an_action_is_that_one_or_all() {
    for (allowed, asked, expected) in [
        (INVOKE_FUNCTION, INVOKE_FUNCTION, true),
        ("lambda:invokefunction", INVOKE_FUNCTION, true),
        (INVOKE_FUNCTION, INVOKE_FUNCTION_URL, false),
        (INVOKE_FUNCTION, "lambda:GetFunction", false),
        ("lambda:*", "lambda:GetFunction", true),
        ("*", "lambda:GetFunction", true),
    ] {
        let statement = statement("*", allowed);
        let got = allows(&statement, Identity::Anonymous, asked, FUNCTION);
        assert_eq!(got, expected, "{allowed} {asked}");
    }
}

#[test]
fn a_policy_holds_for_its_own_qualifier() {
    let whole = statement("*", INVOKE_FUNCTION);
    let alias = Statement {
        resource: format!("{FUNCTION}:live"),
        ..whole.clone()
    };
    for (suffix, of_whole, of_alias) in [
        ("", true, false),
        (":$LATEST", true, false),
        (":live", false, true),
        (":1", false, false),
        ("2", false, false),
    ] {
        let asked = format!("{FUNCTION}{suffix}");
        let ask = |it| allows(it, Identity::Anonymous, INVOKE_FUNCTION, &asked);
        assert_eq!((ask(&whole), ask(&alias)), (of_whole, of_alias), "{suffix}");
    }
}

#[test]
fn every_condition_must_hold() {
    let mut statement = statement("*", INVOKE_FUNCTION_URL);
    statement.condition = Conditions {
        string_equals: [
            ("lambda:FunctionUrlAuthType".to_owned(), "NONE".to_owned()),
            ("AWS:SourceAccount".to_owned(), FRIEND.to_owned()),
        ]
        .into(),
        arn_like: [("AWS:SourceArn".to_owned(), "arn:aws:s3:::a*".to_owned())].into(),
        bool: [("lambda:InvokedViaFunctionUrl".to_owned(), "true".to_owned())].into(),
    };
    let all = Context {
        function_url_auth_type: Some("NONE"),
        source_account: Some(FRIEND),
        source_arn: Some("arn:aws:s3:::ab"),
        invoked_via_function_url: Some(true),
        ..Context::default()
    };
    let holds = |context| {
        let (who, action) = (Identity::Anonymous, INVOKE_FUNCTION_URL);
        under(&statement, who, action, FUNCTION, context)
    };
    assert!(holds(all));
    for lacking in [
        Context {
            function_url_auth_type: Some("AWS_IAM"),
            ..all
        },
        Context {
            function_url_auth_type: None,
            ..all
        },
        Context {
            source_account: Some("444455556666"),
            ..all
        },
        Context {
            source_account: None,
            ..all
        },
        Context {
            source_arn: Some("arn:aws:s3:::b"),
            ..all
        },
        Context {
            source_arn: None,
            ..all
        },
        Context {
            invoked_via_function_url: Some(false),
            ..all
        },
        Context {
            invoked_via_function_url: None,
            ..all
        },
    ] {
        assert!(!holds(lacking), "{lacking:?}");
    }
    statement
        .condition
        .string_equals
        .insert("aws:Unknown".to_owned(), "x".to_owned());
    assert!(!under(
        &statement,
        Identity::Anonymous,
        INVOKE_FUNCTION_URL,
        FUNCTION,
        all
    ));
}

#[test]
fn wildcards_of_an_arn_stay_within_their_part() {
    let mut statement = statement("s3.amazonaws.com", INVOKE_FUNCTION);
    for (pattern, arn, expected) in [
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket", true),
        ("arn:aws:s3:::bu*", "arn:aws:s3:::bucket/a:b", true),
        ("arn:aws:s3:::b?cket", "arn:aws:s3:::bucket", true),
        ("arn:*:s3:::bucket", "arn:aws:s3:::bucket", true),
        ("arn:*:bucket", "arn:aws:s3:::bucket", false),
        (
            "arn:aws:events:*:*:rule/*",
            "arn:aws:events:us-east-1:123456789012:rule/a/b",
            true,
        ),
        (
            "arn:aws:events:*:rule/*",
            "arn:aws:events:us-east-1:123456789012:rule/a",
            false,
        ),
    ] {
        statement.condition.arn_like = [("AWS:SourceArn".to_owned(), pattern.to_owned())].into();
        let context = Context {
            source_arn: Some(arn),
            ..Context::default()
        };
        let s3 = Identity::Service("s3.amazonaws.com");
        let got = under(&statement, s3, INVOKE_FUNCTION, FUNCTION, context);
        assert_eq!(got, expected, "{pattern} {arn}");
    }
}

#[test]
fn a_policy_is_written_as_aws_writes_it() {
    let mut first = statement("s3.amazonaws.com", INVOKE_FUNCTION);
    first.condition.arn_like = [("AWS:SourceArn".to_owned(), "arn:aws:s3:::b".to_owned())].into();
    let policy = Policy {
        statements: vec![
            first,
            statement("*", INVOKE_FUNCTION),
            statement(FRIEND, "lambda:*"),
        ],
    };
    let text = policy.document();
    assert_eq!(
        text,
        format!(
            "{{\"Version\":\"2012-10-17\",\"Id\":\"default\",\"Statement\":[{{\"Sid\":\"s\",\"Effect\":\
             \"Allow\",\"Principal\":{{\"Service\":\"s3.amazonaws.com\"}},\"Action\":\
             \"lambda:InvokeFunction\",\"Resource\":\"{FUNCTION}\",\"Condition\":{{\"ArnLike\":\
             {{\"AWS:SourceArn\":\"arn:aws:s3:::b\"}}}}}},{{\"Sid\":\"s\",\"Effect\":\"Allow\",\
             \"Principal\":\"*\",\"Action\":\"lambda:InvokeFunction\",\"Resource\":\"{FUNCTION}\"}},\
             {{\"Sid\":\"s\",\"Effect\":\"Allow\",\"Principal\":{{\"AWS\":\
             \"arn:aws:iam::{FRIEND}:root\"}},\"Action\":\"lambda:*\",\"Resource\":\"{FUNCTION}\"}}]}}"
        )
    );
    let document: Value = serde_json::from_str(&text).unwrap();
    let read: Vec<Statement> = serde_json::from_value(document["Statement"].clone()).unwrap();
    assert_eq!(read, policy.statements);
}

#[test]
fn one_s_own_functions_need_no_policy() {
    let caller = Caller {
        account: AccountId::default(),
        region: Default::default(),
        function: None,
    };
    let ask = |name: &str, policy: &dyn Fn() -> Arc<Policy>| {
        authorize(&caller, name, None, INVOKE_FUNCTION, |_| policy())
    };
    let own = ask("f", &|| unreachable!()).unwrap();
    assert_eq!(own.account, caller.account);
    let foreign = format!("{FRIEND}:function:f");
    assert_eq!(
        ask(&foreign, &Policy::none).unwrap_err().kind,
        ErrorKind::AccessDenied
    );
    let mut granted = statement(caller.account.as_str(), INVOKE_FUNCTION);
    granted.resource = format!("arn:aws:lambda:us-east-1:{FRIEND}:function:f");
    let policy = Arc::new(Policy {
        statements: vec![granted],
    });
    let target = ask(&foreign, &|| Arc::clone(&policy)).unwrap();
    assert_eq!(target.account.as_str(), FRIEND);
}

/// What `like` means, said in the plainest way.
fn like_by_definition(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|taken| like_by_definition(rest, &text[taken..])),
        Some((one, rest)) => text.split_first().is_some_and(|(first, text)| {
            (*one == '?' || one == first) && like_by_definition(rest, text)
        }),
    }
}

proptest! {
    #[test]
    fn likeness_is_as_defined(pattern in "[ab*?]{0,8}", text in "[ab]{0,10}") {
        let mut statement = statement("*", INVOKE_FUNCTION);
        statement.resource.clone_from(&pattern);
        let got = allows(&statement, Identity::Anonymous, INVOKE_FUNCTION, &text);
        let (pattern, text): (Vec<char>, Vec<char>) = (pattern.chars().collect(), text.chars().collect());
        prop_assert_eq!(got, like_by_definition(&pattern, &text));
    }

    /// Statements for others, however they are made, open nothing for a stranger.
    #[test]
    fn strangers_stay_outside(
        principal in "[0-9]{12}|[a-z0-9]{1,9}\\.amazonaws\\.com|arn:aws:iam::[0-9]{12}:(root|user/[a-z]{1,5})",
        action in "\\*|lambda:\\*|lambda:InvokeFunction",
    ) {
        let stranger: AccountId = "999999999999".parse().unwrap();
        prop_assume!(!principal.contains(stranger.as_str()));
        let statement = statement(&principal, &action);
        for identity in [Identity::Account(&stranger), Identity::Anonymous] {
            prop_assert!(!allows(&statement, identity, INVOKE_FUNCTION, FUNCTION));
        }
    }
}
