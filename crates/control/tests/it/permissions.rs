//! Function policies: kept, shown, and what they let others do.

use http::Method;
use pilotlight_model::function_policy::Policy;
use pilotlight_model::names::Target;
use pilotlight_model::node::{Caller, Directory};
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, Reply, caller, inline};

const FRIEND: &str = "111122223333";

fn friend() -> Caller {
    Caller {
        account: FRIEND.parse().unwrap(),
        ..caller()
    }
}

/// A platform whose function `f` has version 1, and the alias `live` for it.
async fn published() -> Platform {
    let platform = Platform::open().await;
    platform.active("f").await;
    let versions = format!("{FUNCTIONS}/f/versions");
    platform.call(Method::POST, &versions, Value::Null).await;
    let alias = json!({ "Name": "live", "FunctionVersion": "1" });
    let aliases = format!("{FUNCTIONS}/f/aliases");
    platform.call(Method::POST, &aliases, alias).await;
    platform
}

/// Adds a permission to `f`, with a qualifier behind the name where there is one: `f?Qualifier=live`.
async fn add(platform: &Platform, name: &str, change: Value) -> Reply {
    let mut body = json!({
        "StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
    });
    for (member, value) in change.as_object().unwrap() {
        body[member] = value.clone();
    }
    let (name, query) = name.split_once('?').unwrap_or((name, ""));
    let path = format!("{FUNCTIONS}/{name}/policy?{query}");
    platform.call(Method::POST, &path, body).await
}

async fn remove(platform: &Platform, name: &str, sid: &str) -> Reply {
    let (name, query) = name.split_once('?').unwrap_or((name, ""));
    let path = format!("{FUNCTIONS}/{name}/policy/{sid}?{query}");
    platform.delete(&path).await
}

async fn policy(platform: &Platform, name: &str) -> Reply {
    let (name, query) = name.split_once('?').unwrap_or((name, ""));
    platform
        .get(&format!("{FUNCTIONS}/{name}/policy?{query}"))
        .await
}

/// The ids of the statements that `f` shows.
async fn sids(platform: &Platform, name: &str) -> Vec<String> {
    let shown = policy(platform, name).await;
    assert_eq!(shown.status, 200, "{}", shown.body);
    let document: Value = serde_json::from_str(shown.body["Policy"].as_str().unwrap()).unwrap();
    assert_eq!(
        (&document["Version"], &document["Id"]),
        (&json!("2012-10-17"), &json!("default"))
    );
    let statements = document["Statement"].as_array().unwrap();
    statements
        .iter()
        .map(|it| it["Sid"].as_str().unwrap().to_owned())
        .collect()
}

fn words(reply: &Reply) -> (u16, &str, &str) {
    let message = reply.body["message"]
        .as_str()
        .or(reply.body["Message"].as_str());
    (reply.status, &reply.kind, message.unwrap_or_default())
}

/// What the gateway sees of the policy.
fn seen(platform: &Platform, name: &str) -> usize {
    let target = Target::resolve(&caller(), name, None).unwrap();
    let policy: std::sync::Arc<Policy> = platform.control.policy(&target);
    policy.statements.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_statement_says_what_was_given() {
    let platform = published().await;
    let added = add(
        &platform,
        "f",
        json!({ "SourceArn": "arn:aws:s3:::bucket" }),
    )
    .await;
    assert_eq!(added.status, 201, "{}", added.body);
    let statement = |reply: &Reply| -> Value {
        serde_json::from_str(reply.body["Statement"].as_str().unwrap()).unwrap()
    };
    assert_eq!(
        statement(&added),
        json!({
            "Sid": "s3", "Effect": "Allow", "Principal": { "Service": "s3.amazonaws.com" },
            "Action": "lambda:InvokeFunction", "Resource": format!("{ARN}f"),
            "Condition": { "ArnLike": { "AWS:SourceArn": "arn:aws:s3:::bucket" } },
        })
    );
    for (sid, given, principal, condition) in [
        (
            "everyone",
            json!({ "Principal": "*", "SourceAccount": FRIEND }),
            json!("*"),
            json!({ "StringEquals": { "AWS:SourceAccount": FRIEND } }),
        ),
        (
            "account",
            json!({ "Principal": FRIEND }),
            json!({ "AWS": format!("arn:aws:iam::{FRIEND}:root") }),
            Value::Null,
        ),
        (
            "user",
            json!({ "Principal": format!("arn:aws:iam::{FRIEND}:user/u") }),
            json!({ "AWS": format!("arn:aws:iam::{FRIEND}:user/u") }),
            Value::Null,
        ),
        (
            "skill",
            json!({ "Principal": "*", "EventSourceToken": "amzn1.ask.skill.x" }),
            json!("*"),
            json!({ "StringEquals": { "lambda:EventSourceToken": "amzn1.ask.skill.x" } }),
        ),
        (
            "url",
            json!({
               "Principal": "*", "Action": "lambda:InvokeFunctionUrl", "SourceAccount": FRIEND,
               "SourceArn": "arn:aws:s3:::b", "PrincipalOrgID": "o-1234567890", "FunctionUrlAuthType": "NONE",
            }),
            json!("*"),
            json!({
               "StringEquals": {
                   "lambda:FunctionUrlAuthType": "NONE", "aws:PrincipalOrgID": "o-1234567890",
                   "AWS:SourceAccount": FRIEND,
               },
               "ArnLike": { "AWS:SourceArn": "arn:aws:s3:::b" },
            }),
        ),
        (
            "via",
            json!({ "Principal": "*", "InvokedViaFunctionUrl": true }),
            json!("*"),
            json!({ "Bool": { "lambda:InvokedViaFunctionUrl": "true" } }),
        ),
    ] {
        let mut given = given;
        given["StatementId"] = json!(sid);
        let statement = statement(&add(&platform, "f", given).await);
        assert_eq!(statement["Principal"], principal, "{sid}");
        assert_eq!(
            statement.get("Condition").unwrap_or(&Value::Null),
            &condition,
            "{sid}"
        );
    }
    let all = ["s3", "everyone", "account", "user", "skill", "url", "via"];
    assert_eq!(sids(&platform, "f").await, all);
    assert_eq!(seen(&platform, "f"), all.len());
    let platform = platform.killed().await;
    assert_eq!(sids(&platform, "f").await, all);
    assert_eq!(seen(&platform, "f"), all.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_that_of_its_qualifier_and_goes_with_it() {
    let platform = published().await;
    for name in ["f", "f?Qualifier=live", "f:1"] {
        assert_eq!(add(&platform, name, json!({})).await.status, 201, "{name}");
    }
    assert_eq!(
        add(
            &platform,
            "f?Qualifier=live",
            json!({ "StatementId": "two" })
        )
        .await
        .status,
        201
    );
    assert_eq!(sids(&platform, "f").await, ["s3"]);
    assert_eq!(sids(&platform, "f:live").await, ["s3", "two"]);
    assert_eq!(sids(&platform, "f?Qualifier=1").await, ["s3"]);
    assert_eq!(remove(&platform, "f:live", "s3").await.status, 204);
    assert_eq!((seen(&platform, "f"), seen(&platform, "f:live")), (1, 1));

    let alias = format!("{FUNCTIONS}/f/aliases/live");
    platform.delete(&alias).await;
    let again = json!({ "Name": "live", "FunctionVersion": "1" });
    platform
        .call(Method::POST, &format!("{FUNCTIONS}/f/aliases"), again)
        .await;
    assert_eq!(policy(&platform, "f:live").await.status, 404);
    platform.delete(&alias).await;
    platform.delete(&format!("{FUNCTIONS}/f?Qualifier=1")).await;
    assert_eq!(
        (
            seen(&platform, "f"),
            seen(&platform, "f:1"),
            seen(&platform, "f:live")
        ),
        (1, 0, 0)
    );
    platform.delete(&format!("{FUNCTIONS}/f")).await;
    assert_eq!(seen(&platform, "f"), 0);
    platform.active("f").await;
    assert_eq!(policy(&platform, "f").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_shares_the_revision_of_what_it_is_for() {
    let platform = published().await;
    let revision = async || platform.configuration("f").await["RevisionId"].clone();
    let before = revision().await;
    let wrong = "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to \
                 retrieve the latest Revision Id";
    let stale = add(&platform, "f", json!({ "RevisionId": "wrong" })).await;
    assert_eq!(words(&stale), (412, "PreconditionFailedException", wrong));
    assert_eq!(
        add(&platform, "f", json!({ "RevisionId": before }))
            .await
            .status,
        201
    );
    let after = revision().await;
    assert_ne!(after, before);
    assert_eq!(policy(&platform, "f").await.body["RevisionId"], after);
    let stale = remove(&platform, "f?RevisionId=wrong", "s3").await;
    assert_eq!(words(&stale), (412, "PreconditionFailedException", wrong));
    let query = format!("f?RevisionId={}", after.as_str().unwrap());
    assert_eq!(remove(&platform, &query, "s3").await.status, 204);
    assert_ne!(revision().await, after);

    let alias = format!("{FUNCTIONS}/f/aliases/live");
    let before = platform.get(&alias).await.body["RevisionId"].clone();
    let known = json!({ "RevisionId": before });
    assert_eq!(add(&platform, "f:live", known).await.status, 201);
    let after = platform.get(&alias).await.body["RevisionId"].clone();
    assert_ne!(after, before);
    assert_eq!(policy(&platform, "f:live").await.body["RevisionId"], after);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_policy_cannot_be_is_refused_as_on_aws() {
    let platform = published().await;
    let invalid = "InvalidParameterValueException";
    let missing = "ResourceNotFoundException";
    let named = |words: &str, name: &str| format!("{words}: {ARN}{name}");
    for (name, given, status, kind, message) in [
        ("f", json!({ "StatementId": "example.com" }), 400, "ValidationException",
         "1 validation error detected: Value 'example.com' at 'statementId' failed to satisfy constraint: \
          Member must satisfy regular expression pattern: ([a-zA-Z0-9-_]+)".to_owned()),
        ("f:no?Qualifier=42", json!({}), 400, invalid,
         "The derived qualifier from the function name does not match the specified qualifier.".to_owned()),
        ("f:$LATEST?Qualifier=$LATEST", json!({}), 400, invalid,
         "We currently do not support adding policies for $LATEST.".to_owned()),
        ("f", json!({ "Principal": "invalid.nonaws.com" }), 400, invalid,
         "The provided principal was invalid. Please check the principal and try again.".to_owned()),
        ("f", json!({ "FunctionUrlAuthType": "NONE" }), 400, invalid,
         "FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action".to_owned()),
        ("nope", json!({}), 404, missing, named("Function not found", "nope")),
        ("f:no", json!({}), 404, missing, named("Cannot find alias arn", "f:no")),
        ("f?Qualifier=42", json!({}), 404, missing, named("Function not found", "f:42")),
        ("f?Qualifier=with-$", json!({}), 404, missing, named("Function not found", "f:with-$")),
    ] {
        let refused = add(&platform, name, given).await;
        assert_eq!(words(&refused), (status, kind, message.as_str()));
    }
    let none = remove(&platform, "f", "s3").await;
    let no_policy = "No policy is associated with the given resource.";
    assert_eq!(words(&none), (404, missing, no_policy));
    add(&platform, "f", json!({})).await;
    let twice = add(&platform, "f", json!({})).await;
    assert_eq!(
        words(&twice),
        (
            409,
            "ResourceConflictException",
            "The statement id (s3) provided already exists. Please provide a new statement id, or remove the \
          existing statement."
        )
    );
    for (name, sid, message) in [
        ("nope", "s3", named("No policy found for", "nope")),
        ("f:no", "s3", named("Cannot find alias arn", "f:no")),
        (
            "f",
            "no",
            "Statement no is not found in resource policy.".to_owned(),
        ),
    ] {
        let refused = remove(&platform, name, sid).await;
        assert_eq!(words(&refused), (404, missing, message.as_str()));
    }
    for (name, message) in [
        ("nope", named("Function not found", "nope")),
        (
            "f:77",
            "The resource you requested does not exist.".to_owned(),
        ),
    ] {
        assert_eq!(
            words(&policy(&platform, name).await),
            (404, missing, message.as_str())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_is_at_most_20_kilobytes() {
    let platform = published().await;
    let mut added = 0;
    let refused = loop {
        let sid = format!("{added:-<100}");
        let reply = add(&platform, "f", json!({ "StatementId": sid })).await;
        match reply.status {
            201 => added += 1,
            _ => break reply,
        }
    };
    let (status, kind, message) = words(&refused);
    assert_eq!((status, kind), (400, "PolicyLengthExceededException"));
    assert!(
        message.ends_with(") is bigger than the limit (20480)."),
        "{message}"
    );
    assert!(
        sids(&platform, "f").await.len() == added && added > 50,
        "{added}"
    );
    assert_eq!(seen(&platform, "f"), added);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_lets_another_account_in_as_far_as_it_says() {
    let platform = published().await;
    let arn = format!("{ARN}f");
    let as_friend =
        async |method, path: &str, body| platform.call_as(friend(), method, path, body).await;
    let configuration = format!("{FUNCTIONS}/{arn}/configuration");
    let refused = as_friend(Method::GET, &configuration, Value::Null).await;
    let message = format!(
        "User: arn:aws:iam::{FRIEND}:root is not authorized to perform: lambda:GetFunctionConfiguration on \
         resource: {arn} because no resource-based policy allows the lambda:GetFunctionConfiguration action"
    );
    assert_eq!(
        words(&refused),
        (403, "AccessDeniedException", message.as_str())
    );
    // The same about one that is not there: who may not, learns nothing.
    let nothing = format!("{FUNCTIONS}/{ARN}nope/configuration");
    let nothing = as_friend(Method::GET, &nothing, Value::Null).await;
    assert_eq!(
        words(&nothing).2,
        message.replace(&arn, &format!("{ARN}nope"))
    );

    let grant = json!({ "Action": "lambda:*", "Principal": FRIEND });
    assert_eq!(add(&platform, "f", grant).await.status, 201);
    let seen = as_friend(Method::GET, &configuration, Value::Null).await;
    assert_eq!((seen.status, &seen.body["FunctionArn"]), (200, &json!(arn)));
    // An alias has a policy of its own.
    let alias = format!("{FUNCTIONS}/{arn}:live/configuration");
    assert_eq!(
        as_friend(Method::GET, &alias, Value::Null).await.status,
        403
    );
    let code = json!({ "ZipFile": inline("by a friend") });
    let changed = as_friend(Method::PUT, &format!("{FUNCTIONS}/{arn}/code"), code).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    platform.settled("f").await;
    assert_ne!(
        platform.configuration("f").await["CodeSha256"],
        seen.body["CodeSha256"]
    );
    // Everything that a policy can grant, and no more.
    let timeout = json!({ "Timeout": 9 });
    let refused = as_friend(Method::PUT, &configuration, timeout).await;
    assert_eq!(refused.kind, "AccessDeniedException");
    let permission = json!({ "StatementId": "x", "Action": "lambda:*", "Principal": "*" });
    let policy_path = format!("{FUNCTIONS}/{arn}/policy");
    assert_eq!(
        as_friend(Method::POST, &policy_path, permission).await.kind,
        "AccessDeniedException"
    );
    // Elsewhere nothing changes.
    let own = platform
        .call_as(friend(), Method::GET, FUNCTIONS, Value::Null)
        .await;
    assert_eq!(own.body["Functions"], json!([]));
    let bare = as_friend(
        Method::GET,
        &format!("{FUNCTIONS}/f/configuration"),
        Value::Null,
    )
    .await;
    assert_eq!(bare.status, 404);
    remove(&platform, "f", "s3").await;
    assert_eq!(
        as_friend(Method::GET, &configuration, Value::Null)
            .await
            .status,
        403
    );
}
