//! Who is calling: AWS Signature Version 4 where access keys are configured, and the open local default.
//! Source: "Signature Version 4 signing process" in the AWS IAM user guide.
//!
//! A request is judged in two steps, because a signature covers the body and nothing of an unknown
//! caller's body should be read: [`Authenticator::claim`] judges the head, [`Claim::verify`] the rest.

mod canonical;
mod credential;
mod open;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::time::SystemTime;

use http::request::Parts;
use pilotlight_model::ids::{AccountId, Region};
use pilotlight_model::node::Caller;
use pilotlight_model::service::ApiId;
use pilotlight_model::{ErrorKind, LambdaError};

use crate::config::{AccessKey, Secret};
use crate::own;
use credential::Signed;
pub use open::{OpenListenRefused, refuse_open_listen};
use signature::Signature;

/// What a credential scope may name besides the service of the API that is called, for Pilotlight's own.
const OWN_SERVICE: &str = "pilotlight";
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// Establishes the caller of a request.
pub(crate) enum Authenticator {
    /// Everyone on this machine may call; the access key id names the account.
    Open,
    /// Requests must be signed with one of these keys.
    Keyed(HashMap<String, (Secret, AccountId)>),
}

/// A caller whose head has been judged. What a claim says counts once [`Claim::verify`] returned it.
pub(crate) struct Claim {
    caller: Caller,
    proof: Proof,
}

/// What is still to be shown.
enum Proof {
    Nothing,
    /// The signature holds for a body of this hash.
    Body([u8; 32]),
    /// The signature covers the hash of a body that has not been seen.
    Signature(Box<Signature>),
}

impl Authenticator {
    /// Open when there are no keys.
    pub(crate) fn new(keys: &[AccessKey]) -> Self {
        if keys.is_empty() {
            return Self::Open;
        }
        let entry = |key: &AccessKey| (key.id.clone(), (key.secret.clone(), key.account.clone()));
        Self::Keyed(keys.iter().map(entry).collect())
    }

    /// Whether callers must show a key.
    pub(crate) fn keyed(&self) -> bool {
        matches!(self, Self::Keyed(_))
    }

    /// Judges what a request's head shows.
    pub(crate) fn claim(&self, head: &Parts, now: SystemTime) -> Result<Claim, LambdaError> {
        match self {
            Self::Open => Ok(Claim {
                caller: open::caller(head)?,
                proof: Proof::Nothing,
            }),
            Self::Keyed(keys) => keyed(keys, head, now),
        }
    }
}

impl Claim {
    /// Whether [`Claim::verify`] needs the SHA-256 of the body.
    pub(crate) fn covers_body(&self) -> bool {
        !matches!(self.proof, Proof::Nothing)
    }

    /// The caller, once the body is known to be the one that was signed.
    pub(crate) fn verify(self, body: Option<[u8; 32]>) -> Result<Caller, LambdaError> {
        match (self.proof, body) {
            (Proof::Nothing, _) => Ok(self.caller),
            (Proof::Body(signed), Some(body)) if signed == body => Ok(self.caller),
            (Proof::Signature(signature), Some(body)) => {
                signature.verify(&signature::hex(&body))?;
                Ok(self.caller)
            }
            _ => Err(signature::mismatch()),
        }
    }
}

fn keyed(
    keys: &HashMap<String, (Secret, AccountId)>,
    head: &Parts,
    now: SystemTime,
) -> Result<Claim, LambdaError> {
    let signed = Signed::read(head)?;
    signed.check_time(now)?;
    let scope = &signed.credential;
    check_service(head, &scope.service)?;
    let region: Region = scope.region.parse().map_err(|_| {
        LambdaError::new(
            ErrorKind::InvalidSignature,
            "Credential should be scoped to a valid region.",
        )
    })?;
    let (secret, account) = keys.get(&scope.key_id).ok_or_else(|| {
        LambdaError::new(
            ErrorKind::UnrecognizedClient,
            "The security token included in the request is invalid.",
        )
    })?;
    let signature = Signature::new(&signed, canonical::head(head, &signed)?, secret.reveal())?;
    let caller = Caller {
        account: account.clone(),
        region,
    };
    let proof = match announced_hash(head)? {
        None => Proof::Signature(Box::new(signature)),
        Some(announced) => {
            // Judged before the body is read: a stranger's body is not even looked at.
            signature.verify(announced)?;
            match signature::unhex(announced) {
                Some(hash) => Proof::Body(hash),
                None => Proof::Nothing,
            }
        }
    };
    Ok(Claim { caller, proof })
}

/// A signature for one service opens no other.
fn check_service(head: &Parts, signed: &str) -> Result<(), LambdaError> {
    let service = ApiId::of(&head.method, &head.uri, &head.headers).signing_name();
    if signed == service || signed == OWN_SERVICE && own::is_own(head.uri.path()) {
        return Ok(());
    }
    Err(LambdaError::new(
        ErrorKind::InvalidSignature,
        format!("Credential should be scoped to correct service: '{service}'."),
    ))
}

/// The payload hash that the client says it signed: 64 hexadecimal digits or `UNSIGNED-PAYLOAD`.
fn announced_hash(head: &Parts) -> Result<Option<&str>, LambdaError> {
    let Some(value) = head.headers.get(CONTENT_SHA256) else {
        return Ok(None);
    };
    match value.to_str() {
        Ok("UNSIGNED-PAYLOAD") => Ok(Some("UNSIGNED-PAYLOAD")),
        Ok(text) if signature::unhex(text).is_some() => Ok(Some(text)),
        Ok(text) if text.starts_with("STREAMING-") => Err(LambdaError::new(
            ErrorKind::InvalidRequestContent,
            "Payloads signed in chunks (x-amz-content-sha256: STREAMING-…) are not supported: \
             sign the whole payload, or send UNSIGNED-PAYLOAD.",
        )),
        _ => Err(LambdaError::new(
            ErrorKind::IncompleteSignature,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD or a SHA-256 in hexadecimal.",
        )),
    }
}
