//! Signature Version 4 through the front door. The signer here is written from the specification, apart
//! from the code under test.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{Method, Request};
use pilotlight_gateway::{AccessKey, Config, Secret};
use pilotlight_model::url::{AuthType, FunctionUrl, InvokeMode};
use sha2::{Digest, Sha256};

use crate::support::*;

const DATE: &str = "20261124T003213Z";
const NOW: u64 = 1_795_480_333;
const ACCOUNT: &str = "000000000042";

fn config() -> Config {
    Config {
        access_keys: vec![AccessKey {
            id: "AKID".to_owned(),
            secret: Secret::new("top secret"),
            account: ACCOUNT.parse().unwrap(),
        }],
        now: || SystemTime::UNIX_EPOCH + Duration::from_secs(NOW),
        ..Config::default()
    }
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    bytes
        .as_ref()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.chain_update(text).finalize().into_bytes().to_vec()
}

/// Signs a request whose path needs no encoding and which has no query.
fn signed(
    method: Method,
    path: &str,
    service: &str,
    hash: Option<&str>,
    body: &str,
) -> Request<Bytes> {
    let more: Vec<_> = hash
        .map(|it| ("x-amz-content-sha256", it))
        .into_iter()
        .collect();
    signed_with(method, path, service, &more, body)
}

/// Signs the headers `more` too.
fn signed_with(
    method: Method,
    path: &str,
    service: &str,
    more: &[(&str, &str)],
    body: &str,
) -> Request<Bytes> {
    let mut headers = vec![("host", "h"), ("x-amz-date", DATE)];
    headers.extend(more);
    headers.sort_unstable();
    let hash = more
        .iter()
        .find(|(name, _)| *name == "x-amz-content-sha256");
    let payload = hash.map_or_else(|| hex(Sha256::digest(body)), |(_, hash)| (*hash).to_owned());
    let lines: String = headers
        .iter()
        .map(|(name, it)| format!("{name}:{it}\n"))
        .collect();
    let names = headers
        .iter()
        .map(|(name, _)| *name)
        .collect::<Vec<_>>()
        .join(";");
    let canonical = format!("{method}\n{path}\n\n{lines}\n{names}\n{payload}");
    let scope = format!("20261124/eu-west-1/{service}/aws4_request");
    let text = format!(
        "AWS4-HMAC-SHA256\n{DATE}\n{scope}\n{}",
        hex(Sha256::digest(canonical))
    );
    let key = ["20261124", "eu-west-1", service, "aws4_request"]
        .iter()
        .fold(b"AWS4top secret".to_vec(), |key, part| mac(&key, part));
    let signature = hex(mac(&key, &text));
    let authorization = format!(
        "AWS4-HMAC-SHA256 Credential=AKID/{scope}, SignedHeaders={names}, Signature={signature}"
    );
    headers.push(("authorization", authorization.as_str()));
    request(method, path, &headers, body)
}

#[tokio::test]
async fn signed_invocations_run_for_the_keys_account() {
    let stage = Stage::configured(config()).await;
    let path = invocations("hello");
    let hash = hex(Sha256::digest("{}"));
    for announced in [None, Some(hash.as_str()), Some("UNSIGNED-PAYLOAD")] {
        let request = signed(Method::POST, &path, "lambda", announced, "{}");
        let response = stage.send(request).await;
        assert_eq!(response.status(), 200, "{response:?}");
        let invoked = stage.fakes.invoked.lock().last().unwrap().clone();
        assert_eq!(invoked.spec.key.account.as_str(), ACCOUNT);
        assert_eq!(invoked.spec.key.region.as_str(), "eu-west-1");
    }
    let list = signed(Method::GET, "/2015-03-31/functions/", "lambda", None, "");
    let answer: serde_json::Value = serde_json::from_slice(stage.send(list).await.body()).unwrap();
    assert_eq!(answer["account"], ACCOUNT);
}

#[tokio::test]
async fn tampered_and_unsigned_requests_are_refused_before_anything_happens() {
    let stage = Stage::configured(config()).await;
    let path = invocations("hello");
    let hash = hex(Sha256::digest("{}"));
    for announced in [None, Some(hash.as_str())] {
        let mut tampered = signed(Method::POST, &path, "lambda", announced, "{}");
        *tampered.body_mut() = Bytes::from_static(b"{\"evil\":1}");
        let (status, kind, message) = error(&stage.send(tampered).await);
        assert_eq!((status, kind.as_str()), (403, "InvalidSignatureException"));
        assert!(message.starts_with("The request signature we calculated does not match"));
    }
    for request in [
        request(Method::POST, &path, &[], "{}"),
        request(Method::GET, "/2015-03-31/functions/", &[], ""),
        request(Method::GET, "/pilotlight/v1/starts", &[], ""),
        request(Method::GET, "/pilotlight/v1/nodes", &[], ""),
        request(Method::GET, "/pilotlight/v1/logs?function=hello", &[], ""),
        // Downloads of code carry their own proof; nothing else below their path does.
        request(Method::POST, "/pilotlight/v1/code/abc", &[], "{}"),
    ] {
        let (status, kind, message) = error(&stage.send(request).await);
        assert_eq!(
            (status, kind.as_str()),
            (403, "MissingAuthenticationTokenException")
        );
        assert_eq!(message, "Missing Authentication Token");
    }
    let chunked = Some("STREAMING-AWS4-HMAC-SHA256-PAYLOAD");
    let chunked = signed(Method::POST, &path, "lambda", chunked, "{}");
    assert_eq!(
        error(&stage.send(chunked).await).1,
        "InvalidRequestContentException"
    );
    assert!(stage.fakes.invoked.lock().is_empty());
}

#[tokio::test]
async fn the_own_api_takes_the_same_signatures() {
    let stage = Stage::configured(config()).await;
    for service in ["lambda", "pilotlight"] {
        let nodes = signed(Method::GET, "/pilotlight/v1/nodes", service, None, "");
        assert_eq!(stage.send(nodes).await.status(), 200);
    }
    let other = signed(Method::GET, "/pilotlight/v1/nodes", "s3", None, "");
    assert_eq!(stage.send(other).await.status(), 403);
    // Open by design: health to all, metrics to loopback.
    assert_eq!(stage.get("/pilotlight/v1/health").await.status(), 200);
    assert_eq!(stage.get("/metrics").await.status(), 200);
}

#[tokio::test]
async fn code_downloads_carry_their_own_proof() {
    let stage = Stage::configured(config()).await;
    let response = stage.get("/pilotlight/v1/code/abc?signature=1").await;
    assert_eq!(response.status(), 200);
    let answer: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(answer["path"], "/pilotlight/v1/code/abc");
}

#[tokio::test]
async fn a_signature_opens_the_service_that_it_names_and_no_other() {
    let stage = Stage::configured(config()).await;
    let cases = [
        (
            Method::GET,
            "/schedules",
            "scheduler",
            ["lambda", "pilotlight"],
        ),
        (
            Method::GET,
            "/2015-03-31/functions",
            "lambda",
            ["scheduler", "pilotlight"],
        ),
    ];
    for (method, path, right, wrong) in cases {
        let opened = signed(method.clone(), path, right, None, "");
        assert_eq!(stage.send(opened).await.status(), 200, "{path}");
        for service in wrong {
            let refused = stage
                .send(signed(method.clone(), path, service, None, ""))
                .await;
            assert_eq!(refused.status(), 403, "{path} {service}");
            let body = String::from_utf8_lossy(refused.body()).into_owned();
            assert!(
                body.contains(&format!("correct service: '{right}'")),
                "{body}"
            );
        }
    }
    // Each service hears of it in its own format.
    let target = [("x-amz-target", "Logs_20140328.DescribeLogGroups")];
    let describe = |service| signed_with(Method::POST, "/", service, &target, "{}");
    assert_eq!(stage.send(describe("logs")).await.status(), 200);
    let refused = stage.send(describe("lambda")).await;
    assert_eq!(refused.status(), 400);
    let body: serde_json::Value = serde_json::from_slice(refused.body()).unwrap();
    assert_eq!(body["__type"], "InvalidSignatureException");
}

#[tokio::test]
async fn function_urls_that_ask_for_a_signature_get_one_for_lambda_whatever_their_path() {
    let stage = Stage::configured(config()).await;
    let url = |account: &str| FunctionUrl {
        id: "a".repeat(32).parse().unwrap(),
        account: account.parse().unwrap(),
        region: "eu-west-1".parse().unwrap(),
        name: "hello".parse().unwrap(),
        alias: None,
        auth: AuthType::Iam,
        mode: InvokeMode::Buffered,
        cors: None,
    };
    stage.fakes.urls.lock().push(Arc::new(url(ACCOUNT)));
    // The scheduler's own path: behind a function URL it is the function's.
    let path = format!("/lambda-url/{}/schedules/x", "a".repeat(32));
    let response = stage
        .send(signed(Method::POST, &path, "lambda", None, "hi"))
        .await;
    assert_eq!(response.status(), 200, "{response:?}");
    let event: serde_json::Value = serde_json::from_slice(response.body()).unwrap();
    assert_eq!(event["rawPath"], "/schedules/x");
    assert_eq!(
        event["requestContext"]["authorizer"]["iam"]["accessKey"],
        "AKID"
    );
    assert_eq!(event["requestContext"]["accountId"], ACCOUNT);

    let other_body = signed(Method::POST, &path, "lambda", None, "hi").map(|_| "ho".into());
    let for_other = signed(Method::POST, &path, "scheduler", None, "hi");
    let unsigned = request(Method::POST, &path, &[], "hi");
    for refused in [other_body, for_other, unsigned] {
        assert_eq!(stage.send(refused).await.status(), 403);
    }
    // An account's keys open its own URLs alone.
    *stage.fakes.urls.lock() = vec![Arc::new(url("000000000001"))];
    let response = stage
        .send(signed(Method::POST, &path, "lambda", None, "hi"))
        .await;
    assert_eq!(response.status(), 403);
    assert!(response.body().starts_with(br#"{"Message":"Forbidden. "#));
    assert_eq!(stage.fakes.invoked.lock().len(), 1);

    // Others need the function's policy, and so does everyone where nobody has to sign.
    for (name, auth, signs, status) in [
        ("partner", AuthType::Iam, true, 200),
        ("public", AuthType::Iam, true, 403),
        ("partner", AuthType::Iam, false, 403),
        ("public", AuthType::None, false, 200),
        ("partner", AuthType::None, false, 403),
        ("hello", AuthType::None, true, 403),
    ] {
        let url = FunctionUrl {
            name: name.parse().unwrap(),
            auth,
            ..url("000000000001")
        };
        *stage.fakes.urls.lock() = vec![Arc::new(url)];
        let request = match signs {
            true => signed(Method::POST, &path, "lambda", None, "hi"),
            false => request(Method::POST, &path, &[], "hi"),
        };
        let found = stage.send(request).await.status();
        assert_eq!(found, status, "{name} {auth:?} {signs}");
    }
}
