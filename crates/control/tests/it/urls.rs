//! Function URLs: their life, and what is refused.

use http::Method;
use pilotlight_model::node::Directory;
use pilotlight_model::url::{AuthType, FunctionUrl, InvokeMode};
use serde_json::{Value, json};
use std::sync::Arc;

use crate::harness::{ARN, Platform, Reply};

const URL: &str = "/2021-10-31/functions/f/url";
const URLS: &str = "/2021-10-31/functions/f/urls";

async fn with_alias() -> Platform {
    let platform = Platform::open().await;
    platform.active("f").await;
    let alias = json!({ "Name": "live", "FunctionVersion": "$LATEST" });
    let made = platform
        .call(Method::POST, "/2015-03-31/functions/f/aliases", alias)
        .await;
    assert_eq!(made.status, 201, "{}", made.body);
    platform
}

async fn create(platform: &Platform, query: &str, body: Value) -> Value {
    let reply = platform
        .call(Method::POST, &format!("{URL}{query}"), body)
        .await;
    assert_eq!(reply.status, 201, "{}", reply.body);
    reply.body
}

/// What a request to that address finds.
fn find(platform: &Platform, config: &Value) -> Option<Arc<FunctionUrl>> {
    let address = config["FunctionUrl"].as_str().unwrap();
    let id = address
        .strip_prefix("http://")
        .unwrap()
        .split('.')
        .next()
        .unwrap();
    platform.control.function_url(&id.parse().unwrap())
}

fn words(reply: &Reply) -> (u16, &str, &str) {
    let message = reply.body["message"]
        .as_str()
        .or(reply.body["Message"].as_str());
    (reply.status, &reply.kind, message.unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_url_is_made_changed_and_deleted() {
    let platform = with_alias().await;
    let made = create(&platform, "", json!({ "AuthType": "NONE" })).await;
    let (url, at) = (made["FunctionUrl"].clone(), made["CreationTime"].clone());
    assert_eq!(
        made,
        json!({
            "FunctionUrl": url, "FunctionArn": format!("{ARN}f"), "AuthType": "NONE", "CreationTime": at,
        })
    );
    let found = find(&platform, &made).unwrap();
    let address = format!("http://{}.lambda-url.us-east-1.localhost:", found.id);
    assert!(url.as_str().unwrap().starts_with(&address), "{url}");
    assert!(url.as_str().unwrap().ends_with('/'), "{url}");
    assert_eq!(
        (found.name.as_str(), &found.alias, found.auth, found.mode),
        ("f", &None, AuthType::None, InvokeMode::Buffered)
    );

    let got = platform.get(URL).await.body;
    assert_eq!(got["InvokeMode"], "BUFFERED");
    assert_eq!((&got["FunctionUrl"], &got["LastModifiedTime"]), (&url, &at));
    assert_eq!(got.get("Cors"), None);

    let cors = json!({ "AllowOrigins": ["https://a.example"], "MaxAge": 60 });
    let change = json!({ "AuthType": "AWS_IAM", "Cors": cors });
    let changed = platform.call(Method::PUT, URL, change).await;
    assert_eq!(changed.status, 200, "{}", changed.body);
    assert_eq!(
        (&changed.body["Cors"], changed.body.get("InvokeMode")),
        (&cors, None)
    );
    let change = json!({ "InvokeMode": "RESPONSE_STREAM" });
    let changed = platform.call(Method::PUT, URL, change).await;
    assert_eq!(changed.body["InvokeMode"], "RESPONSE_STREAM");
    assert_eq!(
        (&changed.body["AuthType"], &changed.body["Cors"]),
        (&json!("AWS_IAM"), &cors)
    );

    // It is all there after a kill.
    let platform = platform.killed().await;
    assert_eq!(platform.get(URL).await.body, changed.body);
    let found = find(&platform, &changed.body).unwrap();
    assert_eq!(
        (found.auth, found.mode),
        (AuthType::Iam, InvokeMode::Stream)
    );
    let plain = platform.call(Method::PUT, URL, json!({ "Cors": {} })).await;
    assert_eq!(plain.body.get("Cors"), None);

    let gone = platform.delete(URL).await;
    assert_eq!(gone.status, 204);
    assert_eq!(find(&platform, &made), None);
    let missing = "The resource you requested does not exist.";
    let missing = (404, "ResourceNotFoundException", missing);
    for method in [Method::GET, Method::DELETE, Method::PUT] {
        let reply = platform.call(method.clone(), URL, json!({})).await;
        assert_eq!(words(&reply), missing, "{method}");
    }
    let again = create(&platform, "", json!({ "AuthType": "NONE" })).await;
    assert_ne!(again["FunctionUrl"], url, "an address is never given twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn aliases_have_urls_of_their_own_which_go_with_them() {
    let platform = with_alias().await;
    let empty = json!({ "FunctionUrlConfigs": [] });
    assert_eq!(platform.get(URLS).await.body, empty);
    let own = create(&platform, "", json!({ "AuthType": "NONE" })).await;
    let live = json!({ "AuthType": "NONE", "InvokeMode": "RESPONSE_STREAM" });
    let live = create(&platform, "?Qualifier=live", live).await;
    assert_eq!(live["FunctionArn"], format!("{ARN}f:live"));
    assert_eq!(live["InvokeMode"], "RESPONSE_STREAM");
    let found = find(&platform, &live).unwrap();
    assert_eq!(found.alias.as_ref().unwrap().as_str(), "live");

    let all = platform.get(URLS).await.body;
    let urls = |page: &Value| {
        let configs = page["FunctionUrlConfigs"].as_array().unwrap();
        configs
            .iter()
            .map(|it| it["FunctionUrl"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        urls(&all),
        [own["FunctionUrl"].clone(), live["FunctionUrl"].clone()]
    );
    assert_eq!(all.get("NextMarker"), None);
    let first = platform.get(&format!("{URLS}?MaxItems=1")).await.body;
    assert_eq!(urls(&first), [own["FunctionUrl"].clone()]);
    let marker = first["NextMarker"].as_str().unwrap();
    let second = platform
        .get(&format!("{URLS}?MaxItems=1&Marker={marker}"))
        .await
        .body;
    assert_eq!(urls(&second), [live["FunctionUrl"].clone()]);
    assert_eq!(second.get("NextMarker"), None);

    let alias = "/2015-03-31/functions/f/aliases/live";
    platform.delete(alias).await;
    assert_eq!(
        (
            find(&platform, &live),
            urls(&platform.get(URLS).await.body).len()
        ),
        (None, 1)
    );
    platform.delete("/2015-03-31/functions/f").await;
    assert_eq!(find(&platform, &own), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_no_url_is_told_as_on_aws() {
    let platform = with_alias().await;
    let missing = "ResourceNotFoundException";
    let (no_url, no_function) = (
        (404, missing, "The resource you requested does not exist."),
        (404, missing, "Function does not exist"),
    );
    let body = json!({ "AuthType": "NONE" });
    for (method, expected) in [
        (Method::POST, no_function),
        (Method::PUT, no_function),
        (Method::GET, no_url),
        (Method::DELETE, no_url),
    ] {
        for path in [
            "/2021-10-31/functions/nobody/url",
            &format!("{URL}?Qualifier=v1"),
        ] {
            let reply = platform.call(method.clone(), path, body.clone()).await;
            assert_eq!(words(&reply), expected, "{method} {path}");
        }
        // Neither versions nor `$LATEST` have one.
        for (path, value) in [
            (format!("{URL}?Qualifier=1"), "1"),
            (format!("{URL}?Qualifier=%24LATEST"), "$LATEST"),
            ("/2021-10-31/functions/f:2/url".to_owned(), "2"),
        ] {
            let reply = platform.call(method.clone(), &path, body.clone()).await;
            let (status, kind, message) = words(&reply);
            assert_eq!(
                (status, kind),
                (400, "ValidationException"),
                "{method} {path}"
            );
            let told = format!(
                "1 validation error detected: Value '{value}' at 'qualifier' failed to satisfy constraint: \
                 Member must satisfy regular expression pattern: ((?!^\\d+$)^[0-9a-zA-Z-_]+$)"
            );
            assert_eq!(message, told, "{method} {path}");
        }
        let path = "/2021-10-31/functions/f:other/url?Qualifier=live";
        let reply = platform.call(method, path, body.clone()).await;
        assert_eq!(reply.kind, "InvalidParameterValueException");
    }
    let list = platform.get("/2021-10-31/functions/nobody/urls").await;
    assert_eq!(words(&list), no_function);

    create(&platform, "", body.clone()).await;
    let twice = platform.call(Method::POST, URL, body).await;
    let told = format!(
        "Failed to create function url config for [functionArn = {ARN}f]. Error message:  FunctionUrlConfig \
         exists for this Lambda function"
    );
    assert_eq!(
        words(&twice),
        (409, "ResourceConflictException", told.as_str())
    );
    for body in [
        json!({}),
        json!({ "AuthType": "ANY" }),
        json!({ "AuthType": "NONE", "InvokeMode": "LATER" }),
        json!({ "AuthType": "NONE", "Cors": { "MaxAge": 86_401 } }),
        json!({ "AuthType": "NONE", "Cors": { "AllowMethods": ["OPTIONS"] } }),
    ] {
        let reply = platform.call(Method::POST, URL, body.clone()).await;
        assert_eq!(words(&reply).1, "ValidationException", "{body}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urls_are_shown_below_the_base_that_is_configured() {
    let platform = Platform::open_with(|config| {
        config.url_base = "https://fn.example.com".parse().unwrap();
    });
    let platform = platform.await;
    platform.active("f").await;
    let made = create(&platform, "", json!({ "AuthType": "NONE" })).await;
    let address = made["FunctionUrl"].as_str().unwrap();
    let (id, rest) = address
        .strip_prefix("https://")
        .unwrap()
        .split_once('.')
        .unwrap();
    assert_eq!(
        (id.len(), rest),
        (32, "lambda-url.us-east-1.fn.example.com/")
    );
}
