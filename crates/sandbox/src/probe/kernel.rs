//! Privilege, kernel version, namespaces, system call filters.

use std::fs;
use std::io::{self, Write};
use std::process::{Child, Command, Stdio};
use std::thread;

use rustix::thread::UnshareFlags;

use super::Check;
use crate::seccomp::{Filter, Knock};
use crate::sys::namespace;

/// The first version with all that a sandbox needs.
const OLDEST: (u32, u32) = (5, 15);
/// The first version that mounts EROFS images from files.
const FILE_BACKED: (u32, u32) = (6, 12);

const NEEDS_ROOT: &str =
    "run as root: making sandboxes takes privileges that the sandboxes then do not have";
const NEEDS_NAMESPACES: &str =
    "run as root on a kernel with all namespaces, outside of a container or in a privileged one";

/// A user id that no sandbox of a running platform has.
const MAPPED_UID: u32 = 4_000_000_000;

pub(super) fn privilege() -> Check {
    let uid = rustix::process::geteuid();
    let found = format!("user {uid}");
    if uid.is_root() {
        Check::ok("root", found)
    } else {
        Check::fail("root", found, NEEDS_ROOT)
    }
}

pub(super) fn version() -> Check {
    let uname = rustix::system::uname();
    let release = uname.release().to_string_lossy().into_owned();
    match parse_version(&release) {
        Some(version) if version < OLDEST => Check::fail(
            "kernel",
            release,
            "use Linux 5.15 or newer; 6.12 or newer is best",
        ),
        Some(version) if version < FILE_BACKED => Check::warn(
            "kernel",
            release,
            "Linux 6.12 or newer mounts code without loop devices",
        ),
        _ => Check::ok("kernel", release),
    }
}

/// One row for all kinds that work, one for each that does not.
pub(super) fn namespaces() -> Vec<Check> {
    const NAME: &str = "namespaces";
    let kinds = [
        ("mount", UnshareFlags::NEWNS),
        ("pid", UnshareFlags::NEWPID),
        ("network", UnshareFlags::NEWNET),
        ("ipc", UnshareFlags::NEWIPC),
        ("uts", UnshareFlags::NEWUTS),
        ("cgroup", UnshareFlags::NEWCGROUP),
    ];
    let tried = kinds.map(|(kind, flag)| (kind, Waiting::spawn(flag).map(drop)));
    let refused = |(kind, tried): &(&str, io::Result<()>)| {
        let error = tried.as_ref().err()?;
        Some(Check::fail(
            NAME,
            format!("{kind}: {error}"),
            NEEDS_NAMESPACES,
        ))
    };
    let failures: Vec<Check> = tried.iter().filter_map(refused).collect();
    if failures.is_empty() {
        return vec![Check::ok(NAME, kinds.map(|(kind, _)| kind).join(", "))];
    }
    failures
}

pub(super) fn user_namespace() -> Check {
    let advice = "allow user namespaces: sysctl user.max_user_namespaces, and no security module that forbids them";
    Check::of(
        "user namespace",
        mapped_child().map(|()| "with mapped users".to_owned()),
        advice,
    )
}

/// Puts the filter of sandboxes on a thread that then ends.
pub(super) fn seccomp() -> Check {
    let installed = thread::spawn(|| {
        rustix::thread::set_no_new_privs(true)?;
        Filter::for_programs(Knock::random()?).install()
    });
    let installed = installed
        .join()
        .unwrap_or_else(|_| Err(io::Error::other("the filter was refused in mid-air")));
    let advice =
        "use a kernel with CONFIG_SECCOMP_FILTER, outside of a container that forbids seccomp(2)";
    Check::of(
        "seccomp",
        installed.map(|()| "filter installed".to_owned()),
        advice,
    )
}

fn mapped_child() -> io::Result<()> {
    let child = Waiting::spawn(UnshareFlags::NEWUSER)?;
    let folder = format!("/proc/{}", child.0.id());
    let map = format!("0 {MAPPED_UID} 1\n");
    fs::write(format!("{folder}/gid_map"), &map)?;
    fs::write(format!("{folder}/uid_map"), &map)?;
    child.finish()
}

/// A child in a new namespace that waits to be told to end.
pub(super) struct Waiting(pub(super) Child);

impl Waiting {
    pub(super) fn spawn(namespaces: UnshareFlags) -> io::Result<Waiting> {
        let mut shell = Command::new("/bin/sh");
        shell
            .args(["-c", "read end"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        namespace::unshare_before_exec(&mut shell, namespaces);
        shell.spawn().map(Waiting)
    }

    fn finish(mut self) -> io::Result<()> {
        if let Some(mut stdin) = self.0.stdin.take() {
            stdin.write_all(b"\n")?;
        }
        let status = self.0.wait()?;
        if status.success() {
            Ok(())
        } else {
            Err(io::Error::other(format!(
                "a shell inside ended with {status}"
            )))
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Both fail only when it has been waited for.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn parse_version(release: &str) -> Option<(u32, u32)> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_as_numbers() {
        assert_eq!(parse_version("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(parse_version("6.18.44+"), Some((6, 18)));
        assert_eq!(parse_version("5.15-rc1"), Some((5, 15)));
        assert!(parse_version("6.9") < Some(FILE_BACKED));
        assert_eq!(parse_version("unknown"), None);
    }
}
