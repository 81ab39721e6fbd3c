//! Bodies in `aws-chunked` encoding, whose chunks are signed one after the other.
//! Source: "Signature calculations for the Authorization header: transferring payload in multiple chunks"
//! of the Amazon S3 API reference; the encoding is the same for every service.

use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use pilotlight_model::{ErrorKind, LambdaError};
use sha2::{Digest, Sha256};

use super::signature::{Chain, hex, mismatch};

/// What `x-amz-content-sha256` announces such a body by.
const SIGNED: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD";
const SIGNED_TRAILER: &str = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER";
const UNSIGNED_TRAILER: &str = "STREAMING-UNSIGNED-PAYLOAD-TRAILER";
const DECODED_LENGTH: &str = "x-amz-decoded-content-length";
const CHUNK_SIGNATURE: &str = "chunk-signature=";
const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature:";
/// Longest line between chunks: a size and a signature, or a trailing header.
const LINE_BYTES: usize = 1024;
/// Trailing headers.
const TRAILERS: usize = 16;

/// How the body of one request is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Encoding {
    signed: bool,
    trailer: bool,
    length: usize,
}

impl Encoding {
    /// The encoding that a head announces: none for a body that comes as it is.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, LambdaError> {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let (signed, trailer) = match text(super::CONTENT_SHA256) {
            Some(SIGNED) => (true, false),
            Some(SIGNED_TRAILER) => (true, true),
            Some(UNSIGNED_TRAILER) => (false, true),
            Some(other) if other.starts_with("STREAMING-") => {
                return Err(malformed(
                    "its x-amz-content-sha256 names an encoding that is not known",
                ));
            }
            _ => return Ok(None),
        };
        let length = text(DECODED_LENGTH).and_then(|text| text.parse().ok());
        let length = length.ok_or_else(|| {
            malformed("x-amz-decoded-content-length must be the length of the decoded body")
        })?;
        Ok(Some(Self {
            signed,
            trailer,
            length,
        }))
    }

    /// Bytes that a body may have whose decoded form may have `limit`: clients send chunks of 8 KiB and
    /// more, each with a line of some ninety bytes.
    pub(super) fn limit(limit: usize) -> usize {
        limit + limit / 64 + 4 * LINE_BYTES
    }

    /// The body itself, once every chunk is known to be what was signed. Without a `chain`, in open mode,
    /// the signatures are not looked at.
    pub(super) fn decode(
        self,
        encoded: &[u8],
        mut chain: Option<Chain>,
    ) -> Result<Bytes, LambdaError> {
        let mut rest = encoded;
        // Never more than what has arrived, whatever is announced.
        let mut body = BytesMut::with_capacity(self.length.min(encoded.len()));
        loop {
            let (size, signature) = chunk_head(line(&mut rest)?)?;
            let (data, behind) = rest
                .split_at_checked(size)
                .ok_or_else(|| malformed("a chunk ends before its announced size"))?;
            if self.signed
                && let Some(chain) = &mut chain
            {
                chain.verify_chunk(data, signature.ok_or_else(mismatch)?)?;
            }
            rest = behind;
            body.extend_from_slice(data);
            if size == 0 {
                break;
            }
            if !line(&mut rest)?.is_empty() {
                return Err(malformed("a chunk goes on beyond its announced size"));
            }
        }
        match self.trailer {
            true => self.trailers(&mut rest, chain)?,
            false if !line(&mut rest)?.is_empty() => {
                return Err(malformed("there is something behind the last chunk"));
            }
            false => {}
        }
        if !rest.is_empty() || body.len() != self.length {
            return Err(malformed("the body does not have its announced length"));
        }
        Ok(body.freeze())
    }

    /// Trailing headers hold checksums of the body, which its signatures, or the transport, cover already;
    /// what counts here is their own signature.
    fn trailers(self, rest: &mut &[u8], chain: Option<Chain>) -> Result<(), LambdaError> {
        let mut hash = Sha256::new();
        for _ in 0..TRAILERS {
            let text = line(rest)?;
            if let Some(signature) = text.strip_prefix(TRAILER_SIGNATURE) {
                if let Some(chain) = chain.filter(|_| self.signed) {
                    chain.verify_trailer(&hex(&hash.finalize().into()), signature.trim())?;
                }
                return match line(rest)?.is_empty() {
                    true => Ok(()),
                    false => Err(malformed("a header follows the trailer's signature")),
                };
            }
            if text.is_empty() {
                return match self.signed && chain.is_some() {
                    true => Err(mismatch()),
                    false => Ok(()),
                };
            }
            let (name, value) = text
                .split_once(':')
                .ok_or_else(|| malformed("a trailing header has no value"))?;
            hash.update(format!("{}:{}\n", name.to_ascii_lowercase(), value.trim()));
        }
        Err(malformed("there are too many trailing headers"))
    }
}

/// `<size in hexadecimal>[;chunk-signature=<signature>]`.
fn chunk_head(line: &str) -> Result<(usize, Option<&str>), LambdaError> {
    let (size, extension) = match line.split_once(';') {
        Some((size, extension)) => (size, Some(extension)),
        None => (line, None),
    };
    let digits = !size.is_empty() && size.bytes().all(|byte| byte.is_ascii_hexdigit());
    let size = usize::from_str_radix(size, 16).ok().filter(|_| digits);
    let size = size.ok_or_else(|| malformed("a chunk does not begin with its size"))?;
    let signature = extension.and_then(|text| text.trim().strip_prefix(CHUNK_SIGNATURE));
    Ok((size, signature))
}

/// The next line, without its end.
fn line<'a>(rest: &mut &'a [u8]) -> Result<&'a str, LambdaError> {
    let window = &rest[..rest.len().min(LINE_BYTES)];
    let end = window
        .windows(2)
        .position(|pair| pair == b"\r\n")
        .ok_or_else(|| malformed("a line has no end"))?;
    let text = std::str::from_utf8(&window[..end]).map_err(|_| malformed("a line is not text"))?;
    *rest = &rest[end + 2..];
    Ok(text)
}

fn malformed(what: &str) -> LambdaError {
    LambdaError::new(
        ErrorKind::InvalidRequestContent,
        format!("The aws-chunked body cannot be read: {what}."),
    )
}

#[cfg(test)]
mod tests;
