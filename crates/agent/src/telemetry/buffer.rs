//! What waits to be sent to one subscriber: bounded, and sent when it is due. Decides; the delivery acts.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::subscription::Buffering;

/// What an event costs beside its text while it waits.
const OVERHEAD_BYTES: usize = 64;

/// Events that could not be kept, or not be delivered.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    pub(super) records: u64,
    pub(super) bytes: u64,
}

#[derive(Debug)]
struct Item {
    json: String,
    /// Sent in no batch with others: who cannot read it is to lose nothing else.
    alone: bool,
}

/// The buffer of one subscriber.
#[derive(Debug)]
pub(super) struct Buffer {
    limits: Buffering,
    items: VecDeque<Item>,
    bytes: usize,
    /// Since when the oldest waits.
    since: Option<Instant>,
    dropped: Dropped,
    /// Whatever is there is sent at once: nothing more may come.
    flushing: bool,
}

impl Buffer {
    pub(super) fn new(limits: Buffering) -> Self {
        Self {
            limits,
            items: VecDeque::new(),
            bytes: 0,
            since: None,
            dropped: Dropped::default(),
            flushing: false,
        }
    }

    /// Keeps an event, unless as many wait as a batch may hold, or with it twice the bytes: one batch is full
    /// with what comes before it is taken.
    pub(super) fn push(&mut self, json: String, alone: bool, now: Instant) {
        let cost = json.len() + OVERHEAD_BYTES;
        if self.items.len() >= self.limits.items || self.bytes + cost > 2 * self.limits.bytes {
            self.drop_one(json.len());
            return;
        }
        self.bytes += cost;
        self.items.push_back(Item { json, alone });
        self.since.get_or_insert(now);
    }

    /// Counts an event that is lost.
    pub(super) fn drop_one(&mut self, bytes: usize) {
        self.dropped.records += 1;
        self.dropped.bytes += bytes as u64;
    }

    /// From now on everything is due.
    pub(super) fn flush(&mut self) {
        self.flushing = true;
    }

    /// How long until the next batch is due; `None` while there is none.
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let since = self.since?;
        let full = self.items.len() >= self.limits.items || self.bytes >= self.limits.bytes;
        match full || self.flushing {
            true => Some(Duration::ZERO),
            false => Some((since + self.limits.timeout).saturating_duration_since(now)),
        }
    }

    /// The next batch, oldest first: as many events as one may hold.
    pub(super) fn take(&mut self) -> Vec<String> {
        let mut batch = Vec::new();
        let mut bytes = 0;
        while let Some(next) = self.items.front() {
            let fits = bytes + next.json.len() <= self.limits.bytes;
            if !batch.is_empty() && (next.alone || !fits) {
                break;
            }
            let Some(Item { json, alone }) = self.items.pop_front() else {
                break;
            };
            self.bytes -= json.len() + OVERHEAD_BYTES;
            bytes += json.len();
            batch.push(json);
            if alone {
                break;
            }
        }
        if self.items.is_empty() {
            self.since = None;
        }
        batch
    }

    /// What has been lost since the last time.
    pub(super) fn take_dropped(&mut self) -> Option<Dropped> {
        let dropped = std::mem::take(&mut self.dropped);
        (dropped != Dropped::default()).then_some(dropped)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: Buffering = Buffering {
        items: 1_000,
        bytes: 262_144,
        timeout: Duration::from_millis(100),
    };

    #[test]
    fn a_batch_is_due_when_it_is_old_or_full() {
        let now = Instant::now();
        let mut buffer = Buffer::new(LIMITS);
        assert_eq!(buffer.due(now), None);
        buffer.push("1".to_owned(), false, now);
        let later = now + Duration::from_millis(60);
        buffer.push("2".to_owned(), false, later);
        assert_eq!(buffer.due(later), Some(Duration::from_millis(40)));
        assert_eq!(buffer.take(), ["1", "2"]);
        assert_eq!(buffer.due(later), None);
        buffer.push("x".repeat(LIMITS.bytes), false, now);
        assert_eq!(buffer.due(now), Some(Duration::ZERO));
    }

    #[test]
    fn what_stands_alone_comes_alone_and_in_order() {
        let now = Instant::now();
        let mut buffer = Buffer::new(LIMITS);
        for (text, alone) in [("1", false), ("2", true), ("3", false), ("4", false)] {
            buffer.push(text.to_owned(), alone, now);
        }
        buffer.flush();
        assert_eq!(buffer.take(), ["1"]);
        assert_eq!(buffer.due(now), Some(Duration::ZERO));
        assert_eq!(buffer.take(), ["2"]);
        assert_eq!(buffer.take(), ["3", "4"]);
    }

    proptest! {
        /// However events come: what waits is bounded, and each is sent once or counted as lost.
        #[test]
        fn no_flood_exceeds_the_bounds(sizes in proptest::collection::vec(0..200_000usize, 0..60)) {
            let now = Instant::now();
            let mut buffer = Buffer::new(LIMITS);
            for &size in &sizes {
                buffer.push("x".repeat(size), false, now);
                prop_assert!(buffer.bytes <= 2 * LIMITS.bytes);
            }
            let lost = buffer.take_dropped().unwrap_or_default().records;
            let mut sent = 0;
            while buffer.due(now).is_some() {
                let batch = buffer.take();
                prop_assert!(batch.iter().map(String::len).sum::<usize>() <= LIMITS.bytes || batch.len() == 1);
                sent += batch.len() as u64;
            }
            prop_assert_eq!((sent + lost) as usize, sizes.len());
            prop_assert_eq!(buffer.bytes, 0);
        }
    }
}
