//! What the control plane is told when it opens.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pilotlight_model::runtime::Offer;
use pilotlight_model::{Digest, Limits, Runtime};

use crate::chance::{Chance, SystemChance};
use crate::clock::{Clock, SystemClock};
use crate::deliveries::Destinations;
use crate::url_base::UrlBase;

/// Where the key for secrets at rest is, in the data directory, unless told otherwise.
pub const KEY_FILE: &str = "secret.key";

/// Configuration of a [`crate::Control`].
#[derive(Clone)]
pub struct Config {
    /// Folder of the catalog; made if it is not there.
    pub data_dir: PathBuf,
    /// File of the key that secrets in the catalog are sealed with; made if it is not there.
    pub key_file: PathBuf,
    /// `http://host:port` under which clients reach the API: download URLs begin with it.
    pub endpoint_url: String,
    /// Where function URLs are shown to be.
    pub url_base: UrlBase,
    /// The runtimes that functions may have, each with its image in the store. The images are never
    /// collected, and stand in `RuntimeVersionArn`.
    pub runtimes: BTreeMap<Runtime, Digest>,
    /// Whether functions may be configured with other versions of these, and run on the nearest. Those that
    /// are go on running when this is turned off.
    pub runtime_substitutes: bool,
    /// The installation's limits.
    pub limits: Limits,
    /// Versions that are made ready at the same time.
    pub deploys: usize,
    /// Packages that are unpacked and published at the same time.
    pub publishes: usize,
    /// Asynchronous events that are delivered at the same time.
    pub event_concurrency: usize,
    /// Asynchronous events of one account that may wait and run.
    pub account_queued_events: u64,
    /// How asynchronous events are tried again.
    pub retries: Retries,
    /// Where records and dead letters for targets outside the platform go; those of targets that are not
    /// named here go to files below `dead-letters` in the data directory.
    pub destinations: Destinations,
    /// Size of such a file at which a new one is begun.
    pub dead_letter_bytes: u64,
    /// Messages of one account that may wait for endpoints; what is more goes to files.
    pub account_deliveries: u64,
    /// How long an endpoint is tried; what it has not taken by then goes to a file.
    pub delivery_max_age: Duration,
    /// How long the change of an alias waits, at most, until the node has made ready what it moves requests to.
    pub shift_patience: Duration,
    /// Rest between two collections of the store, so that many deletions share one.
    pub collect_rest: Duration,
    /// Which folders of this machine callers may load code from.
    pub hot_reload: HotReload,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// What decides between the versions of a weighted alias.
    pub chance: Arc<dyn Chance>,
}

/// Which folders of this machine callers may load code from (hot reload).
#[derive(Debug, Clone)]
pub enum HotReload {
    /// None.
    Never,
    /// Any, while this is true: as long as everybody who can call is on this machine.
    While(Arc<AtomicBool>),
    /// Any, while this is true, and those that ask later are told why not.
    Any(Arc<AtomicBool>),
    /// Those in one of these.
    Within(Vec<PathBuf>),
}

impl HotReload {
    /// Whether there are any.
    pub(crate) fn is_on(&self) -> bool {
        match self {
            HotReload::Never => false,
            HotReload::While(open) => open.load(Ordering::Relaxed),
            HotReload::Any(_) | HotReload::Within(_) => true,
        }
    }
}

/// How asynchronous events are tried again. The defaults are Lambda's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retries {
    /// Waits before the second and third attempt when the function itself fails.
    pub function_errors: [Duration; 2],
    /// First wait when the event could not be run at all (throttled, no room); doubles each time.
    pub refusal_first: Duration,
    /// Longest such wait.
    pub refusal_longest: Duration,
    /// Age at which an event is given up.
    pub max_age: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            function_errors: [Duration::from_secs(60), Duration::from_secs(120)],
            refusal_first: Duration::from_secs(1),
            refusal_longest: Duration::from_secs(300),
            max_age: Duration::from_secs(6 * 3600),
        }
    }
}

impl Config {
    /// The runtimes that functions may be given.
    pub(crate) fn offer(&self) -> Offer {
        Offer {
            images: self.runtimes.keys().copied().collect(),
            substitutes: self.runtime_substitutes,
        }
    }

    /// The defaults around what has none.
    pub fn new(
        data_dir: impl Into<PathBuf>,
        endpoint_url: impl Into<String>,
        runtimes: BTreeMap<Runtime, Digest>,
    ) -> Self {
        let data_dir = data_dir.into();
        let endpoint_url = endpoint_url.into();
        Self {
            key_file: data_dir.join(KEY_FILE),
            data_dir,
            url_base: UrlBase::local(&endpoint_url),
            endpoint_url,
            runtimes,
            runtime_substitutes: true,
            limits: Limits::default(),
            deploys: 2,
            publishes: 2,
            event_concurrency: 128,
            account_queued_events: 50_000,
            retries: Retries::default(),
            destinations: Destinations::default(),
            dead_letter_bytes: 64 * 1024 * 1024,
            account_deliveries: 10_000,
            delivery_max_age: Duration::from_secs(24 * 3600),
            shift_patience: Duration::from_secs(2),
            collect_rest: Duration::from_secs(5),
            hot_reload: HotReload::Never,
            clock: Arc::new(SystemClock),
            chance: Arc::new(SystemChance),
        }
    }
}
