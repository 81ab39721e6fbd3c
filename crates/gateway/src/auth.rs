//! Who is calling: AWS Signature Version 4 where access keys are configured, and the open local default.
//! Source: "Signature Version 4 signing process" in the AWS IAM user guide.
//!
//! A request is judged in two steps, because a signature covers the body and nothing of an unknown
//! caller's body should be read: [`Authenticator::claim`] judges the head, [`Claim::verify`] the rest.

mod canonical;
mod chunked;
mod credential;
mod open;
mod signature;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use http::request::Parts;
use parking_lot::RwLock;
use pilotlight_model::ids::{AccountId, Region};
use pilotlight_model::node::Caller;
use pilotlight_model::service::ApiId;
use pilotlight_model::{ErrorKind, LambdaError};

use crate::body::Received;
use crate::config::{AccessKey, Secret};
use crate::own;
use chunked::Encoding;
use credential::Signed;
pub(crate) use open::region as region_of;
pub(crate) use open::service as service_of;
pub use open::{OpenListenRefused, refuse_open_listen};
use sha2::{Digest, Sha256};
use signature::{Chain, Signature};

/// What a credential scope may name besides the service of the API that is called, for Pilotlight's own.
const OWN_SERVICE: &str = "pilotlight";
const CONTENT_SHA256: &str = "x-amz-content-sha256";

/// Establishes the caller of a request.
pub(crate) struct Authenticator {
    /// Requests must be signed with one of these keys. Without any, everyone on this machine may call, and
    /// the access key id names the account. Locked to take or replace the pointer.
    keys: RwLock<Option<Arc<Keys>>>,
}

/// Secrets and their accounts, by access key id.
type Keys = HashMap<String, (Secret, AccountId)>;

/// A caller whose head has been judged. What a claim says counts once [`Claim::verify`] returned it.
pub(crate) struct Claim {
    caller: Caller,
    proof: Proof,
    encoding: Option<Encoding>,
}

/// What is still to be shown.
enum Proof {
    Nothing,
    /// The signature holds for a body of this hash.
    Body([u8; 32]),
    /// The signature covers the hash of a body that has not been seen.
    Signature(Box<Signature>),
    /// The signature holds, and every chunk of the body has one of its own.
    Chunks(Chain),
}

impl Authenticator {
    /// Open when there are no keys.
    pub(crate) fn new(keys: &[AccessKey]) -> Self {
        let this = Self {
            keys: RwLock::default(),
        };
        this.replace(keys);
        this
    }

    /// From now on these keys count. The first ones close what was open; what is closed never opens again,
    /// although its last key is taken away.
    pub(crate) fn replace(&self, keys: &[AccessKey]) {
        let entry = |key: &AccessKey| (key.id.clone(), (key.secret.clone(), key.account.clone()));
        let mut current = self.keys.write();
        if current.is_some() || !keys.is_empty() {
            *current = Some(Arc::new(keys.iter().map(entry).collect()));
        }
    }

    /// Whether callers must show a key.
    pub(crate) fn keyed(&self) -> bool {
        self.keys.read().is_some()
    }

    /// Judges what a request's head shows.
    pub(crate) fn claim(&self, head: &Parts, now: SystemTime) -> Result<Claim, LambdaError> {
        let keys = self.keys.read().clone();
        match keys {
            None => Ok(Claim {
                caller: open::caller(head)?,
                proof: Proof::Nothing,
                encoding: Encoding::of(&head.headers)?,
            }),
            Some(keys) => keyed(&keys, head, now, service(head)).map(|(claim, _)| claim),
        }
    }

    /// The same for a request to a function URL that asks for a signature, which web pages of all the world may send.
    /// Returns the id of the access key too. An open gateway takes any signature, and still asks for one: who has
    /// forgotten to sign learns it here and not on AWS.
    pub(crate) fn claim_of_url(
        &self,
        head: &Parts,
        now: SystemTime,
    ) -> Result<(Claim, String), LambdaError> {
        let keys = self.keys.read().clone();
        if let Some(keys) = keys {
            return keyed(&keys, head, now, ApiId::Lambda.signing_name());
        }
        let (key, caller) = open::credential_of(head)?;
        let claim = Claim {
            caller,
            proof: Proof::Nothing,
            encoding: Encoding::of(&head.headers)?,
        };
        Ok((claim, key))
    }
}

impl Claim {
    /// That of a function that came through its inner door, and is known by that: no signature is looked at.
    pub(crate) fn of_function(head: &Parts, caller: Caller) -> Result<Self, LambdaError> {
        Ok(Self {
            caller,
            proof: Proof::Nothing,
            encoding: Encoding::of(&head.headers)?,
        })
    }

    /// Whether [`Claim::verify`] needs the SHA-256 of the body.
    pub(crate) fn covers_body(&self) -> bool {
        matches!(self.proof, Proof::Body(_) | Proof::Signature(_))
    }

    /// Bytes that the body may have as it is sent, where it may have `limit` itself.
    pub(crate) fn limit(&self, limit: usize) -> usize {
        self.encoding.map_or(limit, |_| Encoding::limit(limit))
    }

    /// The caller and the body itself, once that is known to be the one that was signed.
    pub(crate) fn verify(self, mut received: Received) -> Result<(Caller, Received), LambdaError> {
        let chain = match (self.proof, received.sha256) {
            (Proof::Nothing, _) => None,
            (Proof::Chunks(chain), _) => Some(chain),
            (Proof::Body(signed), Some(body)) if signed == body => None,
            (Proof::Signature(signature), Some(body)) => {
                signature.verify(&signature::hex(&body))?;
                None
            }
            _ => return Err(signature::mismatch()),
        };
        if let Some(encoding) = self.encoding {
            received.bytes = encoding.decode(&received.bytes, chain)?;
        }
        Ok((self.caller, received))
    }
}

/// The caller of a request that is all there, and its body itself: what the front door finds out in steps.
///
/// # Errors
/// The request is not signed with one of the keys, or does not read; in open mode, it comes from a web page.
pub fn authenticate(
    keys: &[AccessKey],
    request: http::Request<Bytes>,
    now: SystemTime,
) -> Result<(Caller, Bytes), LambdaError> {
    let (head, bytes) = request.into_parts();
    let claim = Authenticator::new(keys).claim(&head, now)?;
    let sha256 = claim.covers_body().then(|| Sha256::digest(&bytes).into());
    let received = Received {
        bytes,
        sha256,
        share: None,
    };
    let (caller, received) = claim.verify(received)?;
    Ok((caller, received.bytes))
}

/// The claim of a signed request, and the id of the key that its signature is judged by: there is one reader of what a
/// request says of itself, so that nobody is told of another key than the one that was verified.
fn keyed(
    keys: &Keys,
    head: &Parts,
    now: SystemTime,
    service: &str,
) -> Result<(Claim, String), LambdaError> {
    let signed = Signed::read(head)?;
    signed.check_time(now)?;
    let scope = &signed.credential;
    check_service(head, service, &scope.service)?;
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
        function: None,
    };
    let encoding = Encoding::of(&head.headers)?;
    let proof = match announced(head)? {
        None => Proof::Signature(Box::new(signature)),
        Some(announced) => {
            // Judged before the body is read: a stranger's body is not even looked at.
            signature.verify(announced)?;
            match signature::unhex(announced) {
                Some(hash) => Proof::Body(hash),
                None if encoding.is_some() => Proof::Chunks(signature.chain()),
                None => Proof::Nothing,
            }
        }
    };
    let claim = Claim {
        caller,
        proof,
        encoding,
    };
    Ok((claim, signed.credential.key_id))
}

/// The service that an API request is signed for.
fn service(head: &Parts) -> &'static str {
    ApiId::of(&head.method, &head.uri, &head.headers).signing_name()
}

/// A signature for one service opens no other.
fn check_service(head: &Parts, service: &str, signed: &str) -> Result<(), LambdaError> {
    if signed == service || signed == OWN_SERVICE && own::is_own(head.uri.path()) {
        return Ok(());
    }
    Err(LambdaError::new(
        ErrorKind::InvalidSignature,
        format!("Credential should be scoped to correct service: '{service}'."),
    ))
}

/// What the client says that it signed in the body's place: 64 hexadecimal digits, `UNSIGNED-PAYLOAD`, or the name of
/// an encoding in chunks.
fn announced(head: &Parts) -> Result<Option<&str>, LambdaError> {
    let Some(value) = head.headers.get(CONTENT_SHA256) else {
        return Ok(None);
    };
    let known = |text: &&str| {
        *text == "UNSIGNED-PAYLOAD"
            || text.starts_with("STREAMING-")
            || signature::unhex(text).is_some()
    };
    match value.to_str().ok().filter(known) {
        Some(text) => Ok(Some(text)),
        None => Err(LambdaError::new(
            ErrorKind::IncompleteSignature,
            "x-amz-content-sha256 must be UNSIGNED-PAYLOAD, a SHA-256 in hexadecimal, or a known STREAMING-….",
        )),
    }
}
