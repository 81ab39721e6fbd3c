//! The canonical form of a request's head: what both sides of a signature hash.

use std::fmt::Write;

use http::request::Parts;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pilotlight_model::{ErrorKind, LambdaError};

use super::credential::Signed;
use crate::query;

/// Everything but RFC 3986's unreserved characters is encoded.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// The canonical request up to, and without, the payload's hash.
pub(super) fn head(head: &Parts, signed: &Signed) -> Result<String, LambdaError> {
    covered(head, signed)?;
    let mut out = String::with_capacity(512);
    out.push_str(head.method.as_str());
    out.push('\n');
    path(head.uri.path(), &mut out);
    out.push('\n');
    query_string(head.uri.query().unwrap_or(""), signed, &mut out);
    out.push('\n');
    for name in &signed.headers {
        header(head, name, &mut out)?;
    }
    out.push('\n');
    out.push_str(&signed.headers.join(";"));
    out.push('\n');
    Ok(out)
}

/// What the service acts on must be signed: the host, and every `x-amz-` header.
fn covered(head: &Parts, signed: &Signed) -> Result<(), LambdaError> {
    let is_signed = |name: &str| signed.headers.iter().any(|signed| signed == name);
    let mut needed = head
        .headers
        .keys()
        .map(|name| name.as_str())
        .filter(|name| name.starts_with("x-amz-"))
        .chain(["host"]);
    match needed.find(|name| !is_signed(name)) {
        None => Ok(()),
        Some(name) => Err(LambdaError::new(
            ErrorKind::InvalidSignature,
            format!("'{name}' must be a 'SignedHeader' in the AWS Authorization."),
        )),
    }
}

/// Services other than S3 encode the path, which came encoded, once more, without its dot segments and
/// doubled slashes.
pub(super) fn path(raw: &str, out: &mut String) {
    let mut segments: Vec<&str> = Vec::new();
    for segment in raw.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            _ => segments.push(segment),
        }
    }
    for segment in &segments {
        out.push('/');
        out.extend(utf8_percent_encode(segment, ENCODED));
    }
    if segments.is_empty() || raw.ends_with('/') {
        out.push('/');
    }
}

/// Pairs sorted by their encoded form; a presigned request's own signature is not part of it.
pub(super) fn query_string(raw: &str, signed: &Signed, out: &mut String) {
    let encode = |text: &str| utf8_percent_encode(text, ENCODED).to_string();
    let mut pairs: Vec<(String, String)> = query::pairs(raw)
        .filter(|(name, _)| signed.expires.is_none() || name != "X-Amz-Signature")
        .map(|(name, value)| (encode(&name), encode(&value)))
        .collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        let separator = if index == 0 { "" } else { "&" };
        write!(out, "{separator}{name}={value}").expect("writing to a string cannot fail");
    }
}

/// `name:value`, several values joined by commas, runs of spaces as one.
fn header(head: &Parts, name: &str, out: &mut String) -> Result<(), LambdaError> {
    out.push_str(name);
    for (index, value) in head.headers.get_all(name).iter().enumerate() {
        out.push(if index == 0 { ':' } else { ',' });
        let text = std::str::from_utf8(value.as_bytes()).map_err(|_| {
            LambdaError::new(
                ErrorKind::InvalidSignature,
                format!("The signed header '{name}' is not UTF-8."),
            )
        })?;
        for (index, word) in text.split(' ').filter(|word| !word.is_empty()).enumerate() {
            if index > 0 {
                out.push(' ');
            }
            out.push_str(word);
        }
    }
    // A header that was signed and is not there cannot match; an empty line keeps the form.
    if !head.headers.contains_key(name) {
        out.push(':');
    }
    out.push('\n');
    Ok(())
}
