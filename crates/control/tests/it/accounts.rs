//! Accounts are apart in every operation: whatever another account asks, it changes nothing, and the
//! answers are those that it would get if there were nothing to see.

use std::collections::BTreeMap;

use http::Method;
use pilotlight_model::node::Caller;
use pilotlight_model::service::{Location, Member, Operation, Shape, Type, lambda};
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, caller, inline, until};

/// The model's file: where each operation has its path.
const MODEL: &str = include_str!("../../../model/src/service/lambda.json");

fn stranger() -> Caller {
    Caller {
        account: "999999999999".parse().unwrap(),
        ..caller()
    }
}

/// What requests name of another account.
struct Names<'a> {
    function: &'a str,
    code_signing: &'a str,
}

/// Everything that an account can have; answers the ARN of its code signing configuration.
async fn furnish(platform: &Platform) -> String {
    let created = platform
        .create_with("f", |body| {
            body["Environment"] = json!({ "Variables": { "SECRET": "s3cr3t" } });
            body["Tags"] = json!({ "team": "ours" });
            body["Publish"] = json!(true);
        })
        .await;
    assert_eq!(created.status, 201, "{}", created.body);
    platform.settled("f").await;
    until(|| async {
        let version = platform
            .get(&format!("{FUNCTIONS}/f:1/configuration"))
            .await;
        (version.body["State"] == "Active").then_some(())
    })
    .await;
    let permission = json!({
        "StatementId": "s3", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
    });
    for (path, body) in [
        ("aliases", json!({ "Name": "live", "FunctionVersion": "1" })),
        ("policy", permission.clone()),
        ("policy?Qualifier=live", permission),
    ] {
        let path = format!("{FUNCTIONS}/f/{path}");
        let made = platform.call(Method::POST, &path, body).await;
        assert_eq!(made.status, 201, "{path}: {}", made.body);
    }
    for (method, path, body) in [
        (
            Method::POST,
            "/2018-10-31/layers/l/versions",
            json!({ "Content": { "ZipFile": inline("layer") } }),
        ),
        (
            Method::POST,
            "/2021-10-31/functions/f/url",
            json!({ "AuthType": "AWS_IAM" }),
        ),
        (
            Method::PUT,
            "/2019-09-25/functions/f/event-invoke-config",
            json!({ "MaximumRetryAttempts": 1 }),
        ),
    ] {
        let made = platform.call(method, path, body).await;
        assert!(matches!(made.status, 200 | 201), "{path}: {}", made.body);
    }
    let signing = json!({ "AllowedPublishers": { "SigningProfileVersionArns": [
        "arn:aws:signer:us-east-1:123456789012:/signing-profiles/p/abcdef1234",
    ] } });
    let made = platform
        .call(Method::POST, "/2020-04-22/code-signing-configs", signing)
        .await;
    let arn = made.body["CodeSigningConfig"]["CodeSigningConfigArn"].clone();
    let path = "/2020-06-30/functions/f/code-signing-config";
    let given = json!({ "CodeSigningConfigArn": arn });
    assert_eq!(platform.call(Method::PUT, path, given).await.status, 200);
    let reserved = json!({ "ReservedConcurrentExecutions": 5 });
    let path = "/2017-10-31/functions/f/concurrency";
    assert_eq!(platform.call(Method::PUT, path, reserved).await.status, 200);
    arn.as_str().unwrap().to_owned()
}

/// All of it, as its owner sees it.
async fn seen(platform: &Platform) -> Vec<Value> {
    let mut all = Vec::new();
    for path in [
        "/2015-03-31/functions?FunctionVersion=ALL",
        "/2015-03-31/functions/f/configuration",
        "/2015-03-31/functions/f/versions",
        "/2015-03-31/functions/f/aliases",
        "/2015-03-31/functions/f/policy",
        "/2015-03-31/functions/f/policy?Qualifier=live",
        "/2019-09-30/functions/f/concurrency",
        "/2024-08-31/functions/f/recursion-config",
        "/2021-07-20/functions/f/runtime-management-config",
        &format!("/2017-03-31/tags/{ARN}f"),
        "/2016-08-19/account-settings",
        "/2018-10-31/layers",
        "/2018-10-31/layers/l/versions/1",
        "/2021-10-31/functions/f/url",
        "/2019-09-25/functions/f/event-invoke-config/list",
        "/2020-04-22/code-signing-configs",
        "/2020-06-30/functions/f/code-signing-config",
    ] {
        let reply = platform.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.body);
        all.push(reply.body);
    }
    all
}

/// A value that the shape accepts. What names something names what the other account has.
fn value(name: &str, shape: &Shape, names: &Names<'_>) -> Value {
    if !shape.values.is_empty() {
        return json!(shape.values[0]);
    }
    match &shape.kind {
        Type::Structure { members, .. } => {
            let required = members.iter().filter(|member| member.required);
            let fields = required.map(|it| (it.name.clone(), value(&it.name, &it.shape, names)));
            Value::Object(fields.collect())
        }
        Type::List(element) => json!([value(name, element, names)]),
        Type::Map(key, element) => {
            let key = value(name, key, names).as_str().unwrap().to_owned();
            json!({ key: value(name, element, names) })
        }
        Type::Integer | Type::Long => json!(shape.min.unwrap_or(1.0) as i64),
        Type::Double => json!(0.5),
        Type::Boolean => json!(true),
        Type::Blob => json!(inline("theirs")),
        Type::Timestamp => json!(1_767_323_045),
        Type::String => json!(text(name, shape, names)),
    }
}

fn text(name: &str, shape: &Shape, names: &Names<'_>) -> String {
    let arn = format!("{ARN}f");
    let known = match name {
        "FunctionName" => names.function,
        "Resource" | "FunctionArn" => &arn,
        "LayerName" => "arn:aws:lambda:us-east-1:123456789012:layer:l",
        "Name" => "live",
        "StatementId" => "s3",
        "Principal" => "999999999999",
        "Action" => "lambda:*",
        "Role" => "arn:aws:iam::999999999999:role/r",
        "Runtime" => "python3.11",
        "TagKeys" => "team",
        _ => "1",
    };
    let others = [
        known,
        "1",
        "abcdefgh-ijkl",
        "csc-12345678901234567",
        "arn:aws:lambda:us-east-1:123456789012:layer:l:1",
        names.code_signing,
        "arn:aws:lambda:us-east-1::runtime:0000000000000000000000000000000000000000000000000000000000000000",
    ];
    let fits = |text: &&&str| shape.pattern.as_ref().is_none_or(|it| it.matches(text));
    (*others.iter().find(fits).unwrap_or(&known)).to_owned()
}

/// The request for an operation: path with query, and body.
fn request(operation: &Operation, uri: &str, names: &Names<'_>) -> (String, Value) {
    let (mut path, mut query, mut body) = (uri.to_owned(), Vec::new(), BTreeMap::new());
    let members: &[Member] = match operation.input().map(|input| &input.kind) {
        Some(Type::Structure { members, .. }) => members,
        _ => &[],
    };
    // Members that must not be there together with others, or that would keep it from happening.
    let left_out = [
        "RevisionId",
        "DryRun",
        "Marker",
        "ImageUri",
        "Qualifier",
        "CodeSha256",
    ];
    for member in members
        .iter()
        .filter(|it| it.required || !left_out.contains(&it.name.as_str()))
    {
        let value = value(&member.name, &member.shape, names);
        let plain = value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned);
        let encoded = percent_encoded(&plain);
        match member.location {
            Location::Uri => {
                for label in [
                    format!("{{{}}}", member.location_name),
                    format!("{{{}+}}", member.location_name),
                ] {
                    path = path.replace(&label, &encoded);
                }
            }
            Location::Query => {
                let value = value.as_array().map_or(encoded, |values| {
                    percent_encoded(values[0].as_str().unwrap_or_default())
                });
                query.push(format!("{}={value}", member.location_name));
            }
            Location::Body if member.required => {
                body.insert(member.location_name.clone(), value);
            }
            Location::Body | Location::Header | Location::Status => {}
        }
    }
    if !query.is_empty() {
        let separator = if path.contains('?') { '&' } else { '?' };
        path = format!("{path}{separator}{}", query.join("&"));
    }
    (path, json!(body))
}

fn percent_encoded(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
    let encode = |byte| match plain(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// What a stranger is answered to every operation, by operation and name.
async fn asked_by_a_stranger(
    platform: &Platform,
    code_signing: &str,
) -> BTreeMap<String, (u16, Value)> {
    let model: Value = serde_json::from_str(MODEL).unwrap();
    let mut answers = BTreeMap::new();
    let forms = [
        "f".to_owned(),
        "123456789012:function:f".to_owned(),
        format!("{ARN}f"),
        format!("{ARN}f:live"),
        format!("{ARN}f:1"),
    ];
    for operation in lambda().operations() {
        let uri = model["operations"][operation.name()]["uri"]
            .as_str()
            .unwrap();
        for function in &forms {
            // Under a name of its own an account may make what it likes, and what has none anyway.
            let own = match operation.name() {
                "CreateFunction" | "PublishLayerVersion" => function == "f",
                name => name == "CreateCodeSigningConfig",
            };
            if own {
                continue;
            }
            let names = Names {
                function,
                code_signing,
            };
            let (path, body) = request(operation, uri, &names);
            let body = match *operation.method() {
                Method::GET | Method::DELETE => Value::Null,
                _ => body,
            };
            let reply = platform
                .call_as(stranger(), operation.method().clone(), &path, body)
                .await;
            let key = format!("{} {function}", operation.name());
            answers.insert(key, (reply.status, reply.body));
        }
    }
    answers
}

#[tokio::test(flavor = "multi_thread")]
async fn no_operation_sees_changes_or_tells_what_another_account_has() {
    let (full, empty) = (Platform::open().await, Platform::open().await);
    let code_signing = furnish(&full).await;
    let before = seen(&full).await;
    let (told, expected) = (
        asked_by_a_stranger(&full, &code_signing).await,
        asked_by_a_stranger(&empty, &code_signing).await,
    );
    assert_eq!(told.len(), expected.len());
    for (asked, answer) in &told {
        assert_eq!(answer, &expected[asked], "{asked}");
        let text = answer.1.to_string();
        for secret in ["s3cr3t", "ours", "app.handler"] {
            assert!(!text.contains(secret), "{asked}: {text}");
        }
    }
    assert_eq!(seen(&full).await, before);

    // The requests are ones that mean something: they get through to their operations.
    let of = |asked: &str| &told[&format!("{asked} {ARN}f")];
    for operation in [
        "GetFunction",
        "UpdateFunctionCode",
        "DeleteFunction",
        "CreateAlias",
        "AddPermission",
        "PutFunctionConcurrency",
        "PutRuntimeManagementConfig",
        "TagResource",
    ] {
        let (status, body) = of(operation);
        assert_eq!(*status, 403, "{operation}: {body}");
        let message = body["Message"].as_str().unwrap();
        let words = format!("is not authorized to perform: lambda:{operation} on resource: {ARN}f");
        assert!(message.contains(&words), "{operation}: {message}");
    }
    let judged = told.values().filter(|(status, _)| *status == 403).count();
    assert!(judged > 100, "only {judged}");
}
