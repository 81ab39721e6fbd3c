//! Folders that functions run from while they are edited (hot reload): no instance that was started
//! from older contents gets a request that came after a change.
//!
//! The kernel is asked, not the files: what changes in a folder is in its inotify queue when the write
//! returns, so that a look before each request costs two system calls, however large the folder is.
//! Where the kernel cannot tell (a file system that others write to, too many folders), every request
//! gets a fresh instance. There is no template of such a version: it would hold what the files were.

mod watch;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;
use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::node::NodeError;

use crate::agent::Node;
use watch::Watch;

/// The folders of a node's versions.
#[derive(Default)]
pub(crate) struct Live {
    /// Locked to look a version up; the folder's own lock is held while it is looked at, so that no
    /// request overtakes one that has found a change.
    folders: Mutex<HashMap<VersionKey, Arc<Mutex<Option<Watch>>>>>,
}

impl Live {
    /// The version is no more, or no longer runs from a folder.
    pub(crate) fn forget(&self, key: &VersionKey) {
        self.folders.lock().remove(key);
    }
}

/// Lets go of all instances that may have seen something else in the version's folder than is there now.
///
/// # Errors
/// There is no such folder.
pub(crate) async fn freshen(node: &Arc<Node>, spec: &FunctionSpec) -> Result<(), NodeError> {
    let Some(folder) = spec.live_code.clone() else {
        return Ok(());
    };
    let (node, key) = (Arc::clone(node), spec.key.clone());
    let look = move || {
        let watch = Arc::clone(node.live.folders.lock().entry(key.clone()).or_default());
        let mut watch = watch.lock();
        match watch::look(&mut watch, &folder) {
            Ok(false) => Ok(()),
            Ok(true) => {
                node.pool.outdate(&key);
                Ok(())
            }
            Err(error) if is_missing(&error) => Err(NodeError::CodeMissing(folder)),
            Err(error) => Err(NodeError::Internal(format!(
                "cannot watch {}: {error}",
                folder.display()
            ))),
        }
    };
    tokio::task::spawn_blocking(look)
        .await
        .unwrap_or_else(|error| Err(NodeError::Internal(error.to_string())))
}

fn is_missing(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
    )
}
