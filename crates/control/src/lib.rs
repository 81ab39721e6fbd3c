//! The control plane: the Lambda API for everything but invocations, the catalog behind it, making
//! deployed code ready, and delivering asynchronous invocations.
//!
//! Not on the path of a synchronous invocation: the gateway asks it for a spec (answered from memory) and
//! the node does the rest. Everything that the API acknowledged survives `kill -9`: what waited to be made
//! ready or to be delivered is taken up again when the catalog is opened.
#![forbid(unsafe_code)]

mod access_keys;
mod api;
mod catalog;
mod chains;
mod chance;
mod claims;
mod clock;
mod config;
mod control;
mod dates;
mod deliveries;
mod deploy;
mod destination;
mod events;
mod index;
mod layers;
mod lifecycle;
mod logs;
mod metrics;
mod packages;
mod paging;
mod provision;
mod restore;
mod schedules;
mod sealing;
mod shift;
mod url_base;
mod warm_up;

pub use access_keys::{AccessKey, AccessKeys, AccessKeysError, Stamp};
pub use catalog::OpenError;
pub use chance::{Chance, SystemChance};
pub use clock::{Clock, SystemClock};
pub use config::{Config, HotReload, KEY_FILE, Retries};
pub use control::Control;
pub use deliveries::{Destination, Destinations, InvalidDestination};
pub use metrics::{Ending, Metrics, OfKind, Place};
pub use sealing::{SealingKey, SealingKeyError, warn_if_exposed};
pub use url_base::{InvalidUrlBase, UrlBase};
