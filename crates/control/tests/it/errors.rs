//! What is refused, with the status, type and text that AWS answers; the texts are AWS's where it has
//! been seen to answer them.

use http::Method;
use pilotlight_model::node::Caller;
use pilotlight_model::service::lambda;
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, inline};

async fn refused(platform: &Platform, change: Value) -> (u16, String, String) {
    let reply = platform
        .create_with("f", |body| {
            body.as_object_mut()
                .unwrap()
                .extend(change.as_object().unwrap().clone());
        })
        .await;
    let message = reply
        .body
        .get("message")
        .or(reply.body.get("Message"))
        .unwrap();
    (
        reply.status,
        reply.kind,
        message.as_str().unwrap().to_owned(),
    )
}

const INVALID: &str = "InvalidParameterValueException";

#[tokio::test(flavor = "multi_thread")]
async fn creations_that_make_no_sense() {
    let platform = Platform::open().await;
    let long = "a".repeat(65);
    let unable = "Lambda was unable to configure your environment variables because the environment \
                  variables you have provided";
    for (change, kind, text) in [
        (
            json!({ "FunctionName": long }),
            INVALID,
            format!(
                "1 validation error detected: Value '{long}' at 'functionName' failed to satisfy \
                 constraint: Member must have length less than or equal to 64"
            ),
        ),
        (
            json!({ "Runtime": "java11" }),
            INVALID,
            "The runtime java11 is not available on this platform. Available runtimes: python3.11, \
             provided.al2023, python3.8, python3.9, python3.10, python3.12, python3.13, python3.14, \
             python3.15, provided.al2"
                .to_owned(),
        ),
        (
            json!({ "Environment": { "Variables": { "AWS_REGION": "x", "OK_1": "y" } } }),
            INVALID,
            format!(
                "{unable} contains reserved keys that are currently not supported for modification. \
                 Reserved keys used in this request: AWS_REGION"
            ),
        ),
        (
            json!({ "Environment": { "Variables": { "BIG": "x".repeat(4096) } } }),
            INVALID,
            format!("{unable} exceeded the 4KB limit. String measured: 4106 bytes"),
        ),
        (
            json!({ "Environment": { "Variables": { "NUL": "a\0b" } } }),
            INVALID,
            format!("{unable} contains a null character in the value of NUL"),
        ),
        (
            json!({ "Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:l:1"] }),
            INVALID,
            "Layer version arn:aws:lambda:us-east-1:123456789012:layer:l:1 does not exist.".to_owned(),
        ),
        (
            json!({ "SnapStart": { "ApplyOn": "PublishedVersions" } }),
            INVALID,
            "python3.11 is not supported for SnapStart enabled functions.".to_owned(),
        ),
        (
            json!({ "Architectures": ["arm64"] }),
            INVALID,
            "The architecture arm64 is not available on this platform. Available architectures: x86_64"
                .to_owned(),
        ),
        (
            json!({ "MemorySize": 10_241 }),
            "ValidationException",
            "1 validation error detected: Value '10241' at 'memorySize' failed to satisfy constraint: \
             Member must have value less than or equal to 10240"
                .to_owned(),
        ),
        (
            json!({ "VpcConfig": { "SubnetIds": ["subnet-1"] } }),
            INVALID,
            "VpcConfig is not supported on this platform yet; leave it out or empty.".to_owned(),
        ),
        (
            json!({ "DeadLetterConfig": { "TargetArn": "arn:aws:sqs:eu-west-1:123456789012:q" } }),
            INVALID,
            "Invalid dead letter queue ARN: The resource specified by the TargetArn must be in the same \
             region as the Lambda function it's associated with."
                .to_owned(),
        ),
        (
            json!({ "Code": { "S3Bucket": "bucket", "S3Key": "key" } }),
            INVALID,
            "Error occurred while GetObject. S3 Error Code: NoSuchBucket. S3 Error Message: The \
             specified bucket does not exist"
                .to_owned(),
        ),
        (
            json!({ "Code": {} }),
            INVALID,
            "Please provide a source for function code.".to_owned(),
        ),
        (
            json!({ "Code": { "ZipFile": "not base64" } }),
            "SerializationException",
            "ZipFile is not valid base64".to_owned(),
        ),
        (
            json!({ "Handler": null }),
            INVALID,
            "Handler is mandatory for functions created with deployment packages.".to_owned(),
        ),
        (
            json!({ "Tags": { "pilotlight:keep-alive": "86401" } }),
            INVALID,
            "The tag pilotlight:keep-alive must be a number of seconds from 0 to 86400, not '86401'."
                .to_owned(),
        ),
    ] {
        let expected = (400, kind.to_owned(), text);
        assert_eq!(refused(&platform, change.clone()).await, expected, "{change}");
    }
    let (status, kind, text) = refused(&platform, json!({ "Runtime": "cobol" })).await;
    assert_eq!((status, kind.as_str()), (400, INVALID));
    assert!(text.starts_with(
        "Value cobol at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: ["
    ));
    assert!(text.ends_with("] or be a valid ARN"), "{text}");
    let (status, kind, text) = refused(&platform, json!({ "Code": { "ZipFile": "bm8=" } })).await;
    assert_eq!((status, kind.as_str()), (400, INVALID));
    assert!(
        text.starts_with("Could not unzip uploaded file. "),
        "{text}"
    );
    assert_eq!(
        platform.get(FUNCTIONS).await.body,
        json!({ "Functions": [] })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_empty_says_nothing() {
    let platform = Platform::open().await;
    let reply = platform
        .create_with("f", |body| {
            body["VpcConfig"] = json!({ "SubnetIds": [], "SecurityGroupIds": [] });
            body["FileSystemConfigs"] = json!([]);
            body["DeadLetterConfig"] = json!({});
            body["KMSKeyArn"] = json!("");
            body["Layers"] = json!([]);
            body["Publish"] = json!(false);
        })
        .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn packages_over_the_limit() {
    let platform = Platform::open().await;
    let mut bytes = vec![0_u8; 50 * 1024 * 1024 + 1];
    bytes[..2].copy_from_slice(b"PK");
    let text = base64::Engine::encode(&base64::prelude::BASE64_STANDARD, &bytes);
    assert_eq!(
        refused(&platform, json!({ "Code": { "ZipFile": text } })).await,
        (
            413,
            "RequestEntityTooLargeException".to_owned(),
            "Zipped size must be smaller than 52428800 bytes".to_owned()
        )
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn names_and_qualifiers() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let not_found = |arn: &str| {
        (
            404,
            "ResourceNotFoundException",
            format!("Function not found: {ARN}{arn}"),
        )
    };
    let mismatch =
        "The derived qualifier from the function name does not match the specified qualifier.";
    for (method, path, (status, kind, text)) in [
        (Method::GET, "nope".to_owned(), not_found("nope")),
        (
            Method::GET,
            "f?Qualifier=1221".to_owned(),
            not_found("f:1221"),
        ),
        (Method::GET, "f:live".to_owned(), not_found("f:live")),
        (
            Method::GET,
            "f:$LATEST?Qualifier=1".to_owned(),
            (400, INVALID, mismatch.to_owned()),
        ),
        (
            Method::DELETE,
            "f:$LATEST?Qualifier=1".to_owned(),
            (400, INVALID, mismatch.to_owned()),
        ),
        (
            Method::DELETE,
            "f?Qualifier=$LATEST".to_owned(),
            (
                400,
                INVALID,
                "$LATEST version cannot be deleted without deleting the function.".to_owned(),
            ),
        ),
        (
            Method::DELETE,
            "nope?Qualifier=7".to_owned(),
            not_found("nope"),
        ),
        (
            Method::GET,
            "arn:aws:lambda:eu-west-1:123456789012:function:f".to_owned(),
            (
                404,
                "ResourceNotFoundException",
                "Functions from 'eu-west-1' are not reachable in this region ('us-east-1')"
                    .to_owned(),
            ),
        ),
        (
            Method::GET,
            "arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af".to_owned(),
            (
                403,
                "AccessDeniedException",
                "User: arn:aws:iam::123456789012:root is not authorized to perform: lambda:GetFunction on \
                 resource: arn:aws:lambda:us-east-1:000000000000:function:f because no resource-based \
                 policy allows the lambda:GetFunction action"
                    .to_owned(),
            ),
        ),
    ] {
        let reply = platform
            .call(method, &format!("{FUNCTIONS}/{path}"), Value::Null)
            .await;
        let message = reply
            .body
            .get("message")
            .or(reply.body.get("Message"))
            .unwrap();
        assert_eq!(
            (reply.status, reply.kind.as_str()),
            (status, kind),
            "{path}"
        );
        assert_eq!(message, &json!(text), "{path}");
    }
    for path in [
        "f",
        "123456789012:function:f",
        &format!("{ARN}f"),
        &format!("{ARN}f:$LATEST"),
    ] {
        assert_eq!(
            platform.get(&format!("{FUNCTIONS}/{path}")).await.status,
            200,
            "{path}"
        );
    }
    let version = platform.delete(&format!("{FUNCTIONS}/f?Qualifier=7")).await;
    assert_eq!(version.status, 204);
    assert_eq!(platform.get(&format!("{FUNCTIONS}/f")).await.status, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_name_twice_and_an_old_revision() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let twice = platform.create("f").await;
    assert_eq!(
        (twice.status, twice.kind.as_str()),
        (409, "ResourceConflictException")
    );
    assert_eq!(
        twice.body,
        json!({ "Type": "User", "message": "Function already exist: f" })
    );
    let elsewhere = Caller {
        account: "000000000000".parse().unwrap(),
        region: "us-east-1".parse().unwrap(),
        function: None,
    };
    let body = json!({
        "FunctionName": "f",
        "Runtime": "python3.11",
        "Role": "arn:aws:iam::000000000000:role/r",
        "Handler": "app.handler",
        "Code": { "ZipFile": inline("f") },
    });
    assert_eq!(
        platform
            .call_as(elsewhere, Method::POST, FUNCTIONS, body)
            .await
            .status,
        201
    );
    for (path, mut body) in [
        ("code", json!({ "ZipFile": inline("f") })),
        ("configuration", json!({ "Timeout": 5 })),
    ] {
        body["RevisionId"] = json!("00000000-0000-0000-0000-000000000000");
        let old = platform
            .call(Method::PUT, &format!("{FUNCTIONS}/f/{path}"), body)
            .await;
        assert_eq!(
            (old.status, old.kind.as_str()),
            (412, "PreconditionFailedException")
        );
        assert_eq!(
            old.body["message"],
            "The Revision Id provided does not match the latest Revision Id. Call the \
             GetFunction/GetAlias API to retrieve the latest Revision Id"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn functions_of_an_account_are_limited() {
    let platform = Platform::open_with(|config| config.limits.functions = 1).await;
    platform.active("f").await;
    let second = platform.create("g").await;
    assert_eq!(
        (second.status, second.kind.as_str()),
        (400, "CodeStorageExceededException")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_that_are_not_there() {
    let platform = Platform::open().await;
    let unknown = platform.get("/2015-03-31/nonsense").await;
    assert_eq!(
        (unknown.status, unknown.kind.as_str()),
        (404, "UnknownOperationException")
    );
    assert_eq!(
        unknown.body["Message"],
        "No operation of AWS Lambda is GET /2015-03-31/nonsense"
    );
    for (name, path) in [("ListCapacityProviders", "/2025-11-30/capacity-providers")] {
        assert!(lambda().operation(name).is_some());
        let reply = platform.get(path).await;
        assert_eq!(
            (reply.status, reply.kind.as_str()),
            (404, "UnknownOperationException")
        );
        assert_eq!(
            reply.body["Message"],
            format!("{name} is not available on this platform yet.")
        );
    }
}
