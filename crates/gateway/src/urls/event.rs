//! The event that a function gets for an HTTP request: payload format 2.0.
//! Source: "Request payload format" in "Invoking Lambda function URLs" of the AWS Lambda developer guide.

use std::borrow::Cow;
use std::net::IpAddr;
use std::time::SystemTime;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, USER_AGENT};
use http::request::Parts;
use http::{HeaderMap, HeaderName};
use percent_encoding::percent_decode_str;
use pilotlight_model::RequestId;
use pilotlight_model::node::Caller;
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use crate::query;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[day]/[month repr:short]/[year]:[hour]:[minute]:[second] +0000");
const FORWARDED_FOR: &str = "x-forwarded-for";
/// What of a presigned query would let whoever reads it send the request again.
const PRESIGNED: [&str; 2] = ["X-Amz-Signature", "X-Amz-Security-Token"];

/// A request as the function is told of it.
#[derive(Debug)]
pub(super) struct Told<'a> {
    pub(super) head: &'a Parts,
    pub(super) body: &'a Bytes,
    /// Path, encoded as it came.
    pub(super) path: &'a str,
    /// Host name without port.
    pub(super) domain: &'a str,
    /// Id of the function URL.
    pub(super) id: &'a str,
    pub(super) peer: IpAddr,
    /// Port that the platform listens on.
    pub(super) port: u16,
    pub(super) request_id: RequestId,
    pub(super) trace: &'a str,
    pub(super) now: SystemTime,
    /// Who has signed the request, where that is asked for, and with which key.
    pub(super) signer: Option<(&'a Caller, &'a str)>,
}

impl Told<'_> {
    /// The event as JSON.
    pub(super) fn event(&self) -> Bytes {
        let query = self.query();
        let query = query.as_ref();
        let mut event = Map::new();
        let mut put = |name: &str, value: Value| drop(event.insert(name.to_owned(), value));
        put("version", json!("2.0"));
        put("routeKey", json!("$default"));
        put("rawPath", json!(self.path));
        put("rawQueryString", json!(query));
        let cookies = cookies(&self.head.headers);
        if !cookies.is_empty() {
            put("cookies", cookies.into());
        }
        put("headers", self.headers().into());
        if !query.is_empty() {
            put("queryStringParameters", parameters(query).into());
        }
        put("requestContext", self.context());
        let text = match is_text(&self.head.headers) {
            true => std::str::from_utf8(self.body).ok(),
            false => None,
        };
        let encoded = text.is_none() && !self.body.is_empty();
        if !self.body.is_empty() {
            let body = text.map_or_else(|| BASE64_STANDARD.encode(self.body), str::to_owned);
            put("body", body.into());
        }
        put("isBase64Encoded", encoded.into());
        Bytes::from(Value::Object(event).to_string())
    }

    /// The raw query. A signature that has been judged is left out, wherever it stood: the function could send the
    /// request again with it, in its caller's name.
    fn query(&self) -> Cow<'_, str> {
        let query = self.head.uri.query().unwrap_or_default();
        let signs = |pair: &&str| {
            let name = pair.split('=').next().unwrap_or_default();
            let name = percent_decode_str(name).decode_utf8_lossy();
            PRESIGNED.contains(&name.as_ref())
        };
        match self.signer.is_some() && query.split('&').any(|pair| signs(&pair)) {
            true => {
                let kept: Vec<&str> = query.split('&').filter(|pair| !signs(pair)).collect();
                kept.join("&").into()
            }
            false => query.into(),
        }
    }

    fn context(&self) -> Value {
        let utc = OffsetDateTime::from(self.now);
        let agent = self.head.headers.get(USER_AGENT);
        let agent = agent.map(|agent| String::from_utf8_lossy(agent.as_bytes()));
        let account = self.signer.map(|(caller, _)| caller.account.as_str());
        let mut context = json!({
            "accountId": account.unwrap_or("anonymous"),
            "apiId": self.id,
            "domainName": self.domain,
            "domainPrefix": self.id,
            "http": {
                "method": self.head.method.as_str(),
                // AWS decodes this one and leaves `rawPath` as it came.
                "path": percent_decode_str(self.path).decode_utf8_lossy(),
                "protocol": format!("{:?}", self.head.version),
                "sourceIp": self.peer.to_canonical().to_string(),
                "userAgent": agent,
            },
            "requestId": self.request_id.to_string(),
            "routeKey": "$default",
            "stage": "$default",
            "time": utc.format(TIME).unwrap_or_default(),
            "timeEpoch": utc.unix_timestamp_nanos() / 1_000_000,
        });
        if let Some((caller, key)) = self.signer {
            let Caller { account, .. } = caller;
            let root = format!("arn:aws:iam::{account}:root");
            context["authentication"] = Value::Null;
            context["authorizer"] = json!({ "iam": {
                "accessKey": key,
                "accountId": account,
                "callerId": account,
                "cognitoIdentity": null,
                "principalOrgId": null,
                "userArn": root,
                "userId": account,
            }});
        }
        context
    }

    /// By their names in lower case; what is given several times is joined with commas.
    fn headers(&self) -> Map<String, Value> {
        let mut found: Map<String, Value> = Map::new();
        for name in self.head.headers.keys() {
            // Cookies stand apart, a connection is nobody's business but its ends', and a signature that has been
            // judged is no more of use.
            let judged = self.signer.is_some() && name == AUTHORIZATION;
            if judged || [COOKIE, CONNECTION].contains(name) {
                continue;
            }
            found.insert(name.to_string(), joined(&self.head.headers, name).into());
        }
        let mut put = |name: &str, value: String| drop(found.insert(name.to_owned(), value.into()));
        put("x-amzn-trace-id", self.trace.to_owned());
        put("x-forwarded-proto", "http".to_owned());
        put("x-forwarded-port", self.port.to_string());
        let peer = self.peer.to_canonical();
        let forwarded = HeaderName::from_static(FORWARDED_FOR);
        let before = joined(&self.head.headers, &forwarded);
        put(
            FORWARDED_FOR,
            match before.is_empty() {
                true => peer.to_string(),
                false => format!("{before}, {peer}"),
            },
        );
        found
    }
}

fn joined(headers: &HeaderMap, name: &HeaderName) -> String {
    let values = headers.get_all(name).iter();
    let texts: Vec<_> = values
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .collect();
    texts.join(",")
}

fn cookies(headers: &HeaderMap) -> Vec<String> {
    let values = headers.get_all(COOKIE).iter();
    let values = values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let mut found = Vec::new();
    for value in values {
        let pairs = value
            .split(';')
            .map(str::trim)
            .filter(|pair| !pair.is_empty());
        found.extend(pairs.map(str::to_owned));
    }
    found
}

/// By name; what is given several times is joined with commas.
fn parameters(query: &str) -> Map<String, Value> {
    let mut found: Map<String, Value> = Map::new();
    for (name, value) in query::pairs(&query.replace('+', "%20")) {
        match found.get_mut(name.as_ref()) {
            Some(Value::String(values)) => {
                values.push(',');
                values.push_str(&value);
            }
            _ => drop(found.insert(name.into_owned(), value.into_owned().into())),
        }
    }
    found
}

/// Whether a body of that type is text; everything else goes to the function in base64.
fn is_text(headers: &HeaderMap) -> bool {
    let given = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    let essence = given
        .unwrap_or_default()
        .split(';')
        .next()
        .unwrap_or_default();
    let essence = essence.trim().to_ascii_lowercase();
    essence.starts_with("text/")
        || essence.ends_with("+json")
        || essence.ends_with("+xml")
        || [
            "application/json",
            "application/xml",
            "application/javascript",
        ]
        .contains(&essence.as_str())
}

#[cfg(test)]
mod tests;
