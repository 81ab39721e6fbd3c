//! Reading a signature's parts from the `Authorization` header or from a presigned query string.

use std::time::{Duration, SystemTime};

use http::header::AUTHORIZATION;
use http::request::Parts;
use pilotlight_model::{ErrorKind, LambdaError};
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;
use time::{OffsetDateTime, PrimitiveDateTime};

use crate::query;

/// The one algorithm: HMAC with SHA-256.
pub(super) const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far a signer's clock may be off.
const SKEW: Duration = Duration::from_secs(15 * 60);
/// Longest life of a presigned request.
const LONGEST_EXPIRY: u64 = 7 * 24 * 60 * 60;
const FORMAT: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");

/// What a signed request says of its signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Signed {
    pub(super) credential: Credential,
    /// Lower case names in the order in which they were signed.
    pub(super) headers: Vec<String>,
    /// Hexadecimal.
    pub(super) signature: String,
    /// `X-Amz-Date`, as text: the signature covers the text.
    pub(super) date: String,
    /// Seconds of validity: present on presigned requests only.
    pub(super) expires: Option<u64>,
}

/// A credential scope: `key id/date/region/service/aws4_request`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Credential {
    pub(super) key_id: String,
    pub(super) date: String,
    pub(super) region: String,
    pub(super) service: String,
}

impl Signed {
    /// Reads them from wherever the request has them.
    pub(super) fn read(head: &Parts) -> Result<Self, LambdaError> {
        let query = head.uri.query().unwrap_or("");
        if let Some(value) = head.headers.get(AUTHORIZATION) {
            let text = value
                .to_str()
                .map_err(|_| incomplete("Authorization header is not text."))?;
            let date = head.headers.get("x-amz-date");
            Self::from_header(text, date.and_then(|date| date.to_str().ok()))
        } else if query::pairs(query).any(|(name, _)| name == "X-Amz-Algorithm") {
            Self::from_query(query)
        } else {
            Err(LambdaError::new(
                ErrorKind::MissingAuthenticationToken,
                "Missing Authentication Token",
            ))
        }
    }

    /// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`, and `X-Amz-Date`.
    pub(super) fn from_header(text: &str, date: Option<&str>) -> Result<Self, LambdaError> {
        let (algorithm, rest) = text.split_once(' ').unwrap_or((text, ""));
        check_algorithm(algorithm)?;
        let part = |name: &str| {
            rest.split(',')
                .filter_map(|part| part.trim().split_once('='))
                .find(|(given, _)| *given == name)
                .map(|(_, value)| value)
        };
        let given = (part("Credential"), part("SignedHeaders"), part("Signature"));
        let (Some(credential), Some(headers), Some(signature), Some(date)) =
            (given.0, given.1, given.2, date)
        else {
            let missing = [
                (
                    given.0.is_none(),
                    "Authorization header requires 'Credential' parameter.",
                ),
                (
                    given.2.is_none(),
                    "Authorization header requires 'Signature' parameter.",
                ),
                (
                    given.1.is_none(),
                    "Authorization header requires 'SignedHeaders' parameter.",
                ),
                (
                    date.is_none(),
                    "Authorization header requires existence of a 'X-Amz-Date' header.",
                ),
            ];
            let named: Vec<&str> = missing
                .iter()
                .filter_map(|&(missing, words)| missing.then_some(words))
                .collect();
            return Err(incomplete(named.join(" ")));
        };
        Ok(Self {
            credential: credential.parse()?,
            headers: signed_headers(headers),
            signature: signature.to_owned(),
            date: date.to_owned(),
            expires: None,
        })
    }

    /// `X-Amz-Algorithm=…&X-Amz-Credential=…` and so on.
    pub(super) fn from_query(query: &str) -> Result<Self, LambdaError> {
        let part = |name: &str| {
            query::value(query, name).ok_or_else(|| {
                incomplete(format!(
                    "AWS query-string parameters must include '{name}'. \
                     Re-examine the query-string parameters."
                ))
            })
        };
        check_algorithm(&part("X-Amz-Algorithm")?)?;
        let expires = part("X-Amz-Expires")?
            .parse()
            .ok()
            .filter(|seconds| (1..=LONGEST_EXPIRY).contains(seconds))
            .ok_or_else(|| incomplete("X-Amz-Expires must be between 1 and 604800 seconds."))?;
        Ok(Self {
            credential: part("X-Amz-Credential")?.parse()?,
            headers: signed_headers(&part("X-Amz-SignedHeaders")?),
            signature: part("X-Amz-Signature")?.into_owned(),
            date: part("X-Amz-Date")?.into_owned(),
            expires: Some(expires),
        })
    }

    /// Whether the signature is of now: within the skew, or within the life of a presigned request.
    pub(super) fn check_time(&self, now: SystemTime) -> Result<(), LambdaError> {
        let signed: SystemTime = PrimitiveDateTime::parse(&self.date, FORMAT)
            .map_err(|_| incomplete("X-Amz-Date must be in ISO-8601 'basic format'."))?
            .assume_utc()
            .into();
        if !self.date.starts_with(&self.credential.date) {
            return Err(invalid(format!(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from \
                 HTTP: '{}' != '{}', from '{}'.",
                self.credential.date,
                self.date.get(..8).unwrap_or(&self.date),
                self.date
            )));
        }
        let valid = self.expires.map_or(SKEW, Duration::from_secs);
        if signed + valid < now {
            return Err(invalid(format!(
                "Signature expired: {} is now earlier than {} ({} - {} min.)",
                self.date,
                basic(now - valid),
                basic(now),
                valid.as_secs() / 60
            )));
        }
        if now + SKEW < signed {
            return Err(invalid(format!(
                "Signature not yet current: {} is still later than {} ({} + 15 min.)",
                self.date,
                basic(now + SKEW),
                basic(now)
            )));
        }
        Ok(())
    }
}

impl std::str::FromStr for Credential {
    type Err = LambdaError;

    fn from_str(text: &str) -> Result<Self, LambdaError> {
        let parts: Vec<&str> = text.split('/').collect();
        let [key_id, date, region, service, "aws4_request"] = parts[..] else {
            return Err(incomplete(
                "Credential must have exactly 5 slash-delimited elements, \
                 e.g. keyid/date/region/service/aws4_request.",
            ));
        };
        if date.len() != 8 {
            return Err(incomplete("Date in Credential scope must be YYYYMMDD."));
        }
        Ok(Self {
            key_id: key_id.to_owned(),
            date: date.to_owned(),
            region: region.to_owned(),
            service: service.to_owned(),
        })
    }
}

fn check_algorithm(given: &str) -> Result<(), LambdaError> {
    if given == ALGORITHM {
        return Ok(());
    }
    Err(incomplete(format!(
        "Unsupported AWS 'algorithm': '{given}'. Only {ALGORITHM} is supported."
    )))
}

fn signed_headers(text: &str) -> Vec<String> {
    text.split(';').map(str::to_owned).collect()
}

fn basic(time: SystemTime) -> String {
    OffsetDateTime::from(time)
        .format(FORMAT)
        .unwrap_or_default()
}

fn incomplete(message: impl Into<String>) -> LambdaError {
    LambdaError::new(ErrorKind::IncompleteSignature, message)
}

fn invalid(message: impl Into<String>) -> LambdaError {
    LambdaError::new(ErrorKind::InvalidSignature, message)
}
