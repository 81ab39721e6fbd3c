//! A function URL as the API shows it, and what is made with it: its id and its address.

use pilotlight_model::url::{AuthType, Cors, InvokeMode};
use pilotlight_model::{AliasName, UrlId, Version, VersionKey};
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::catalog::urls::UrlRecord;
use crate::control::Parts;
use crate::dates;

/// As the API shows a function URL.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct UrlConfiguration {
    function_url: String,
    function_arn: String,
    auth_type: AuthType,
    #[serde(skip_serializing_if = "Option::is_none")]
    cors: Option<Cors>,
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_modified_time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    invoke_mode: Option<InvokeMode>,
}

impl UrlConfiguration {
    /// A URL as it is.
    pub(super) fn of(parts: &Parts, record: &UrlRecord) -> Self {
        let url = &record.url;
        let function = VersionKey {
            account: url.account.clone(),
            region: url.region.clone(),
            name: url.name.clone(),
            version: Version::Latest,
        };
        Self {
            function_url: parts.config.url_base.address(url),
            function_arn: arn(&function, url.alias.as_ref()),
            auth_type: url.auth,
            cors: url.cors.clone(),
            creation_time: dates::written(record.created_ms, dates::OF_URLS),
            last_modified_time: Some(dates::written(record.modified_ms, dates::OF_URLS)),
            invoke_mode: Some(url.mode),
        }
    }

    /// The answer to its creation. As on AWS it repeats the mode only where it was asked for.
    pub(super) fn created(parts: &Parts, record: &UrlRecord, asked: Option<InvokeMode>) -> Self {
        Self {
            last_modified_time: None,
            ..Self::updated(parts, record, asked)
        }
    }

    /// The answer to a change of it, of which the same holds.
    pub(super) fn updated(parts: &Parts, record: &UrlRecord, asked: Option<InvokeMode>) -> Self {
        Self {
            invoke_mode: asked,
            ..Self::of(parts, record)
        }
    }
}

/// ARN of a function, or of one of its aliases.
pub(in crate::api) fn arn(function: &VersionKey, alias: Option<&AliasName>) -> String {
    match alias {
        None => function.function_arn(),
        Some(alias) => format!("{}:{alias}", function.function_arn()),
    }
}

/// Nobody guesses it, and none is given twice: two random UUIDs hold 244 random bits, of which 32 digits of base 36 show
/// some 160.
pub(in crate::api) fn fresh_id() -> UrlId {
    const DIGITS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let random = Sha256::new()
        .chain_update(Uuid::new_v4())
        .chain_update(Uuid::new_v4())
        .finalize();
    let digit = |byte: &u8| char::from(DIGITS[usize::from(*byte) % DIGITS.len()]);
    let text: String = random.iter().map(digit).collect();
    text.parse().expect("32 lower-case letters and digits")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_of_the_right_form_and_differ() {
        let ids: std::collections::HashSet<String> =
            (0..1_000).map(|_| fresh_id().to_string()).collect();
        assert_eq!(ids.len(), 1_000);
    }
}
