//! Answers of URLs whose mode is RESPONSE_STREAM.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, StatusCode};
use pilotlight_model::node::{InvokeReply, StreamBegun};

use super::answer::{DELIMITER, Head, Shaped, delimiter};
use crate::answer_body::{AnswerBody, Plain, Streamed};
use crate::door::wire::Wire;
use crate::stream::{Piece, Pieces};

/// Says that status and headers come first.
const INTEGRATION: &[u8] = b"application/vnd.awslambda.http-integration-response";
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const BYTES: HeaderValue = HeaderValue::from_static("application/octet-stream");
/// Bytes that status and headers may take.
const PRELUDE_BYTES: usize = 256 * 1024;

/// The answer of a function that does not stream: as it came, whatever it says of a status.
pub(super) fn whole(reply: &InvokeReply) -> Shaped {
    Shaped {
        head: head(JSON),
        body: reply.payload.clone(),
    }
}

/// An answer that has begun, as soon as its status is known; nothing, if that never comes.
pub(super) async fn begun(
    begun: StreamBegun,
    mut pieces: Pieces,
    wire: &Arc<Wire>,
) -> Option<(Head, AnswerBody)> {
    let content_type = begun.content_type.unwrap_or(BYTES);
    let mut rest = Bytes::new();
    let head = match content_type.as_bytes().eq_ignore_ascii_case(INTEGRATION) {
        false => head(content_type),
        true => {
            let (prelude, body) = prelude(&mut pieces).await?;
            rest = body;
            Head::of_prelude(&prelude).ok()?
        }
    };
    let body = Streamed::new(pieces, Box::new(Plain), Arc::clone(wire)).beginning_with(rest);
    Some((head, body.into()))
}

/// What stands before the delimiter, and what came behind it with the same piece.
async fn prelude(pieces: &mut Pieces) -> Option<(Bytes, Bytes)> {
    let mut data = BytesMut::new();
    while data.len() <= PRELUDE_BYTES {
        let Piece::Chunk(chunk) = pieces.next().await else {
            return None;
        };
        // It may have begun in the piece before.
        let from = data.len().saturating_sub(DELIMITER.len());
        data.extend_from_slice(&chunk);
        if let Some(at) = delimiter(&data[from..]) {
            let mut data = data.freeze();
            let prelude = data.split_to(from + at);
            return Some((prelude, data.slice(DELIMITER.len()..)));
        }
    }
    None
}

fn head(content_type: HeaderValue) -> Head {
    Head {
        status: StatusCode::OK,
        headers: [(CONTENT_TYPE, content_type)].into_iter().collect(),
    }
}
