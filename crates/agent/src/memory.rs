//! How much of the machine's memory instances may be promised.

use std::io;

/// Part of the machine's memory that is for instances; the rest is for the platform and the page cache.
const PERCENT: u64 = 80;

/// Memory for instances in MiB.
pub(crate) fn for_instances_mb() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/meminfo")?;
    let total =
        total_mb(&text).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no MemTotal"))?;
    Ok(total * PERCENT / 100)
}

fn total_mb(meminfo: &str) -> Option<u64> {
    let line = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_kernel_writes() {
        let text = "MemFree:  1 kB\nMemTotal:        8152964 kB\n";
        assert_eq!(total_mb(text), Some(7_961));
        assert_eq!(total_mb("MemTotal: much"), None);
        assert_eq!(total_mb(""), None);
    }
}
