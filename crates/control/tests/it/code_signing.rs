//! Code signing configurations, and what they mean where nothing is signed.

use http::Method;
use serde_json::{Value, json};

use crate::harness::{ARN, FUNCTIONS, Platform, Reply, inline};

const CONFIGS: &str = "/2020-04-22/code-signing-configs";
const OF_F: &str = "/2020-06-30/functions/f/code-signing-config";
const PROFILE: &str =
    "arn:aws:signer:us-east-1:123456789012:/signing-profiles/MyProfile/abcdef1234";
const UNKNOWN: &str =
    "arn:aws:lambda:us-east-1:123456789012:code-signing-config:csc-0123456789abcdef0";

async fn create(platform: &Platform, policy: &str) -> String {
    let body = json!({
        "AllowedPublishers": { "SigningProfileVersionArns": [PROFILE] },
        "CodeSigningPolicies": { "UntrustedArtifactOnDeployment": policy },
    });
    let created = platform.call(Method::POST, CONFIGS, body).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let arn = &created.body["CodeSigningConfig"]["CodeSigningConfigArn"];
    arn.as_str().unwrap().to_owned()
}

fn words(reply: &Reply) -> (u16, &str, &str) {
    let message = reply.body["Message"]
        .as_str()
        .or(reply.body["message"].as_str());
    (reply.status, &reply.kind, message.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_is_made_changed_listed_and_deleted() {
    let platform = Platform::open().await;
    let plain = json!({ "AllowedPublishers": { "SigningProfileVersionArns": [PROFILE] } });
    let made = platform.call(Method::POST, CONFIGS, plain).await;
    let config = &made.body["CodeSigningConfig"];
    let (id, arn) = (
        config["CodeSigningConfigId"].as_str().unwrap(),
        &config["CodeSigningConfigArn"],
    );
    assert_eq!(id.len(), "csc-".len() + 17);
    assert_eq!(
        config,
        &json!({
            "CodeSigningConfigId": id,
            "CodeSigningConfigArn": format!("arn:aws:lambda:us-east-1:123456789012:code-signing-config:{id}"),
            "Description": "",
            "AllowedPublishers": { "SigningProfileVersionArns": [PROFILE] },
            "CodeSigningPolicies": { "UntrustedArtifactOnDeployment": "Warn" },
            "LastModified": "2026-01-02T03:04:05.678+0000",
        })
    );
    let path = format!("{CONFIGS}/{}", arn.as_str().unwrap());
    let change = json!({
        "Description": "d", "CodeSigningPolicies": { "UntrustedArtifactOnDeployment": "Enforce" },
    });
    assert_eq!(platform.call(Method::PUT, &path, change).await.status, 200);
    let platform = platform.killed().await;
    let kept = platform.get(&path).await.body;
    assert_eq!(kept["CodeSigningConfig"]["Description"], "d");
    assert_eq!(
        kept["CodeSigningConfig"]["CodeSigningPolicies"],
        json!({ "UntrustedArtifactOnDeployment": "Enforce" })
    );

    let other = create(&platform, "Warn").await;
    let first = platform.get(&format!("{CONFIGS}?MaxItems=1")).await.body;
    let marker = first["NextMarker"].as_str().unwrap();
    let second = platform
        .get(&format!("{CONFIGS}?MaxItems=1&Marker={marker}"))
        .await
        .body;
    assert_eq!(second.get("NextMarker"), None);
    let mut listed: Vec<&str> = [&first, &second]
        .iter()
        .map(|page| {
            page["CodeSigningConfigs"][0]["CodeSigningConfigArn"]
                .as_str()
                .unwrap()
        })
        .collect();
    listed.sort_unstable();
    let mut all = [arn.as_str().unwrap(), other.as_str()];
    all.sort_unstable();
    assert_eq!(listed, all);

    let tags = format!("/2017-03-31/tags/{other}");
    let tag = json!({ "Tags": { "team": "a", "env": "test" } });
    assert_eq!(platform.call(Method::POST, &tags, tag).await.status, 204);
    let untag = format!("{tags}?tagKeys=team");
    assert_eq!(platform.delete(&untag).await.status, 204);
    assert_eq!(
        platform.get(&tags).await.body,
        json!({ "Tags": { "env": "test" } })
    );

    assert_eq!(platform.delete(&path).await.status, 204);
    let message = format!(
        "The Lambda code signing configuration {} can not be found.",
        arn.as_str().unwrap()
    );
    let expected = (404, "ResourceNotFoundException", message.as_str());
    for (method, path) in [
        (Method::GET, path.clone()),
        (Method::PUT, path.clone()),
        (Method::DELETE, path.clone()),
        (Method::GET, format!("{path}/functions")),
    ] {
        let missing = platform.call(method, &path, Value::Null).await;
        assert_eq!(words(&missing), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_has_one_and_its_code_is_judged_by_it() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let warn = create(&platform, "Warn").await;
    let enforce = create(&platform, "Enforce").await;
    assert_eq!(
        platform.get(OF_F).await.body,
        json!({ "FunctionName": "f" })
    );
    let give = async |arn: &str| {
        platform
            .call(Method::PUT, OF_F, json!({ "CodeSigningConfigArn": arn }))
            .await
    };
    let given = give(&warn).await;
    assert_eq!(
        (given.status, &given.body["CodeSigningConfigArn"]),
        (200, &json!(warn))
    );
    assert_eq!(
        platform.get(OF_F).await.body["CodeSigningConfigArn"],
        json!(warn)
    );
    let by = platform.get(&format!("{CONFIGS}/{warn}/functions")).await;
    assert_eq!(by.body, json!({ "FunctionArns": [format!("{ARN}f")] }));
    let update = async |text: &str| {
        let code = json!({ "ZipFile": inline(text) });
        platform
            .call(Method::PUT, &format!("{FUNCTIONS}/f/code"), code)
            .await
    };
    assert_eq!(update("warned").await.status, 200);
    platform.settled("f").await;

    give(&enforce).await;
    let refused = update("enforced").await;
    let message = "Lambda cannot deploy the function. The function or layer might be signed using a \
                   signature that the client is not configured to accept. Check the provided signature \
                   for f.";
    assert_eq!(
        words(&refused),
        (400, "CodeVerificationFailedException", message)
    );
    let in_use = platform.delete(&format!("{CONFIGS}/{enforce}")).await;
    assert_eq!(
        (in_use.status, in_use.kind.as_str()),
        (409, "ResourceConflictException")
    );
    assert_eq!(platform.delete(OF_F).await.status, 204);
    assert_eq!(update("free").await.status, 200);
    assert_eq!(
        platform
            .delete(&format!("{CONFIGS}/{enforce}"))
            .await
            .status,
        204
    );

    let unknown = give(UNKNOWN).await;
    let message = format!(
        "The code signing configuration cannot be found. Check that the provided configuration is not \
         deleted: {UNKNOWN}."
    );
    let expected = (404, "CodeSigningConfigNotFoundException", message.as_str());
    assert_eq!(words(&unknown), expected);
    let named = |arn: String| move |body: &mut Value| body["CodeSigningConfigArn"] = json!(arn);
    let refused = platform.create_with("g", named(UNKNOWN.to_owned())).await;
    assert_eq!(words(&refused), expected);
    let enforce = create(&platform, "Enforce").await;
    let refused = platform.create_with("g", named(enforce)).await;
    assert_eq!(refused.kind, "CodeVerificationFailedException");
    assert_eq!(
        platform.create_with("g", named(warn.clone())).await.status,
        201
    );
    let of_g = platform
        .get("/2020-06-30/functions/g/code-signing-config")
        .await;
    assert_eq!(of_g.body["CodeSigningConfigArn"], json!(warn));
    for method in [Method::GET, Method::DELETE] {
        let path = "/2020-06-30/functions/nope/code-signing-config";
        let missing = platform.call(method, path, Value::Null).await;
        assert_eq!(
            missing.body["Message"],
            format!("Function not found: {ARN}nope")
        );
    }
}
