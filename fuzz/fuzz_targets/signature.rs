//! Any head and body, with and without access keys: nobody gets in who does not know the secret, and nothing
//! makes the parser panic.
#![no_main]

use std::time::{Duration, SystemTime};

use arbitrary::Arbitrary;
use bytes::Bytes;
use http::Request;
use libfuzzer_sys::fuzz_target;
use pilotlight_gateway::{AccessKey, Secret, authenticate};

#[derive(Debug, Arbitrary)]
struct Input<'a> {
    method: &'a str,
    uri: &'a str,
    /// Behind `AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-east-1/`.
    authorization: Option<&'a str>,
    date: &'a str,
    content: Option<&'a str>,
    length: Option<u16>,
    headers: Vec<(&'a str, &'a [u8])>,
    body: &'a [u8],
}

fuzz_target!(|input: Input<'_>| {
    let mut request = Request::builder().method(input.method).uri(input.uri);
    for (name, value) in &input.headers {
        request = request.header(*name, *value);
    }
    if let Some(rest) = input.authorization {
        let text = format!("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/us-east-1/{rest}");
        request = request.header("authorization", text).header("x-amz-date", input.date);
    }
    if let Some(content) = input.content {
        request = request.header("x-amz-content-sha256", content);
    }
    if let Some(length) = input.length {
        request = request.header("x-amz-decoded-content-length", length.to_string());
    }
    let Ok(request) = request.body(Bytes::copy_from_slice(input.body)) else {
        return;
    };
    // 2026-11-24T00:32:13Z.
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_480_333);
    let key = AccessKey {
        id: "AKIDEXAMPLE".to_owned(),
        secret: Secret::new("a secret that the fuzzer does not know"),
        account: Default::default(),
    };
    let refused = authenticate(&[key], request.clone(), now);
    assert!(refused.is_err(), "someone got in: {request:?}");
    let _ = authenticate(&[], request, now);
});
