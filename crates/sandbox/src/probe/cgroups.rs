//! Controllers, limits, and what it costs to move a process.

use std::fs;
use std::time::{Duration, Instant};

use rustix::thread::UnshareFlags;

use super::kernel::Waiting;
use super::{Check, chain};
use crate::cgroup::{CgroupError, CgroupLimits, Parent, Version};

/// A move that takes longer has waited for the kernel's grace period.
const SLOW_ATTACH: Duration = Duration::from_millis(2);

pub(super) fn all() -> Vec<Check> {
    let parent = match Parent::open(&format!("doctor-{}", std::process::id())) {
        Ok(parent) => parent,
        Err(error) => {
            let advice = "mount cgroup v2 at /sys/fs/cgroup with the memory, cpu and pids controllers, writable";
            return vec![Check::fail("cgroup controllers", chain(&error), advice)];
        }
    };
    let mut checks = vec![Check::ok("cgroup controllers", modes(&parent))];
    match attach_cost(&parent) {
        Ok(cost) => {
            checks.push(Check::ok(
                "cgroup limits",
                "set, and a process attached and killed",
            ));
            let v2 = |(_, version, _)| version == Version::V2;
            if parent.controllers().any(v2) {
                checks.push(attach(cost));
            }
        }
        Err(error) => checks.push(Check::fail(
            "cgroup limits",
            error,
            "look for limits on the cgroup this runs in",
        )),
    }
    if let Err(error) = parent.delete() {
        checks.push(Check::warn(
            "cgroup clean-up",
            chain(&error),
            "delete that folder with rmdir",
        ));
    }
    checks
}

fn modes(parent: &Parent) -> String {
    let modes = parent
        .controllers()
        .map(|(controller, version, _)| match version {
            Version::V1 => format!("{controller} v1"),
            Version::V2 => format!("{controller} v2"),
        });
    modes.collect::<Vec<_>>().join(", ")
}

/// How long the first move of a process takes. In v1 processes enter by themselves, which costs nothing.
fn attach_cost(parent: &Parent) -> Result<Duration, String> {
    let child = Waiting::spawn(UnshareFlags::empty()).map_err(|error| error.to_string())?;
    let pid = i32::try_from(child.0.id()).map_err(|error| error.to_string())?;
    let attached = || -> Result<Duration, CgroupError> {
        let mut cgroup = parent.create(0)?;
        cgroup.limit(&CgroupLimits::serving(256))?;
        let began = Instant::now();
        cgroup.attach(pid)?;
        let cost = began.elapsed();
        cgroup.kill_all()?;
        Ok(cost)
    };
    attached().map_err(|error| chain(&error))
}

fn attach(cost: Duration) -> Check {
    const NAME: &str = "cgroup attach";
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    let mut mounts = mountinfo.lines().filter(|line| line.contains(" - cgroup"));
    let favors = mounts.clone().any(|line| line.contains("favordynmods"));
    let found = format!(
        "{:.1} ms, {} favordynmods",
        cost.as_secs_f64() * 1e3,
        if favors { "with" } else { "without" }
    );
    if favors || cost <= SLOW_ATTACH {
        return Check::ok(NAME, found);
    }
    // The option changes a lock that all hierarchies share, so v2's mount is enough, whatever is on v1.
    let v2 = mounts
        .find(|line| line.contains(" - cgroup2 "))
        .and_then(|line| line.split(' ').nth(4));
    let advice = match v2 {
        Some(mount) => {
            format!("slots are made faster after: mount -o remount,favordynmods {mount}")
        }
        None => "slots are made faster where a cgroup file system is mounted with favordynmods"
            .to_owned(),
    };
    Check::warn(NAME, found, advice)
}
