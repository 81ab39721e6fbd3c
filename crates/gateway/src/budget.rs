//! How many bytes of others may be in memory.

use std::sync::Arc;

use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// Bytes that may be held together. One that is part of another's counts there as well.
#[derive(Debug)]
pub(crate) struct Budget {
    /// In KiB, as a semaphore's permits are few.
    free: Arc<Semaphore>,
    kib: u32,
    whole: Option<Arc<Budget>>,
}

/// What is held of a budget, until it is dropped.
#[derive(Debug)]
pub(crate) struct Share {
    _permit: OwnedSemaphorePermit,
    _of_whole: Option<Box<Share>>,
}

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        let kib = kib(bytes);
        Self {
            free: Arc::new(Semaphore::new(kib as usize)),
            kib,
            whole: None,
        }
    }

    /// Part of `whole`.
    pub(crate) fn within(whole: &Arc<Budget>, bytes: usize) -> Self {
        Self {
            whole: Some(Arc::clone(whole)),
            ..Self::new(bytes)
        }
    }

    /// Waits until so many bytes are free. More than there are at all is all of them.
    pub(crate) async fn take(&self, bytes: usize) -> Result<Share, AcquireError> {
        let wanted = kib(bytes).min(self.kib);
        let permit = Arc::clone(&self.free).acquire_many_owned(wanted).await?;
        let of_whole = match &self.whole {
            Some(whole) => Some(Box::new(Box::pin(whole.take(bytes)).await?)),
            None => None,
        };
        Ok(Share {
            _permit: permit,
            _of_whole: of_whole,
        })
    }

    /// The same without waiting: `None` where there is not enough.
    pub(crate) fn try_take(&self, bytes: usize) -> Option<Share> {
        let wanted = kib(bytes).min(self.kib);
        let permit = Arc::clone(&self.free).try_acquire_many_owned(wanted).ok()?;
        let of_whole = match &self.whole {
            Some(whole) => Some(Box::new(whole.try_take(bytes)?)),
            None => None,
        };
        Some(Share {
            _permit: permit,
            _of_whole: of_whole,
        })
    }
}

fn kib(bytes: usize) -> u32 {
    u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX >> 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: usize = 1024;

    #[test]
    fn a_part_is_bounded_by_itself_and_by_the_whole() {
        let whole = Arc::new(Budget::new(10 * KIB));
        let [one, other] = [(); 2].map(|()| Budget::within(&whole, 6 * KIB));
        let first = one.try_take(5 * KIB).unwrap();
        assert!(one.try_take(2 * KIB).is_none(), "its own are used up");
        assert!(other.try_take(6 * KIB).is_none(), "those of all are");
        let second = other.try_take(5 * KIB).unwrap();
        drop(first);
        assert!(one.try_take(5 * KIB).is_some());
        drop(second);
        // What was refused has taken nothing.
        assert!(other.try_take(6 * KIB).is_some());
    }

    #[tokio::test]
    async fn more_than_there_are_is_all_of_them() {
        let whole = Arc::new(Budget::new(8 * KIB));
        let part = Budget::within(&whole, 4 * KIB);
        let all = part.take(100 * KIB).await.unwrap();
        assert!(whole.try_take(KIB).is_none());
        drop(all);
        assert!(whole.try_take(8 * KIB).is_some());
    }
}
