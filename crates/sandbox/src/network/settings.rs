//! The kernel's settings of the calling thread's network namespace.

use std::fs;

use super::NetworkError;

/// No interface that is made from now on has an IPv6 address.
pub(super) fn disable_ipv6() -> Result<(), NetworkError> {
    if !fs::exists("/proc/sys/net/ipv6").unwrap_or(false) {
        return Ok(());
    }
    set("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1")?;
    set("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")
}

/// Writes only what differs: in a container the setting may be right and read-only.
pub(super) fn set(path: &'static str, value: &str) -> Result<(), NetworkError> {
    if fs::read_to_string(path).is_ok_and(|found| found.trim() == value) {
        return Ok(());
    }
    fs::write(path, value).map_err(|source| NetworkError::Setting { path, source })
}
