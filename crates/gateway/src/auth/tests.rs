//! Signatures made elsewhere: AWS's published Signature Version 4 test suite, and botocore 1.43 for the
//! service `lambda`. All of them use the test suite's key.

use std::time::Duration;

use http::{Method, Request};
use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

const KEY_ID: &str = "AKIDEXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
/// 2026-11-24T00:32:13Z, when botocore signed.
const SIGNED_AT: u64 = 1_795_480_333;
const INVOKE: &str = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A123456789012%3Afunction%3A\
                      hello%3Alive/invocations?Qualifier=live";
const INVOKE_AUTHORIZATION: &str = "AWS4-HMAC-SHA256 \
    Credential=AKIDEXAMPLE/20261124/eu-west-1/lambda/aws4_request, \
    SignedHeaders=host;x-amz-client-context;x-amz-date;x-amz-invocation-type;x-amz-log-type, \
    Signature=8fe967edd22ec53513cca5bd79d87d11369f22858f89f953421e1efaf7d84392";
const PRESIGNED: &str = "/2015-03-31/functions/hello?Qualifier=%24LATEST\
    &X-Amz-Algorithm=AWS4-HMAC-SHA256\
    &X-Amz-Credential=AKIDEXAMPLE%2F20261124%2Feu-west-1%2Flambda%2Faws4_request\
    &X-Amz-Date=20261124T003213Z&X-Amz-Expires=300&X-Amz-SignedHeaders=host\
    &X-Amz-Signature=20e481dab15a19fa6e64160b3a87fab58a01f21340245aa5fa85f7419ffb8c5f";

fn head(method: &Method, uri: &str, headers: &[(&str, &str)]) -> Parts {
    let mut request = Request::builder().method(method).uri(uri);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap().into_parts().0
}

fn authenticator() -> Authenticator {
    Authenticator::new(&[AccessKey {
        id: KEY_ID.to_owned(),
        secret: Secret::new(SECRET),
        account: AccountId::default(),
    }])
}

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

fn judge(head: &Parts, now: u64, body: &[u8]) -> Result<Caller, LambdaError> {
    let claim = authenticator().claim(head, at(now))?;
    let received = received(body, claim.covers_body());
    claim.verify(received).map(|(caller, _)| caller)
}

fn received(body: &[u8], hash: bool) -> Received {
    Received {
        bytes: bytes::Bytes::copy_from_slice(body),
        sha256: hash.then(|| Sha256::digest(body).into()),
        share: None,
    }
}

/// The request of botocore's `invoke`, with some headers replaced, added, or (empty) left out.
fn invoke_with(uri: &str, changed: &[(&str, &str)]) -> Parts {
    let headers = [
        ("host", "127.0.0.1:9000"),
        ("authorization", INVOKE_AUTHORIZATION),
        ("x-amz-date", "20261124T003213Z"),
        ("x-amz-invocation-type", "RequestResponse"),
        ("x-amz-log-type", "Tail"),
        ("x-amz-client-context", "e30="),
    ];
    let kept = headers
        .into_iter()
        .filter(|(name, _)| !changed.iter().any(|(other, _)| other == name));
    let added = changed
        .iter()
        .copied()
        .filter(|(_, value)| !value.is_empty());
    let headers: Vec<_> = kept.chain(added).collect();
    head(&Method::POST, uri, &headers)
}

fn kind(result: Result<Caller, LambdaError>) -> ErrorKind {
    result.unwrap_err().kind
}

#[test]
fn the_published_test_suite_holds() {
    let cases = [
        (
            Method::GET,
            "/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
        (
            Method::GET,
            "/?Param2=value2&Param1=value1",
            "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        ),
        (
            Method::POST,
            "/",
            "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        ),
        // Dot segments and doubled slashes go: the signature is that of `GET /`.
        (
            Method::GET,
            "/example/.././/",
            "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        ),
    ];
    for (method, uri, signature) in cases {
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature={signature}"
        );
        let head = head(
            &method,
            uri,
            &[
                ("host", "example.amazonaws.com"),
                ("x-amz-date", "20150830T123600Z"),
                ("authorization", &authorization),
            ],
        );
        let signed = Signed::read(&head).unwrap();
        let canonical = canonical::head(&head, &signed).unwrap();
        let claimed = Signature::new(&signed, canonical, SECRET).unwrap();
        let empty = signature::hex(&Sha256::digest(b"").into());
        assert_eq!(claimed.verify(&empty), Ok(()), "{method} {uri}");
        assert_eq!(
            claimed.verify("UNSIGNED-PAYLOAD"),
            Err(signature::mismatch())
        );
    }
}

#[test]
fn requests_of_botocore_pass() {
    let caller = judge(&invoke_with(INVOKE, &[]), SIGNED_AT, b"{\"a\": 1}").unwrap();
    assert_eq!(caller.account, AccountId::default());
    assert_eq!(caller.region.as_str(), "eu-west-1");

    let list = head(
        &Method::GET,
        "/2015-03-31/functions?Marker=a%2Fb%3D&MaxItems=5&FunctionVersion=ALL",
        &[
            ("host", "127.0.0.1:9000"),
            ("x-amz-date", "20261124T003213Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20261124/eu-west-1/lambda/aws4_request, \
                 SignedHeaders=host;x-amz-date, \
                 Signature=817afb5d5347fbad4831669056c9c0cce68d4b6e147357f74e69f8a535709958",
            ),
        ],
    );
    judge(&list, SIGNED_AT, b"").unwrap();

    let presigned = head(&Method::GET, PRESIGNED, &[("host", "127.0.0.1:9000")]);
    judge(&presigned, SIGNED_AT + 300, b"").unwrap();
}

#[test]
fn what_was_changed_on_the_way_is_refused() {
    let cases = [
        (invoke_with(INVOKE, &[]), "{\"a\": 2}"),
        (
            invoke_with(&INVOKE.replace("=live", "=dead"), &[]),
            "{\"a\": 1}",
        ),
        (
            invoke_with(&INVOKE.replace("hello", "hallo"), &[]),
            "{\"a\": 1}",
        ),
        (invoke_with(INVOKE, &[("host", "elsewhere")]), "{\"a\": 1}"),
        (
            invoke_with(INVOKE, &[("x-amz-log-type", "None")]),
            "{\"a\": 1}",
        ),
        (invoke_with(INVOKE, &[("x-amz-log-type", "")]), "{\"a\": 1}"),
        // Not signed, and acted upon.
        (
            invoke_with(INVOKE, &[("x-amz-tenant-id", "me")]),
            "{\"a\": 1}",
        ),
        (
            invoke_with(INVOKE, &[("x-amz-content-sha256", "UNSIGNED-PAYLOAD")]),
            "{\"a\": 1}",
        ),
        (head(&Method::GET, PRESIGNED, &[("host", "x")]), ""),
        (
            head(&Method::PUT, PRESIGNED, &[("host", "127.0.0.1:9000")]),
            "",
        ),
        (
            head(
                &Method::GET,
                &PRESIGNED.replace("Expires=300", "Expires=301"),
                &[("host", "127.0.0.1:9000")],
            ),
            "",
        ),
    ];
    for (head, body) in cases {
        let result = judge(&head, SIGNED_AT, body.as_bytes());
        assert_eq!(kind(result), ErrorKind::InvalidSignature, "{head:?}");
    }
}

#[test]
fn a_url_is_told_of_the_key_that_signed_and_of_no_other() {
    let forged =
        "AWS4-HMAC-SHA256 XCredential=AKIDANOTHER/20261124/eu-west-1/lambda/aws4_request, ";
    let authorization = INVOKE_AUTHORIZATION.replacen("AWS4-HMAC-SHA256 ", forged, 1);
    let head = invoke_with(INVOKE, &[("authorization", &authorization)]);
    let claimed = authenticator().claim_of_url(&head, at(SIGNED_AT));
    assert_eq!(claimed.unwrap().1, KEY_ID);
}

#[test]
fn time_is_judged() {
    let invoke = invoke_with(INVOKE, &[]);
    let body = b"{\"a\": 1}";
    for good in [SIGNED_AT - 900, SIGNED_AT + 900] {
        judge(&invoke, good, body).unwrap();
    }
    for (now, words) in [
        (
            SIGNED_AT + 901,
            "Signature expired: 20261124T003213Z is now earlier than",
        ),
        (
            SIGNED_AT - 901,
            "Signature not yet current: 20261124T003213Z is still later than",
        ),
    ] {
        let error = judge(&invoke, now, body).unwrap_err();
        assert_eq!(error.kind, ErrorKind::InvalidSignature);
        assert!(error.message.starts_with(words), "{}", error.message);
    }
    let presigned = head(&Method::GET, PRESIGNED, &[("host", "127.0.0.1:9000")]);
    let late = judge(&presigned, SIGNED_AT + 301, b"");
    assert_eq!(kind(late), ErrorKind::InvalidSignature);
    // A credential of one day does not sign the next.
    let other = INVOKE_AUTHORIZATION.replace("20261124", "20261123");
    let other = invoke_with(INVOKE, &[("authorization", &other)]);
    assert_eq!(
        kind(judge(&other, SIGNED_AT, body)),
        ErrorKind::InvalidSignature
    );
}

#[test]
fn malformed_and_unknown_callers_are_told_apart() {
    let with = |from: &str, to: &str| {
        let text = INVOKE_AUTHORIZATION.replace(from, to);
        let head = invoke_with(INVOKE, &[("authorization", &text)]);
        kind(judge(&head, SIGNED_AT, b"{\"a\": 1}"))
    };
    assert_eq!(
        with("AKIDEXAMPLE", "AKIDOTHER"),
        ErrorKind::UnrecognizedClient
    );
    assert_eq!(with("Signature=", "Sig="), ErrorKind::IncompleteSignature);
    assert_eq!(with("Credential=", ""), ErrorKind::IncompleteSignature);
    assert_eq!(
        with("AWS4-HMAC-SHA256", "AWS4-X"),
        ErrorKind::IncompleteSignature
    );
    assert_eq!(with("/aws4_request", ""), ErrorKind::IncompleteSignature);
    assert_eq!(with("/lambda/", "/s3/"), ErrorKind::InvalidSignature);
    assert_eq!(with("host;", ""), ErrorKind::InvalidSignature);
    assert_eq!(with("8fe967", "8FE967"), ErrorKind::InvalidSignature);
    for (header, value, wanted) in [
        ("authorization", "", ErrorKind::MissingAuthenticationToken),
        ("x-amz-date", "", ErrorKind::IncompleteSignature),
        ("x-amz-date", "yesterday", ErrorKind::IncompleteSignature),
    ] {
        let head = invoke_with(INVOKE, &[(header, value)]);
        assert_eq!(
            kind(judge(&head, SIGNED_AT, b"")),
            wanted,
            "{header}: {value}"
        );
    }
}

#[test]
fn open_mode_takes_the_account_from_the_key_and_the_region_from_the_scope() {
    let open = Authenticator::new(&[]);
    let caller = |headers: &[(&str, &str)]| {
        let claim = open
            .claim(&head(&Method::GET, "/", headers), at(0))
            .unwrap();
        assert!(!claim.covers_body());
        let (caller, _) = claim.verify(received(b"", false)).unwrap();
        (caller.account.to_string(), caller.region.to_string())
    };
    let both = |account: &str, region: &str| (account.to_owned(), region.to_owned());
    let scope = |key: &str| {
        format!(
            "AWS4-HMAC-SHA256 Credential={key}/20000101/eu-north-1/lambda/aws4_request, Signature=0"
        )
    };
    let default = both("123456789012", "us-east-1");
    assert_eq!(caller(&[]), default);
    assert_eq!(caller(&[("authorization", "Bearer x")]), default);
    assert_eq!(
        caller(&[("authorization", &scope("test"))]),
        both("123456789012", "eu-north-1")
    );
    assert_eq!(
        caller(&[("authorization", &scope("000000000007"))]),
        both("000000000007", "eu-north-1")
    );
}

#[test]
fn open_mode_keeps_web_pages_out() {
    let open = Authenticator::new(&[]);
    let passes = |headers: &[(&str, &str)]| {
        open.claim(&head(&Method::POST, "/", headers), at(0))
            .is_ok()
    };
    let local = ("host", "localhost:9000");
    assert!(passes(&[local, ("origin", "http://localhost:9000")]));
    assert!(passes(&[
        ("host", "[::1]:9000"),
        ("origin", "http://127.0.0.1:9000")
    ]));
    assert!(passes(&[local, ("sec-fetch-site", "none")]));
    assert!(!passes(&[local, ("origin", "http://evil.example")]));
    assert!(!passes(&[local, ("origin", "null")]));
    // A name that was made to resolve to loopback.
    assert!(!passes(&[
        ("host", "evil.example"),
        ("sec-fetch-site", "same-origin")
    ]));
    assert!(!passes(&[
        ("host", "evil.example"),
        ("origin", "http://evil.example")
    ]));
}

#[test]
fn open_mode_listens_on_loopback_only() {
    for local in [
        "127.0.0.1:9000",
        "127.9.9.9:1",
        "[::1]:9000",
        "[::ffff:127.0.0.1]:1",
    ] {
        assert_eq!(refuse_open_listen(local.parse().unwrap(), false), Ok(()));
    }
    for open in ["0.0.0.0:9000", "[::]:9000", "192.168.0.1:9000"] {
        let address = open.parse().unwrap();
        assert_eq!(
            refuse_open_listen(address, false),
            Err(OpenListenRefused { address })
        );
        assert_eq!(refuse_open_listen(address, true), Ok(()));
    }
}

proptest! {
    #[test]
    fn no_authorization_header_makes_the_parser_panic(
        noise in ".{0,80}",
        parts in proptest::collection::vec(
            prop_oneof![
                "(Credential|SignedHeaders|Signature)=[ -~]{0,30}(, ?)?",
                "[A-Za-z0-9/=;, ]{0,20}",
            ],
            0..5,
        ),
        date in proptest::option::of("[0-9]{8}T[0-9]{6}Z|.{0,20}"),
    ) {
        for text in [noise.clone(), format!("AWS4-HMAC-SHA256 {}", parts.concat())] {
            if let Ok(signed) = Signed::from_header(&text, date.as_deref()) {
                let _ = signed.check_time(at(SIGNED_AT));
            }
        }
    }

    #[test]
    fn no_query_makes_the_parser_panic(
        query in "((X-Amz-(Algorithm|Credential|Date|Expires|SignedHeaders|Signature)|a)=[ -~]{0,20}&){0,8}",
    ) {
        if let Ok(signed) = Signed::from_query(&query) {
            let mut out = String::new();
            canonical::query_string(&query, &signed, &mut out);
        }
    }

    #[test]
    fn canonical_paths_have_no_dot_segments(raw in "/[a-z./%]{0,30}") {
        let mut out = String::new();
        canonical::path(&raw, &mut out);
        prop_assert!(out.starts_with('/'));
        prop_assert!(!out.contains("//"));
        prop_assert!(out.split('/').all(|segment| segment != "." && segment != ".."));
    }
}
