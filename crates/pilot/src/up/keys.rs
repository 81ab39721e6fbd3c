//! Which access keys count: those of the configuration and those of the data directory, which may change
//! while the platform runs.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use pilotlight_control::{AccessKeys, AccessKeysError, Stamp};
use pilotlight_gateway::{AccessKey, Gateway, Secret};
use tokio::time::sleep;

use super::config::Config;

/// How soon a change is taken up.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Keys of both kinds, and the state of the file that they were read in.
pub(super) struct KeySource {
    configured: Vec<AccessKey>,
    stored: AccessKeys,
    seen: Option<Stamp>,
    /// True until there has been a key.
    open: Arc<AtomicBool>,
}

impl KeySource {
    /// Where the keys of that configuration are. Nothing is read yet.
    pub(super) fn of(config: &Config) -> anyhow::Result<Self> {
        let configured = config.access_keys.iter().map(|key| AccessKey {
            id: key.id.clone(),
            secret: Secret::new(&key.secret),
            account: key.account.clone(),
        });
        Ok(Self {
            configured: configured.collect(),
            stored: config.stored_keys()?,
            seen: None,
            open: Arc::new(AtomicBool::new(true)),
        })
    }

    /// All keys as they are now.
    pub(super) fn read(&mut self) -> Result<Vec<AccessKey>, AccessKeysError> {
        // Looked at first: a change in between is then seen as one.
        self.seen = self.stored.stamp();
        let stored = self.stored.read()?.into_iter().map(|key| AccessKey {
            id: key.id,
            secret: Secret::new(key.secret),
            account: key.account,
        });
        let keys: Vec<_> = self.configured.iter().cloned().chain(stored).collect();
        if !keys.is_empty() {
            self.open.store(false, Ordering::Relaxed);
        }
        Ok(keys)
    }

    /// Whether everybody on this machine may call: what has had a key is never open again.
    pub(super) fn open(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.open)
    }

    /// Tells the gateway of every change; never ends. What cannot be read leaves the keys as they are.
    pub(super) async fn follow(mut self, gateway: Gateway) {
        loop {
            sleep(LOOK_EVERY).await;
            if self.stored.stamp() == self.seen {
                continue;
            }
            match self.read() {
                Ok(keys) => {
                    tracing::info!(keys = keys.len(), "access keys have changed");
                    gateway.set_access_keys(&keys);
                }
                Err(error) => {
                    let error = pilotlight_model::error::Causes(&error);
                    tracing::error!(%error, "the changed access keys cannot be read");
                }
            }
        }
    }
}
