//! Reading request bodies: within a size, a time and a memory budget, hashed as they arrive.

use std::sync::Arc;
use std::time::Duration;

use crate::budget::{Budget, Share};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use pilotlight_model::error::ThrottleReason;
use pilotlight_model::limits::API_REQUEST_BYTES;
use pilotlight_model::{ErrorKind, LambdaError};
use sha2::{Digest, Sha256};
use tokio::time::{Instant, timeout, timeout_at};

/// Bodies up to here are not counted: all connections together can hold 256 MiB of them, and as much those of functions.
pub(crate) const FREE_BYTES: usize = 64 * 1024;
/// A body must arrive at this rate at least once its first time is used up.
const BYTES_PER_SECOND: f64 = 64.0 * 1024.0;
/// What is read and thrown away of a body that was refused, so that a client that reads only after it
/// has written sees the answer instead of a reset connection.
const DISCARD_BYTES: usize = API_REQUEST_BYTES + 16 * 1024 * 1024;
const DISCARD_TIME: Duration = Duration::from_secs(10);

/// Reads bodies, and knows how much of them may be in memory.
#[derive(Debug)]
pub(crate) struct Intake {
    patience: Duration,
    budget: Arc<Budget>,
}

/// A body that has arrived whole.
pub(crate) struct Received {
    pub(crate) bytes: Bytes,
    /// Present if it was asked for.
    pub(crate) sha256: Option<[u8; 32]>,
    /// The body's share of the budget; to be kept as long as the gateway holds the bytes.
    pub(crate) share: Option<Share>,
}

/// Why a body did not arrive.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// Larger than allowed: its size as announced, or what had arrived by then.
    TooLarge { size: u64 },
    /// The client was too slow.
    Slow,
    /// No memory was free for it in time.
    Busy,
    /// The connection broke, or the body's framing was wrong.
    Broken(hyper::Error),
}

impl Intake {
    pub(crate) fn new(patience: Duration, budget_bytes: usize) -> Self {
        // At least one body of the largest kind must fit, or it would wait for ever.
        let budget = Budget::new(budget_bytes.max(API_REQUEST_BYTES));
        Self::within(patience, Arc::new(budget))
    }

    /// One that draws on a budget that others draw on too. A body that is larger than all of it waits for all of it.
    pub(crate) fn within(patience: Duration, budget: Arc<Budget>) -> Self {
        Self { patience, budget }
    }

    /// Reads `body` to its end if it has `limit` bytes or fewer.
    pub(crate) async fn receive(
        &self,
        body: &mut Incoming,
        limit: usize,
        hash: bool,
    ) -> Result<Received, BodyError> {
        let hint = body.size_hint();
        if hint.lower() > limit as u64 {
            return Err(BodyError::TooLarge { size: hint.lower() });
        }
        let begun = Instant::now();
        // Without an announced length the body may become as large as its limit.
        let expected = hint.exact().map_or(limit, |exact| exact as usize);
        let share = match expected {
            0..=FREE_BYTES => None,
            _ => Some(self.share(expected).await?),
        };
        let mut hasher = hash.then(Sha256::new);
        let mut parts = Parts::Empty;
        let mut size = 0;
        loop {
            let deadline =
                begun + self.patience + Duration::from_secs_f64(size as f64 / BYTES_PER_SECOND);
            let frame = match timeout_at(deadline, body.frame()).await {
                Err(_) => return Err(BodyError::Slow),
                Ok(None) => break,
                Ok(Some(frame)) => frame.map_err(BodyError::Broken)?,
            };
            // Trailers mean nothing to us.
            let Ok(data) = frame.into_data() else {
                continue;
            };
            size += data.len();
            if size > limit {
                return Err(BodyError::TooLarge { size: size as u64 });
            }
            if let Some(hasher) = &mut hasher {
                hasher.update(&data);
            }
            parts = parts.with(data, hint.lower() as usize);
        }
        Ok(Received {
            bytes: parts.into_bytes(),
            sha256: hasher.map(|hasher| hasher.finalize().into()),
            share,
        })
    }

    /// Reads the rest of a refused body and throws it away, up to a bound.
    pub(crate) async fn discard(&self, body: &mut Incoming) {
        let mut left = DISCARD_BYTES;
        let drain = async {
            while let Some(Ok(frame)) = body.frame().await {
                let size = frame.data_ref().map_or(0, Bytes::len);
                let Some(rest) = left.checked_sub(size) else {
                    break;
                };
                left = rest;
            }
        };
        // Past the time the connection is closed, which is all that is left to do.
        let _ = timeout(DISCARD_TIME, drain).await;
    }

    async fn share(&self, bytes: usize) -> Result<Share, BodyError> {
        timeout(self.patience, self.budget.take(bytes))
            .await
            .map_err(|_| BodyError::Busy)?
            .map_err(|_| BodyError::Busy)
    }
}

impl BodyError {
    /// As the Lambda API says it; `too_large` words the one that differs by operation.
    pub(crate) fn into_lambda(self, too_large: impl FnOnce(u64) -> String) -> LambdaError {
        match self {
            BodyError::TooLarge { size } => {
                LambdaError::new(ErrorKind::RequestEntityTooLarge, too_large(size))
            }
            BodyError::Slow => LambdaError::new(
                ErrorKind::InvalidRequestContent,
                "The request body did not arrive in time.",
            ),
            BodyError::Busy => LambdaError::throttled(ThrottleReason::CallerRateLimitExceeded),
            BodyError::Broken(error) => LambdaError::new(
                ErrorKind::InvalidRequestContent,
                format!("The request body could not be read: {error}"),
            ),
        }
    }
}

/// A body mostly arrives in one piece, which then is not copied.
enum Parts {
    Empty,
    One(Bytes),
    Many(BytesMut),
}

impl Parts {
    fn with(self, data: Bytes, announced: usize) -> Self {
        match self {
            Parts::Empty => Parts::One(data),
            Parts::One(first) => {
                let mut all = BytesMut::with_capacity(announced.max(first.len() + data.len()));
                all.extend_from_slice(&first);
                all.extend_from_slice(&data);
                Parts::Many(all)
            }
            Parts::Many(mut all) => {
                all.extend_from_slice(&data);
                Parts::Many(all)
            }
        }
    }

    fn into_bytes(self) -> Bytes {
        match self {
            Parts::Empty => Bytes::new(),
            Parts::One(bytes) => bytes,
            Parts::Many(bytes) => bytes.freeze(),
        }
    }
}
