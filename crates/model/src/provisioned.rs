//! Provisioned instances: so many of a version as its owner asked for, initialised ahead, used first, and
//! resident until they are released. What a node says of them.

use serde::{Deserialize, Serialize};

/// What a version has on a node of what is provisioned for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provisioned {
    /// Instances that there are to be.
    pub wanted: u32,
    /// Those that are initialised, whether they run a request or wait for one.
    pub allocated: u32,
    /// Those of them that wait for one.
    pub available: u32,
    /// Why there are fewer than wanted, if an attempt to make one has failed.
    pub trouble: Option<Trouble>,
    /// What they have done and cost.
    pub usage: Usage,
}

/// What provisioned instances have done and cost; every number only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Requests that they ran.
    pub invocations: u64,
    /// Requests of their versions that found all of them busy, or none there yet, and ran on demand.
    pub spillovers: u64,
    /// Memory that they held while they waited: MiB times milliseconds, told in gigabyte-seconds.
    #[serde(rename = "idle_gb_seconds", with = "gb_seconds")]
    pub idle_mb_ms: u64,
}

/// MiB and milliseconds of one gigabyte-second.
const GB_SECOND: f64 = 1024.0 * 1000.0;

/// How idle memory is written down.
mod gb_seconds {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(mb_ms: &u64, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(*mb_ms as f64 / super::GB_SECOND)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<u64, D::Error> {
        let seconds = f64::deserialize(from)?;
        // Negative or not a number becomes zero.
        Ok((seconds * super::GB_SECOND).round() as u64)
    }
}

/// Why a provisioned instance could not be made. Another attempt follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The function's own init failed, or took too long.
    InitFailed,
    /// All of the node's memory or places are taken by what cannot be reclaimed.
    NoRoom,
    /// The platform failed.
    Platform,
}

impl Usage {
    /// Memory held while waiting, in gigabyte-seconds, as AWS bills it.
    pub fn idle_gb_seconds(&self) -> f64 {
        self.idle_mb_ms as f64 / GB_SECOND
    }
}

impl std::ops::AddAssign for Provisioned {
    fn add_assign(&mut self, other: Self) {
        self.wanted += other.wanted;
        self.allocated += other.allocated;
        self.available += other.available;
        self.trouble = self.trouble.or(other.trouble);
        self.usage += other.usage;
    }
}

impl std::ops::AddAssign for Usage {
    fn add_assign(&mut self, other: Self) {
        self.invocations += other.invocations;
        self.spillovers += other.spillovers;
        self.idle_mb_ms += other.idle_mb_ms;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_memory_is_told_in_gigabyte_seconds_and_read_back() {
        let usage = Usage {
            invocations: 1,
            spillovers: 2,
            // Half a gigabyte for three seconds.
            idle_mb_ms: 512 * 3_000,
        };
        let text = serde_json::to_string(&usage).unwrap();
        let expected = r#"{"invocations":1,"spillovers":2,"idle_gb_seconds":1.5}"#;
        assert_eq!(text, expected);
        assert_eq!(serde_json::from_str::<Usage>(&text).unwrap(), usage);
    }
}
