//! Which controller lives in which hierarchy.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::CgroupError;

/// A version of the kernel's interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One hierarchy per controller.
    V1,
    /// One hierarchy for all.
    V2,
}

/// What we use of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Controller {
    /// Memory limit, peak and kills.
    Memory,
    /// CPU quota.
    Cpu,
    /// Limit of processes and threads.
    Pids,
    /// CPU time used: a controller of its own in v1, part of every cgroup in v2.
    CpuUsage,
}

/// A mounted hierarchy and what we use of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) version: Version,
    pub(super) point: PathBuf,
    pub(super) controllers: Vec<Controller>,
}

impl Controller {
    pub(super) const ALL: [Controller; 4] = [
        Controller::Memory,
        Controller::Cpu,
        Controller::Pids,
        Controller::CpuUsage,
    ];

    /// One that no other has.
    pub(super) fn bit(self) -> u8 {
        1 << self as u8
    }

    /// The kernel's name for it in v1; in v2 the same, but for the last.
    pub(super) fn name(self) -> &'static str {
        match self {
            Controller::Memory => "memory",
            Controller::Cpu => "cpu",
            Controller::Pids => "pids",
            Controller::CpuUsage => "cpuacct",
        }
    }
}

impl fmt::Display for Controller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The hierarchies to use on this machine, each with at least one controller; every controller is in one.
pub(super) fn in_use() -> Result<Vec<Mount>, CgroupError> {
    let path = PathBuf::from("/proc/self/mountinfo");
    match fs::read_to_string(&path) {
        Ok(mountinfo) => choose(&mountinfo, |v2| {
            fs::read_to_string(v2.join("cgroup.controllers")).unwrap_or_default()
        }),
        Err(source) => Err(CgroupError::Io {
            action: "read",
            path,
            source,
        }),
    }
}

/// Chooses from the content of /proc/self/mountinfo, see proc_pid_mountinfo(5). A controller that a v1 hierarchy has
/// cannot be had from v2 at the same time; `v2_controllers` tells what that one offers.
fn choose(
    mountinfo: &str,
    v2_controllers: impl Fn(&Path) -> String,
) -> Result<Vec<Mount>, CgroupError> {
    let mut mounts: Vec<(Mount, Vec<String>)> = mountinfo.lines().filter_map(parse).collect();
    for (mount, offered) in &mut mounts {
        if mount.version == Version::V2 {
            let names = v2_controllers(&mount.point);
            offered.extend(names.split_whitespace().map(str::to_owned));
            offered.push(Controller::CpuUsage.name().to_owned());
        }
    }
    // Stable: among equals the first mount wins.
    mounts.sort_by_key(|(mount, _)| mount.version == Version::V2);
    for controller in Controller::ALL {
        let offers = |offered: &Vec<String>| offered.iter().any(|name| name == controller.name());
        let home = mounts.iter_mut().find(|(_, offered)| offers(offered));
        let (mount, _) = home.ok_or(CgroupError::Missing { controller })?;
        mount.controllers.push(controller);
    }
    Ok(mounts
        .into_iter()
        .map(|(mount, _)| mount)
        .filter(|mount| !mount.controllers.is_empty())
        .collect())
}

/// A line about a cgroup file system: where it is and, for v1, which controllers it has.
fn parse(line: &str) -> Option<(Mount, Vec<String>)> {
    let (before, after) = line.split_once(" - ")?;
    let point = PathBuf::from(before.split(' ').nth(4)?.replace("\\040", " "));
    let mut after = after.split(' ');
    let (kind, options) = (after.next()?, after.nth(1)?);
    let version = match kind {
        "cgroup" => Version::V1,
        "cgroup2" => Version::V2,
        _ => return None,
    };
    let offered = match version {
        Version::V1 => options.split(',').map(str::to_owned).collect(),
        Version::V2 => Vec::new(),
    };
    Some((
        Mount {
            version,
            point,
            controllers: Vec::new(),
        },
        offered,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "\
22 27 0:21 / /proc rw,relatime - proc proc rw
32 31 0:29 / /sys/fs/cgroup/cpu,cpuacct rw,relatime shared:9 - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory
36 31 0:33 / /sys/fs/cgroup/devices rw,relatime - cgroup cgroup rw,devices
41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw
";

    fn chosen(mountinfo: &str, v2_controllers: &str) -> Result<Vec<Mount>, CgroupError> {
        choose(mountinfo, |_| v2_controllers.to_owned())
    }

    #[test]
    fn a_hybrid_machine_uses_both_versions_and_shared_mounts_once() {
        use Controller::{Cpu, CpuUsage, Memory, Pids};
        let mounts = chosen(HYBRID, "hugetlb pids").unwrap();
        let at = |point: &str, version, controllers: &[Controller]| Mount {
            version,
            point: PathBuf::from(point),
            controllers: controllers.to_vec(),
        };
        let expected = [
            at("/sys/fs/cgroup/cpu,cpuacct", Version::V1, &[Cpu, CpuUsage]),
            at("/sys/fs/cgroup/memory", Version::V1, &[Memory]),
            at("/sys/fs/cgroup/unified", Version::V2, &[Pids]),
        ];
        assert_eq!(mounts, expected);
    }

    #[test]
    fn a_unified_machine_uses_v2_for_all() {
        let line = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate";
        let mounts = chosen(line, "cpuset cpu io memory pids").unwrap();
        assert_eq!(mounts.len(), 1);
        assert_eq!(mounts[0].controllers, Controller::ALL);
    }

    #[test]
    fn a_missing_controller_is_named() {
        let error = chosen(HYBRID, "hugetlb").unwrap_err();
        assert_eq!(
            error.to_string(),
            "no cgroup hierarchy with the pids controller is mounted"
        );
    }
}
