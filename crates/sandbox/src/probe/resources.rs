//! Room on disk and in memory, and the programs that build runtime images.

use std::fs;
use std::path::Path;

use super::Check;
use super::scratch::existing;

const LEAST_DISK_BYTES: u64 = 2 << 30;
const LEAST_MEMORY_BYTES: u64 = 512 << 20;

/// Runtime images are made from Debian packages.
const PROGRAMS: [&str; 2] = ["apt-get", "dpkg-deb"];

pub(super) fn all(data_dir: &Path) -> Vec<Check> {
    vec![disk(data_dir), memory(), programs()]
}

fn disk(data_dir: &Path) -> Check {
    const NAME: &str = "free disk";
    let free = existing(data_dir).and_then(|path| Ok((rustix::fs::statvfs(&path)?, path)));
    match free {
        Ok((stat, path)) => {
            let bytes = stat.f_bavail.saturating_mul(stat.f_frsize);
            let found = format!("{} at {}", mebibytes(bytes), path.display());
            if bytes >= LEAST_DISK_BYTES {
                return Check::ok(NAME, found);
            }
            Check::warn(
                NAME,
                found,
                "2 GiB hold the runtime images and some functions; choose another --data-dir",
            )
        }
        Err(error) => Check::fail(
            NAME,
            error.to_string(),
            "choose a --data-dir that can be read",
        ),
    }
}

fn memory() -> Check {
    const NAME: &str = "free memory";
    let meminfo = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let available = meminfo
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = available.and_then(|rest| rest.trim().split(' ').next()?.parse::<u64>().ok());
    match kibibytes.map(|kibibytes| kibibytes << 10) {
        Some(bytes) if bytes >= LEAST_MEMORY_BYTES => Check::ok(NAME, mebibytes(bytes)),
        Some(bytes) => Check::warn(
            NAME,
            mebibytes(bytes),
            "idle instances are reclaimed early; give it 512 MiB",
        ),
        None => Check::warn(NAME, "unknown", "mount /proc"),
    }
}

fn programs() -> Check {
    const NAME: &str = "image tools";
    let folders = || crate::network::SYSTEM_PATH.split(':').map(Path::new);
    let missing: Vec<&str> = PROGRAMS
        .into_iter()
        .filter(|program| !folders().any(|folder| folder.join(program).is_file()))
        .collect();
    if missing.is_empty() {
        return Check::ok(NAME, PROGRAMS.join(", "));
    }
    let advice = "runtime images are built from Debian packages: use Debian or Ubuntu, or bring the images from there";
    Check::warn(NAME, format!("{} missing", missing.join(" and ")), advice)
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
