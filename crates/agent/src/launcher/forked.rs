//! Freezing and forking the processes of this machine's sandboxes.

use std::sync::Arc;

use pilotlight_sandbox as sandbox;

use super::{FreezeError, LaunchError, Template};

/// Whether this machine can do it.
pub(super) fn available(_sandboxes: &sandbox::Sandboxes) -> bool {
    false
}

/// Makes the process a template.
pub(super) async fn freeze(_process: &sandbox::Process) -> Result<Arc<dyn Template>, FreezeError> {
    Err(LaunchError::platform("freeze", "templates are not available").into())
}

/// Memory of the process that it does not share with what it was forked from.
pub(super) fn private_bytes(_process: &sandbox::Process) -> u64 {
    0
}
