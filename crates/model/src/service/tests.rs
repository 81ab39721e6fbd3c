//! The model reads, routes and judges as AWS does. The expected texts are ones that the service has been
//! seen to answer.

use http::{HeaderMap, HeaderValue, Method, Uri};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::shape::{Shape, Type};
use super::*;
use crate::error::{ErrorKind, LambdaError};

fn walk(shape: &Shape, seen: &mut dyn FnMut(&Shape)) {
    seen(shape);
    match &shape.kind {
        Type::Structure { members, .. } => members.iter().for_each(|it| walk(&it.shape, seen)),
        Type::List(element) => walk(element, seen),
        Type::Map(key, value) => {
            walk(key, seen);
            walk(value, seen);
        }
        _ => {}
    }
}

fn parse(
    operation: &str,
    params: &[(&str, &str)],
    query: &str,
    body: Value,
) -> Result<Value, LambdaError> {
    let params = params
        .iter()
        .map(|(label, value)| ((*label).to_owned(), (*value).to_owned()))
        .collect();
    lambda().operation(operation).unwrap().parse(
        &params,
        query,
        &HeaderMap::new(),
        body.to_string().as_bytes(),
    )
}

fn create(change: impl FnOnce(&mut Value)) -> Result<Value, LambdaError> {
    let mut body = json!({
        "FunctionName": "f",
        "Role": "arn:aws:iam::123456789012:role/r",
        "Runtime": "python3.11",
        "Handler": "app.handler",
        "Code": { "ZipFile": "UEsF" },
    });
    change(&mut body);
    parse("CreateFunction", &[], "", body)
}

fn refused(result: Result<Value, LambdaError>) -> String {
    let error = result.unwrap_err();
    assert_eq!(error.kind, ErrorKind::Validation, "{error}");
    error.message
}

#[test]
fn every_operation_is_routed_to_itself() {
    let count = |api: ApiId| api.model().operations().len();
    assert_eq!(ApiId::ALL.map(count), [85, 12, 30, 1]);
    for operation in lambda().operations().iter().chain(scheduler().operations()) {
        let mut path = String::new();
        for segment in &operation.segments {
            path.push('/');
            path.push_str(match segment {
                Segment::Literal(text) => text,
                Segment::Label(_) => "arn%3Aaws%2Fx",
                Segment::Greedy(_) => "a/b",
            });
        }
        for slash in ["", "/"] {
            let query: Vec<String> = operation
                .query
                .iter()
                .map(|(name, value)| format!("{name}={value}"))
                .collect();
            let uri: Uri = format!("{path}{slash}?{}", query.join("&"))
                .parse()
                .unwrap();
            let (method, headers) = (&operation.method, HeaderMap::new());
            let api = ApiId::of(method, &uri, &headers);
            let (found, params) = api.operation(method, &uri, &headers).unwrap();
            assert!(std::ptr::eq(found, operation), "{uri}");
            assert!(
                params
                    .values()
                    .all(|value| value == "arn:aws/x" || value == "a/b")
            );
        }
    }
}

#[test]
fn operations_are_routed_by_their_target() {
    let meant = |target: &str| {
        let mut headers = HeaderMap::new();
        headers.insert("x-amz-target", HeaderValue::from_str(target).unwrap());
        let uri = Uri::from_static("/");
        let api = ApiId::of(&Method::POST, &uri, &headers);
        let operation = api.operation(&Method::POST, &uri, &headers);
        (api, operation.map(|(operation, _)| operation.name()))
    };
    for operation in logs().operations() {
        assert_eq!(
            meant(&format!("Logs_20140328.{}", operation.name())),
            (ApiId::Logs, Some(operation.name()))
        );
    }
    assert_eq!(meant("Logs_20140328.Nonsense"), (ApiId::Logs, None));
    for other in [
        "DynamoDB_20120810.PutItem",
        "CreateFunction",
        "Logs_20140328",
    ] {
        assert_eq!(meant(other), (ApiId::Lambda, None), "{other}");
    }
}

#[test]
fn unknown_paths_are_not_routed() {
    for path in [
        "",
        "/",
        "x",
        "/2015-03-31",
        "/2015-03-31/functions//code",
        "/2015-03-31/functions/f/x",
    ] {
        assert!(lambda().route(&Method::GET, path).is_none(), "{path}");
    }
    assert!(
        lambda()
            .route(&Method::PATCH, "/2015-03-31/functions/f")
            .is_none()
    );
    assert!(
        lambda()
            .route(&Method::GET, "/2015-03-31/functions/%FF")
            .is_none()
    );
}

#[test]
fn inputs_are_structures_and_every_pattern_compiles() {
    let mut patterns = 0;
    for operation in ApiId::ALL.iter().flat_map(|api| api.model().operations()) {
        for shape in [operation.input(), operation.output()]
            .into_iter()
            .flatten()
        {
            assert!(
                matches!(shape.kind, Type::Structure { .. }),
                "{}",
                operation.name()
            );
            walk(shape, &mut |shape| {
                if let Some(pattern) = &shape.pattern {
                    pattern
                        .compile()
                        .unwrap_or_else(|error| panic!("{}: {error}", pattern.as_str()));
                    patterns += 1;
                }
            });
        }
    }
    assert!(patterns > 300, "{patterns}");
}

#[test]
fn look_around_patterns_hold_what_java_holds() {
    let alias = |name: &str| {
        parse(
            "CreateAlias",
            &[("FunctionName", "f")],
            "",
            json!({"Name": name, "FunctionVersion": "1"}),
        )
    };
    assert!(alias("2024-01-02").is_ok());
    assert_eq!(
        refused(alias("2024")),
        "1 validation error detected: Value '2024' at 'name' failed to satisfy constraint: Member must \
         satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)"
    );
}

#[test]
fn texts_are_those_of_the_service() {
    assert!(create(|_| {}).is_ok());
    assert_eq!(
        refused(create(
            |body| body["FunctionName"] = json!("invalid:function:name")
        )),
        "1 validation error detected: Value 'invalid:function:name' at 'functionName' failed to satisfy \
         constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?\
         ([a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_]+)\
         (:(\\$LATEST|[a-zA-Z0-9-_]+))?"
    );
    assert_eq!(
        refused(create(|body| body["Role"] = json!("test-iam-role"))),
        "1 validation error detected: Value 'test-iam-role' at 'role' failed to satisfy constraint: \
         Member must satisfy regular expression pattern: \
         arn:(aws[a-zA-Z-]*)?:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+"
    );
    assert_eq!(
        refused(create(|body| body["Timeout"] = json!(901))),
        "1 validation error detected: Value '901' at 'timeout' failed to satisfy constraint: Member must \
         have value less than or equal to 900"
    );
    assert_eq!(
        refused(create(|body| body["MemorySize"] = json!(127))),
        "1 validation error detected: Value '127' at 'memorySize' failed to satisfy constraint: Member \
         must have value greater than or equal to 128"
    );
    assert_eq!(
        refused(create(
            |body| body["EphemeralStorage"] = json!({"Size": 511})
        )),
        "1 validation error detected: Value '511' at 'ephemeralStorage.size' failed to satisfy \
         constraint: Member must have value greater than or equal to 512"
    );
    assert_eq!(
        refused(create(|body| body["Architectures"] = json!(["vax"]))),
        "1 validation error detected: Value '[vax]' at 'architectures' failed to satisfy constraint: \
         Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member \
         must not be null]"
    );
    assert_eq!(
        refused(create(
            |body| body["Architectures"] = json!(["x86_64", "arm64"])
        )),
        "1 validation error detected: Value '[x86_64, arm64]' at 'architectures' failed to satisfy \
         constraint: Member must have length less than or equal to 1"
    );
    assert_eq!(
        refused(create(|body| body["SnapStart"] = json!({"ApplyOn": "x"}))),
        "1 validation error detected: Value 'x' at 'snapStart.applyOn' failed to satisfy constraint: \
         Member must satisfy enum value set: [PublishedVersions, None]"
    );
    let cors = json!({"AuthType": "NONE", "Cors": {"AllowMethods": ["GET", "POST", "OPTIONS"]}});
    assert_eq!(
        refused(parse(
            "CreateFunctionUrlConfig",
            &[("FunctionName", "f")],
            "",
            cors
        )),
        "1 validation error detected: Value '[GET, POST, OPTIONS]' at 'cors.allowMethods' failed to \
         satisfy constraint: Member must satisfy constraint: [Member must have length less than or equal \
         to 6, Member must have length greater than or equal to 0, Member must satisfy regular expression \
         pattern: .*, Member must not be null]"
    );
}

#[test]
fn missing_members_and_several_errors_are_named_together() {
    assert_eq!(
        refused(create(|body| {
            let body = body.as_object_mut().unwrap();
            body.remove("Role");
            body.insert("Timeout".to_owned(), json!(0));
        })),
        "2 validation errors detected: Value null at 'role' failed to satisfy constraint: Member must \
         not be null; Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater \
         than or equal to 1"
    );
}

#[test]
fn sensitive_values_are_not_repeated() {
    assert_eq!(
        refused(create(
            |body| body["Environment"] = json!({"Variables": {"A-B": "hush"}})
        )),
        "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map \
         keys must satisfy constraint: [Member must satisfy regular expression pattern: \
         [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]"
    );
}

#[test]
fn wrong_json_types_are_serialization_errors() {
    for (change, message) in [
        (
            json!({"FunctionName": 1}),
            "NUMBER_VALUE can not be converted to a String",
        ),
        (
            json!({"Publish": "yes"}),
            "STRING_VALUE can not be converted to a Boolean",
        ),
        (
            json!({"Timeout": "3"}),
            "STRING_VALUE can not be converted to an Integer",
        ),
        (
            json!({"Timeout": 1e10}),
            "NUMBER_VALUE can not be converted to an Integer",
        ),
        (json!({"Layers": "x"}), "Expected list or null"),
        (
            json!({"Handler": {}}),
            "Start of structure or map found where not expected.",
        ),
        (
            json!({"Environment": {"Variables": {"AB": 1}}}),
            "NUMBER_VALUE can not be converted to a String",
        ),
    ] {
        let error = create(|body| {
            body.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
        })
        .unwrap_err();
        assert_eq!(
            (error.kind, error.message.as_str()),
            (ErrorKind::Serialization, message)
        );
    }
    for body in ["[]", "{", "nope"] {
        let operation = lambda().operation("CreateFunction").unwrap();
        let error = operation
            .parse(&UriParams::new(), "", &HeaderMap::new(), body.as_bytes())
            .unwrap_err();
        assert_eq!(error.kind, ErrorKind::Serialization, "{body}");
    }
}

#[test]
fn unknown_and_null_members_are_dropped() {
    let input = create(|body| {
        body["Nonsense"] = json!({"a": 1});
        body["Description"] = Value::Null;
        body["Code"]["Extra"] = json!(1);
    })
    .unwrap();
    assert!(input.get("Nonsense").is_none() && input.get("Description").is_none());
    assert_eq!(input["Code"], json!({"ZipFile": "UEsF"}));
}

#[test]
fn members_come_from_everywhere() {
    let input = parse(
        "UntagResource",
        &[(
            "Resource",
            "arn:aws:lambda:us-east-1:123456789012:function:f",
        )],
        "tagKeys=a%20b&tagKeys=c",
        json!({}),
    )
    .unwrap();
    assert_eq!(input["TagKeys"], json!(["a b", "c"]));
    let mut headers = HeaderMap::new();
    headers.insert("x-amz-invocation-type", HeaderValue::from_static("Event"));
    let invoke = lambda().operation("Invoke").unwrap();
    let params = UriParams::from([("FunctionName".to_owned(), "f".to_owned())]);
    let input = invoke
        .parse(&params, "Qualifier=live", &headers, b"not json")
        .unwrap();
    assert_eq!(
        input,
        json!({"FunctionName": "f", "InvocationType": "Event", "Payload": "bm90IGpzb24=", "Qualifier": "live"})
    );
    headers.insert("x-amz-invocation-type", HeaderValue::from_static("Later"));
    assert_eq!(
        refused(invoke.parse(&params, "", &headers, b"")),
        "1 validation error detected: Value 'Later' at 'invocationType' failed to satisfy constraint: \
         Member must satisfy enum value set: [Event, RequestResponse, DryRun]"
    );
    assert_eq!(
        refused(parse("ListFunctions", &[], "MaxItems=0", json!({}))),
        "1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must \
         have value greater than or equal to 1"
    );
    let error = parse("ListFunctions", &[], "MaxItems=many", json!({})).unwrap_err();
    assert_eq!(error.kind, ErrorKind::Serialization);
}

proptest! {
    #[test]
    fn garbage_is_survived(path in "/[0-9a-z:%/{}?&=+-]{0,60}", query in ".{0,40}", body in ".{0,80}") {
        for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE] {
            if let Some((operation, params)) = lambda().route(&method, &path) {
                let _ = operation.parse(&params, &query, &HeaderMap::new(), body.as_bytes());
            }
        }
        for operation in ApiId::ALL.iter().flat_map(|api| api.model().operations()) {
            let _ = operation.parse(&UriParams::new(), &query, &HeaderMap::new(), body.as_bytes());
        }
    }
}

#[test]
fn the_path_of_an_operation_leads_to_it() {
    for api in ApiId::ALL {
        for operation in api.model().operations() {
            if api.protocol() == Protocol::RestJson {
                let path = operation.path("label");
                let (found, params) = api.model().route(operation.method(), &path).unwrap();
                assert_eq!(found.name(), operation.name(), "{path}");
                assert!(params.values().all(|value| value == "label"));
            }
        }
    }
}
