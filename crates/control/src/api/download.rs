//! `Code.Location`: a URL on this endpoint that serves the original zip for ten minutes, signed so that
//! only who was shown it can use it.

use bytes::Bytes;
use hmac::{Hmac, Mac};
use http::{Response, Uri, header};
use pilotlight_model::node::CODE_PATH;
use pilotlight_model::{Digest, ErrorKind, LambdaError};
use sha2::Sha256;

use crate::control::Parts;

/// AWS's links last as long.
const LASTS_MS: u64 = 10 * 60 * 1000;

/// A URL under which the package can be fetched now.
pub(super) fn location(parts: &Parts, package: &Digest) -> String {
    let expires_ms = parts.config.clock.unix_ms() + LASTS_MS;
    let signature: String = signed(&parts.secret, package.as_str(), expires_ms)
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let endpoint = parts.config.endpoint_url.trim_end_matches('/');
    format!("{endpoint}{CODE_PATH}{package}?expires={expires_ms}&signature={signature}")
}

/// Serves a package to who holds a valid URL.
pub(super) async fn serve(parts: &Parts, uri: &Uri) -> Result<Response<Bytes>, LambdaError> {
    let denied = || {
        LambdaError::new(
            ErrorKind::AccessDenied,
            "The link is not valid or has expired.",
        )
    };
    let package: Digest = uri
        .path()
        .strip_prefix(CODE_PATH)
        .and_then(|text| text.parse().ok())
        .ok_or_else(denied)?;
    let parameter = |name: &str| {
        let mut pairs = uri
            .query()
            .unwrap_or_default()
            .split('&')
            .filter_map(|it| it.split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value)
    };
    let expires_ms: u64 = parameter("expires")
        .and_then(|text| text.parse().ok())
        .ok_or_else(denied)?;
    let signature = parameter("signature").and_then(unhex).ok_or_else(denied)?;
    signed(&parts.secret, package.as_str(), expires_ms)
        .verify_slice(&signature)
        .map_err(|_| denied())?;
    if parts.config.clock.unix_ms() > expires_ms {
        return Err(denied());
    }
    let zip = parts.packages.zip(&package).await.map_err(|_| {
        LambdaError::new(
            ErrorKind::ResourceNotFound,
            "The package is no longer there.",
        )
    })?;
    let mut response = Response::new(zip);
    let kind = http::HeaderValue::from_static("application/zip");
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    Ok(response)
}

fn signed(secret: &str, package: &str, expires_ms: u64) -> Hmac<Sha256> {
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("HMAC takes keys of any length");
    mac.update(format!("{package}\n{expires_ms}").as_bytes());
    mac
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
    text.as_bytes()
        .chunks(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(*pair.get(1)?)?))
        .collect()
}
