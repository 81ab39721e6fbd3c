//! AWS Signature Version 4 for the requests of the command line.
//! Source: "Create a signed AWS API request" in the AWS IAM user guide.

use std::fmt::Write;
use std::time::SystemTime;

use anyhow::Context;
use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{HeaderName, HeaderValue, Request};
use pilotlight_model::service::ApiId;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::macros::format_description;

use super::encode;

/// An access key.
#[derive(Clone)]
pub(super) struct Credentials {
    pub(super) id: String,
    pub(super) secret: String,
    /// Of temporary credentials.
    pub(super) token: Option<String>,
}

/// Signs requests for one region, each for the service whose operation it is.
#[derive(Clone)]
pub(super) struct Signer {
    credentials: Credentials,
    region: String,
}

impl Credentials {
    /// Those of the environment. Without any, a name that an open platform takes as it takes every other:
    /// the signature's scope is what tells the region.
    pub(super) fn from_env() -> Self {
        let text = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
        match (text("AWS_ACCESS_KEY_ID"), text("AWS_SECRET_ACCESS_KEY")) {
            (Some(id), Some(secret)) => Self {
                id,
                secret,
                token: text("AWS_SESSION_TOKEN"),
            },
            _ => Self {
                id: "local".to_owned(),
                secret: "local".to_owned(),
                token: None,
            },
        }
    }
}

impl Signer {
    pub(super) fn new(credentials: Credentials, region: String) -> Self {
        Self {
            credentials,
            region,
        }
    }

    /// Adds date, payload hash and `Authorization` to a request that is otherwise complete.
    pub(super) fn sign(&self, request: &mut Request<Bytes>, now: SystemTime) -> anyhow::Result<()> {
        let date = OffsetDateTime::from(now)
            .format(format_description!(
                "[year][month][day]T[hour][minute][second]Z"
            ))
            .context("the clock's date cannot be written")?;
        let payload = hex(&Sha256::digest(request.body()));
        let headers = request.headers_mut();
        headers.insert("x-amz-date", HeaderValue::from_str(&date)?);
        headers.insert("x-amz-content-sha256", HeaderValue::from_str(&payload)?);
        if let Some(token) = &self.credentials.token {
            headers.insert("x-amz-security-token", HeaderValue::from_str(token)?);
        }

        let service = ApiId::of(request.method(), request.uri(), request.headers()).signing_name();
        let (canonical, signed) = canonical(request, &payload);
        let scope = format!("{}/{}/{service}/aws4_request", &date[..8], self.region);
        let text = format!(
            "AWS4-HMAC-SHA256\n{date}\n{scope}\n{}",
            hex(&Sha256::digest(canonical))
        );
        let signature = hex(&hmac(&self.key(&date[..8], service), &text));
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={signed}, Signature={signature}",
            self.credentials.id
        );
        request.headers_mut().insert(
            http::header::AUTHORIZATION,
            HeaderValue::from_str(&authorization)?,
        );
        Ok(())
    }

    fn key(&self, day: &str, service: &str) -> [u8; 32] {
        let secret = format!("AWS4{}", self.credentials.secret);
        let parts = [day, &self.region, service, "aws4_request"];
        let first = hmac(secret.as_bytes(), parts[0]);
        parts[1..].iter().fold(first, |key, part| hmac(&key, part))
    }
}

/// The canonical request and the names of its signed headers, which are all.
fn canonical(request: &Request<Bytes>, payload: &str) -> (String, String) {
    let mut headers: Vec<(&HeaderName, &HeaderValue)> = request.headers().iter().collect();
    headers.sort_by_key(|(name, _)| name.as_str());
    let signed = headers
        .iter()
        .map(|(name, _)| name.as_str())
        .collect::<Vec<_>>()
        .join(";");

    let uri = request.uri();
    // The path, encoded as it is, is encoded once more: so it is for every service but S3.
    let path = uri
        .path()
        .split('/')
        .map(encode)
        .collect::<Vec<_>>()
        .join("/");
    let mut query: Vec<String> = uri
        .query()
        .unwrap_or_default()
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            if pair.contains('=') {
                pair.to_owned()
            } else {
                format!("{pair}=")
            }
        })
        .collect();
    query.sort();

    let mut text = format!("{}\n{path}\n{}\n", request.method(), query.join("&"));
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        let value = value.split_whitespace().collect::<Vec<_>>().join(" ");
        text.push_str(name.as_str());
        text.push(':');
        text.push_str(&value);
        text.push('\n');
    }
    text.push('\n');
    text.push_str(&signed);
    text.push('\n');
    text.push_str(payload);
    (text, signed)
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    let mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.chain_update(text).finalize().into_bytes().into()
}

fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// The expected signature is botocore's for the same request, key and time.
    #[test]
    fn signs_as_botocore_does() {
        let credentials = Credentials {
            id: "AKIDEXAMPLE".to_owned(),
            secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY".to_owned(),
            token: Some("token==".to_owned()),
        };
        let signer = Signer::new(credentials, "eu-west-1".to_owned());
        let function = encode("arn:aws:lambda:eu-west-1:123456789012:function:ü");
        let uri = format!(
            "http://127.0.0.1:9000/2015-03-31/functions/{function}/invocations?Qualifier={}&A=b%20c",
            encode("$LATEST")
        );
        let mut request = Request::post(uri)
            .header("host", "127.0.0.1:9000")
            .header("x-amz-log-type", "Tail")
            .body(Bytes::from_static(b"{\"a\": 1}"))
            .unwrap();
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_767_225_600);
        signer.sign(&mut request, time).unwrap();
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert_eq!(authorization, EXPECTED);
    }

    const EXPECTED: &str = "AWS4-HMAC-SHA256 \
        Credential=AKIDEXAMPLE/20260101/eu-west-1/lambda/aws4_request, \
        SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-log-type;x-amz-security-token, \
        Signature=f051dd6d674a306d41b02363a0fbac664c1cf448e2183e253bc0ab5e38c7f166";
}
