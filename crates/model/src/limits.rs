//! Every limit and default of the platform, in one place. `pilot up --print-config` shows those that
//! the configuration can change.

use std::time::Duration;

/// Bytes of a synchronous invocation's request (Lambda quota: 6 MB).
pub const INVOKE_REQUEST_BYTES: usize = 6 * 1024 * 1024;
/// Bytes of an asynchronous invocation's request (Lambda quota: 1 MB).
pub const INVOKE_EVENT_BYTES: usize = 1024 * 1024;
/// Bytes of an invocation's answer; one more is `Function.ResponseSizeTooLarge`.
pub const INVOKE_RESPONSE_BYTES: usize = 6_291_556;
/// Bytes of an answer that a function streams (Lambda quota: 200 MB).
pub const STREAMED_RESPONSE_BYTES: u64 = 200 * 1024 * 1024;
/// Bytes of any control-plane request body; AWS answers 413 at this size.
pub const API_REQUEST_BYTES: usize = 70_167_211;
/// Bytes of a zip given inline (Lambda quota: 50 MB).
pub const CODE_ZIP_BYTES: u64 = 50 * 1024 * 1024;
/// Bytes of code and layers after unpacking (Lambda quota: 250 MB).
pub const CODE_UNPACKED_BYTES: u64 = 262_144_000;
/// Bytes of `X-Amz-Client-Context` in base64.
pub const CLIENT_CONTEXT_BYTES: usize = 3_583;
/// Schedules of one account and region.
pub const SCHEDULES: u64 = 1_000_000;
/// Schedule groups of one account and region.
pub const SCHEDULE_GROUPS: u64 = 500;
/// Instances that one warm-up may ask for.
pub const WARM_UP_INSTANCES: u32 = 1_000;
/// Bytes of log that `LogType: Tail` returns.
pub const LOG_TAIL_BYTES: usize = 4 * 1024;
/// Bytes of all environment variables of a function together.
pub const ENVIRONMENT_BYTES: usize = 4 * 1024;
/// Memory of one function, in MiB.
pub const MEMORY_MB: u32 = 10_240;
/// Aliases of one function.
pub const ALIASES: usize = 1_000;
/// Bytes of a function policy as JSON.
pub const FUNCTION_POLICY_BYTES: usize = 20 * 1024;
/// Layers of one function.
pub const LAYERS: usize = 5;
/// Longest initialisation before it is repeated within the invocation's own timeout.
pub const INIT: Duration = Duration::from_secs(10);
/// Longest initialisation of a provisioned instance, unless the function's own timeout is longer.
pub const PROVISIONED_INIT: Duration = Duration::from_secs(130);
/// Longest way of a forked process from its template to its first event.
pub const RESTORE: Duration = Duration::from_secs(10);
/// How long a drain may take before running invocations are cut off, where nothing else is configured.
pub const DEFAULT_DRAIN: Duration = Duration::from_secs(30);

/// Limits that the configuration can change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Concurrent invocations of one account.
    pub account_concurrency: u32,
    /// Memory that instances of this node may be promised together, in MiB; 0 takes what the machine has.
    pub node_memory_mb: u64,
    /// Instances of this node.
    pub node_instances: u32,
    /// Instances that start at the same moment, at most; further starts wait their turn.
    pub concurrent_starts: u32,
    /// Invocations that wait for an instance; one more is throttled.
    pub waiting_invocations: u32,
    /// Idle instances are reclaimed after this, where the function says nothing else.
    pub keep_alive: Duration,
    /// Asynchronous events waiting in the durable queue.
    pub queued_events: u64,
    /// Bytes of log kept per log group.
    pub log_group_bytes: u64,
    /// Bytes of log kept of one account, in all its groups.
    pub account_log_bytes: u64,
    /// Functions of one account.
    pub functions: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            account_concurrency: 1_000,
            node_memory_mb: 0,
            node_instances: 1_000,
            concurrent_starts: 8,
            waiting_invocations: 4_096,
            keep_alive: Duration::from_secs(600),
            queued_events: 100_000,
            log_group_bytes: 64 * 1024 * 1024,
            account_log_bytes: 10 * 1024 * 1024 * 1024,
            functions: 100_000,
        }
    }
}
