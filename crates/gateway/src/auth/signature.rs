//! The signature itself: key derivation and comparison.

use hmac::{Hmac, Mac};
use pilotlight_model::{ErrorKind, LambdaError};
use sha2::{Digest, Sha256};

use super::credential::{ALGORITHM, Signed};

/// A signature that holds or does not, once the payload's hash is known.
pub(super) struct Signature {
    /// The canonical request up to the payload's hash.
    canonical: String,
    /// The string to sign up to the canonical request's hash.
    prefix: String,
    key: [u8; 32],
    claimed: [u8; 32],
}

impl Signature {
    pub(super) fn new(
        signed: &Signed,
        canonical: String,
        secret: &str,
    ) -> Result<Self, LambdaError> {
        let scope = &signed.credential;
        let date = hmac(format!("AWS4{secret}").as_bytes(), &scope.date);
        let region = hmac(&date, &scope.region);
        let service = hmac(&region, &scope.service);
        Ok(Self {
            canonical,
            prefix: format!(
                "{ALGORITHM}\n{}\n{}/{}/{}/aws4_request\n",
                signed.date, scope.date, scope.region, scope.service
            ),
            key: hmac(&service, "aws4_request"),
            claimed: unhex(&signed.signature).ok_or_else(mismatch)?,
        })
    }

    /// Compares in constant time.
    pub(super) fn verify(&self, payload_hash: &str) -> Result<(), LambdaError> {
        let request = Sha256::new()
            .chain_update(&self.canonical)
            .chain_update(payload_hash)
            .finalize();
        mac(&self.key)
            .chain_update(&self.prefix)
            .chain_update(hex(&request.into()))
            .verify_slice(&self.claimed)
            .map_err(|_| mismatch())
    }
}

impl Signature {
    /// What the signatures of a body's chunks are linked to. Only for a signature that holds.
    pub(super) fn chain(self) -> Chain {
        Chain {
            scope: self
                .prefix
                .strip_prefix(ALGORITHM)
                .unwrap_or_default()
                .to_owned(),
            key: self.key,
            previous: self.claimed,
        }
    }
}

/// A row of signatures, each over the one before it.
pub(super) struct Chain {
    /// Date and credential scope, as they stand behind the algorithm's name.
    scope: String,
    key: [u8; 32],
    previous: [u8; 32],
}

impl Chain {
    /// The next link is a chunk of the body. Compares in constant time.
    pub(super) fn verify_chunk(&mut self, data: &[u8], signature: &str) -> Result<(), LambdaError> {
        let claimed = unhex(signature).ok_or_else(mismatch)?;
        self.chunk(data)
            .verify_slice(&claimed)
            .map_err(|_| mismatch())?;
        self.previous = claimed;
        Ok(())
    }

    /// The last link is that of the trailing headers, of which this is the hash.
    pub(super) fn verify_trailer(self, hash: &str, signature: &str) -> Result<(), LambdaError> {
        let claimed = unhex(signature).ok_or_else(mismatch)?;
        self.trailer(hash)
            .verify_slice(&claimed)
            .map_err(|_| mismatch())
    }

    fn chunk(&self, data: &[u8]) -> Hmac<Sha256> {
        let nothing = hex(&Sha256::digest(b"").into());
        self.link("AWS4-HMAC-SHA256-PAYLOAD")
            .chain_update(nothing)
            .chain_update("\n")
            .chain_update(hex(&Sha256::digest(data).into()))
    }

    fn trailer(&self, hash: &str) -> Hmac<Sha256> {
        self.link("AWS4-HMAC-SHA256-TRAILER").chain_update(hash)
    }

    fn link(&self, algorithm: &str) -> Hmac<Sha256> {
        mac(&self.key)
            .chain_update(algorithm)
            .chain_update(&self.scope)
            .chain_update(hex(&self.previous))
            .chain_update("\n")
    }
}

#[cfg(test)]
impl Chain {
    /// The next chunk's signature, as a client makes it.
    pub(super) fn sign_chunk(&mut self, data: &[u8]) -> String {
        self.previous = self.chunk(data).finalize().into_bytes().into();
        hex(&self.previous)
    }

    /// The trailer's signature, as a client makes it.
    pub(super) fn sign_trailer(&self, hash: &str) -> String {
        hex(&self.trailer(hash).finalize().into_bytes().into())
    }
}

/// The error of a signature that does not hold; it does not say why.
pub(super) fn mismatch() -> LambdaError {
    LambdaError::new(
        ErrorKind::InvalidSignature,
        "The request signature we calculated does not match the signature you provided. Check your AWS \
         Secret Access Key and signing method. Consult the service documentation for details.",
    )
}

/// Lower case hexadecimal.
pub(super) fn hex(bytes: &[u8; 32]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    bytes
        .iter()
        .flat_map(|byte| {
            [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]
        })
        .map(char::from)
        .collect()
}

/// 64 lower case hexadecimal digits.
pub(super) fn unhex(text: &str) -> Option<[u8; 32]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let text: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(out)
}

fn hmac(key: &[u8], text: &str) -> [u8; 32] {
    mac(key).chain_update(text).finalize().into_bytes().into()
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes a key of any length")
}
