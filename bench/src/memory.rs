//! Memory as /proc tells it: of the machine, and of the processes in a platform's sandboxes.

use std::collections::HashMap;
use std::fs;

use anyhow::Context;

/// The process id that a program has in its own sandbox.
const PROGRAM_PID: &str = "2";
/// What a fork sleeps in that waits in its berth to be started.
const WAITS_IN_BERTH: &str = "skb_wait_for_more_packets";

/// A program in a sandbox. Its kind shows in how deep its PID namespace lies: what is forked from a process
/// lives in a namespace within that process's.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    /// Its id on the host.
    pub pid: u32,
    /// Namespaces that it is in, the host's counted.
    pub depth: usize,
    /// Whether it is a fork that waits in its berth.
    pub in_berth: bool,
}

/// What a process has in memory, in bytes.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weight {
    /// All that it has mapped and is there.
    pub rss: u64,
    /// The same, where what is shared counts in proportion.
    pub pss: u64,
    /// What nobody else has.
    pub uss: u64,
}

/// A line of /proc/meminfo, in bytes.
pub(crate) fn machine(key: &str) -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, key)
}

/// Programs of that name in the sandboxes of the platform whose process is `root`.
pub(crate) fn programs(root: u32, name: &str) -> Vec<Program> {
    let mut programs = Vec::new();
    for (pid, status) in family(root) {
        let ids = ids(&status);
        let named = field(&status, "Name:") == Some(name);
        if named && ids.len() > 1 && ids.last() == Some(&PROGRAM_PID) {
            let depth = ids.len();
            let sleeps_in = fs::read_to_string(format!("/proc/{pid}/wchan")).unwrap_or_default();
            programs.push(Program {
                pid,
                depth,
                in_berth: sleeps_in.contains(WAITS_IN_BERTH),
            });
        }
    }
    programs
}

/// What all processes below `root` have for themselves, in bytes.
pub(crate) fn private_below(root: u32) -> u64 {
    let below = family(root);
    let weights = below.iter().filter_map(|(pid, _)| weigh(*pid).ok());
    weights.map(|weight| weight.uss).sum()
}

/// Ids of a process in all its PID namespaces, the host's first.
fn ids(status: &str) -> Vec<&str> {
    let ids = field(status, "NSpid:").unwrap_or_default();
    ids.split('\t').collect()
}

fn field<'a>(status: &'a str, key: &str) -> Option<&'a str> {
    Some(status.lines().find_map(|it| it.strip_prefix(key))?.trim())
}

/// Every process below `root`, with what /proc/PID/status says. One that ends meanwhile is left out.
fn family(root: u32) -> Vec<(u32, String)> {
    let mut children: HashMap<u32, Vec<(u32, String)>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let pid = entry.file_name().to_str().and_then(|it| it.parse().ok());
        let status = fs::read_to_string(entry.path().join("status"));
        if let (Some(pid), Ok(status)) = (pid, status)
            && let Some(parent) = status.lines().find_map(|it| it.strip_prefix("PPid:"))
            && let Ok(parent) = parent.trim().parse()
        {
            children.entry(parent).or_default().push((pid, status));
        }
    }
    let (mut found, mut parents) = (Vec::new(), vec![root]);
    while let Some(parent) = parents.pop() {
        for child in children.remove(&parent).unwrap_or_default() {
            parents.push(child.0);
            found.push(child);
        }
    }
    found
}

/// What that process has in memory.
pub(crate) fn weigh(pid: u32) -> anyhow::Result<Weight> {
    let path = format!("/proc/{pid}/smaps_rollup");
    let text = fs::read_to_string(&path).with_context(|| path.clone())?;
    let of = |key| kilobytes(&text, key).with_context(|| format!("no {key} in {path}"));
    Ok(Weight {
        rss: of("Rss")?,
        pss: of("Pss")?,
        uss: of("Private_Clean")? + of("Private_Dirty")?,
    })
}

fn kilobytes(text: &str, key: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| {
        let rest = line.strip_prefix(key)?;
        rest.strip_prefix(':')
    })?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_found_by_their_whole_key() {
        let text = "Pss:  12 kB\nPss_Dirty:   3 kB\nPrivate_Clean:  0 kB\n";
        assert_eq!(kilobytes(text, "Pss_Dirty"), Some(3 << 10));
        assert_eq!(kilobytes(text, "Pss"), Some(12 << 10));
        assert_eq!(kilobytes(text, "Rss"), None);
        assert!(weigh(std::process::id()).unwrap().rss > 1 << 20);
    }
}
