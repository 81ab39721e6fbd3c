//! `[async]` and `[destinations]`: how asynchronous events are tried, and where what is told of them goes.

use std::collections::BTreeMap;
use std::time::Duration;

use pilotlight_control::{Destination, Destinations, InvalidDestination, Retries};
use serde::{Deserialize, Serialize};

use super::check::in_range;
use super::{InvalidConfig, value};

/// How asynchronous invocations are done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asynchronous {
    /// Events that run at the same time.
    concurrency: u32,
    /// Events of one account in the queue.
    account_queued_events: u64,
    retries: Retries,
    dead_letter_bytes: u64,
    delivery_max_age: Duration,
    destinations: Destinations,
}

/// `[async]` as it is written.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AsyncTable {
    concurrency: Option<u32>,
    account_queued_events: Option<u64>,
    /// Before the second attempt when the function fails, and before the third.
    retry_wait_ms: Option<[u64; 2]>,
    backoff_first_ms: Option<u64>,
    backoff_longest_ms: Option<u64>,
    max_event_age_seconds: Option<u64>,
    dead_letter_bytes: Option<u64>,
    delivery_max_age_seconds: Option<u64>,
}

/// `[destinations]` as it is written: ARNs, or beginnings of ARNs with `*` behind, and places.
pub(crate) type DestinationsTable = BTreeMap<String, String>;

impl Default for Asynchronous {
    fn default() -> Self {
        Self {
            concurrency: 128,
            account_queued_events: 50_000,
            retries: Retries::default(),
            dead_letter_bytes: 64 * 1024 * 1024,
            delivery_max_age: Duration::from_secs(24 * 3600),
            destinations: Destinations::default(),
        }
    }
}

impl Asynchronous {
    /// The same, overridden by what a file says.
    pub(super) fn with(
        self,
        table: Option<AsyncTable>,
        destinations: Option<DestinationsTable>,
    ) -> Result<Self, InvalidConfig> {
        let table = table.unwrap_or_default();
        let millis = |given: Option<u64>, default| given.map_or(default, Duration::from_millis);
        let seconds = |given: Option<u64>, default| given.map_or(default, Duration::from_secs);
        let retries = Retries {
            function_errors: table
                .retry_wait_ms
                .map_or(self.retries.function_errors, |waits| {
                    waits.map(Duration::from_millis)
                }),
            refusal_first: millis(table.backoff_first_ms, self.retries.refusal_first),
            refusal_longest: millis(table.backoff_longest_ms, self.retries.refusal_longest),
            max_age: seconds(table.max_event_age_seconds, self.retries.max_age),
        };
        Ok(Self {
            concurrency: table.concurrency.unwrap_or(self.concurrency),
            account_queued_events: table
                .account_queued_events
                .unwrap_or(self.account_queued_events),
            retries,
            dead_letter_bytes: table.dead_letter_bytes.unwrap_or(self.dead_letter_bytes),
            delivery_max_age: seconds(table.delivery_max_age_seconds, self.delivery_max_age),
            destinations: match destinations {
                Some(table) => placed(table)?,
                None => self.destinations,
            },
        })
    }

    /// The same as tables that would give it.
    pub(super) fn to_tables(&self) -> (AsyncTable, DestinationsTable) {
        let millis = |length: Duration| u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let table = AsyncTable {
            concurrency: Some(self.concurrency),
            account_queued_events: Some(self.account_queued_events),
            retry_wait_ms: Some(self.retries.function_errors.map(millis)),
            backoff_first_ms: Some(millis(self.retries.refusal_first)),
            backoff_longest_ms: Some(millis(self.retries.refusal_longest)),
            max_event_age_seconds: Some(self.retries.max_age.as_secs()),
            dead_letter_bytes: Some(self.dead_letter_bytes),
            delivery_max_age_seconds: Some(self.delivery_max_age.as_secs()),
        };
        let text = |(pattern, place): (&str, &Destination)| (pattern.to_owned(), place.to_string());
        (table, self.destinations.iter().map(text).collect())
    }

    /// Refuses what cannot work.
    pub(super) fn check(&self) -> Result<(), InvalidConfig> {
        in_range("async.concurrency", self.concurrency.into(), 1..=10_000)?;
        in_range(
            "async.account_queued_events",
            self.account_queued_events,
            1..=u64::MAX,
        )?;
        let first = self.retries.refusal_first.as_millis();
        if first == 0 || first > self.retries.refusal_longest.as_millis() {
            return Err(value(
                "async.backoff_first_ms",
                "must be at least 1 and at most backoff_longest_ms",
            ));
        }
        in_range(
            "async.max_event_age_seconds",
            self.retries.max_age.as_secs(),
            1..=21_600,
        )?;
        in_range(
            "async.dead_letter_bytes",
            self.dead_letter_bytes,
            65_536..=u64::MAX,
        )
    }

    /// Tells the control plane.
    pub(crate) fn apply(&self, config: &mut pilotlight_control::Config) {
        config.event_concurrency = self.concurrency as usize;
        config.account_queued_events = self.account_queued_events;
        config.retries = self.retries;
        config.dead_letter_bytes = self.dead_letter_bytes;
        config.delivery_max_age = self.delivery_max_age;
        config.destinations = self.destinations.clone();
    }
}

fn placed(table: DestinationsTable) -> Result<Destinations, InvalidConfig> {
    table
        .into_iter()
        .map(|(pattern, text)| {
            if !pattern.starts_with("arn:") {
                return Err(value(
                    "destinations",
                    format!("'{pattern}' is not an ARN, nor the beginning of one with * behind"),
                ));
            }
            let place: Destination = text
                .parse()
                .map_err(|error: InvalidDestination| value("destinations", error.to_string()))?;
            Ok((pattern, place))
        })
        .collect()
}
