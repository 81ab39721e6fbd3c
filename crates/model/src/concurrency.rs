//! Concurrency: what an invocation may draw on, and who says whether it may run now.

use crate::error::ThrottleReason;
use crate::function::VersionKey;

/// What the invocations of one version may draw on. An invocation takes what is provisioned for its
/// version first; then what its function has reserved and not provisioned; and where nothing is reserved,
/// what all functions of the account and region have together that reserve nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Share {
    /// Provisioned for this version alone.
    pub provisioned: u32,
    /// Reserved for the function and not provisioned for any of its versions. `None`: nothing is reserved.
    pub reserved: Option<u32>,
    /// The account's limit, less all that is reserved or provisioned.
    pub unreserved: u32,
}

/// The right of one invocation to run. It is given back by being dropped.
pub type Permit = Box<dyn Send + Sync>;

/// Admits invocations. Answered from memory: it is on the request path.
pub trait Admit: Send + Sync + 'static {
    /// Admits one more invocation of that version, or says why it is throttled.
    fn admit(&self, version: &VersionKey, share: &Share) -> Result<Permit, ThrottleReason>;
}
