//! Requests to subscribe: those that Lambda takes, and those that it refuses.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn body() -> Value {
    json!({
        "schemaVersion": "2022-12-13",
        "types": ["platform", "function"],
        "destination": {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/path?a=b"},
    })
}

fn parse(api: Api, body: &Value) -> Result<Subscription, String> {
    Subscription::parse(api, body.to_string().as_bytes())
}

#[test]
fn what_is_left_out_has_lambda_s_defaults() {
    let subscription = parse(Api::Telemetry, &body()).unwrap();
    assert_eq!(subscription.types(), ["platform", "function"]);
    assert!(subscription.objects);
    let buffering = Buffering {
        items: 1_000,
        bytes: 262_144,
        timeout: Duration::from_secs(1),
    };
    assert_eq!(subscription.buffering, buffering);
    let destination = Destination::Http {
        port: 8080,
        path: "/path?a=b".to_owned(),
    };
    assert_eq!(subscription.destination, destination);
    let mut logs = body();
    logs.as_object_mut().unwrap().remove("schemaVersion");
    logs["destination"] = json!({"protocol": "TCP", "port": 1234});
    let subscription = parse(Api::Logs, &logs).unwrap();
    assert_eq!(subscription.destination, Destination::Tcp { port: 1234 });
    assert_eq!(
        (subscription.buffering.items, subscription.objects),
        (10_000, false)
    );
    assert!(
        parse(Api::Telemetry, &logs).is_err(),
        "its version is needed"
    );
}

#[test]
fn nothing_leads_elsewhere_or_out_of_range() {
    for (pointer, value) in [
        ("/schemaVersion", json!("2020-08-15")),
        ("/types", json!([])),
        ("/types", json!(["platform", "other"])),
        ("/destination/protocol", json!("UDP")),
        ("/destination/URI", json!("http://169.254.169.254:80/")),
        (
            "/destination/URI",
            json!("http://sandbox.localdomain.evil.example:80/"),
        ),
        (
            "/destination/URI",
            json!("http://sandbox.localdomain@evil.example:80/"),
        ),
        (
            "/destination/URI",
            json!("https://sandbox.localdomain:8080"),
        ),
        ("/destination/URI", json!("http://sandbox.localdomain:9001")),
        ("/destination/URI", json!("http://sandbox.localdomain:0")),
        ("/destination/URI", json!("not a uri")),
    ] {
        let mut wrong = body();
        *wrong.pointer_mut(pointer).unwrap() = value.clone();
        assert!(parse(Api::Telemetry, &wrong).is_err(), "{pointer} {value}");
    }
    for (name, values) in [
        ("maxItems", [999, 10_001]),
        ("maxBytes", [262_143, 1_048_577]),
        ("timeoutMs", [24, 30_001]),
    ] {
        for value in values {
            let mut wrong = body();
            wrong["buffering"] = json!({ name: value });
            assert!(parse(Api::Telemetry, &wrong).is_err(), "{name} {value}");
        }
    }
}

proptest! {
    /// Whatever is sent, a destination that is accepted has a port of the instance's own.
    #[test]
    fn garbage_is_refused_or_means_the_instance(uri in ".{0,60}", body in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = Subscription::parse(Api::Telemetry, &body);
        let mut odd = super::tests::body();
        odd["destination"]["URI"] = json!(uri);
        if let Ok(subscription) = parse(Api::Telemetry, &odd) {
            prop_assert!(uri.starts_with("http://sandbox"));
            prop_assert!(subscription.destination.port() != 9001);
        }
    }
}
