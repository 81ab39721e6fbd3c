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
