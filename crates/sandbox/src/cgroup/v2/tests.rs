//! v2 against folders that look like the kernel's, and against the real mount as far as that needs no controller
//! which a machine with v1 keeps for that.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command};

use crate::cgroup::folder::Dir;
use crate::cgroup::{Hierarchy, Version};

use super::*;

const SLOT: &str = "7";

/// A folder with the files that a slot's cgroup has.
fn fake(files: &[(&str, &str)]) -> (tempfile::TempDir, Dir) {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join(SLOT)).unwrap();
    for (name, content) in files {
        fs::write(folder.path().join(SLOT).join(name), content).unwrap();
    }
    let dir = Dir::open(folder.path().to_owned()).unwrap();
    (folder, dir)
}

#[test]
fn limits_are_written_as_the_kernel_reads_them() {
    let names = [
        "memory.max",
        "memory.swap.max",
        "memory.oom.group",
        "cpu.max",
    ];
    let (_keep, dir) = fake(&names.map(|name| (name, "")));
    let folder = dir.folder(SLOT);
    prepare_memory(&folder, &CgroupLimits::booting(128)).unwrap();
    limit_cpu(&folder, &CgroupLimits::booting(1769)).unwrap();
    assert_eq!(folder.read("cpu.max").unwrap(), "max 20000");
    // Longer, so that nothing of the first value can remain in an ordinary file.
    limit_cpu(&folder, &CgroupLimits::serving(1769)).unwrap();
    let written = names.map(|name| folder.read(name).unwrap());
    assert_eq!(written, ["142606336", "0", "1", "20000 20000"]);
}

#[test]
fn a_kernel_without_swap_accounting_will_do_but_not_one_without_limits() {
    let (_keep, dir) = fake(&[("memory.max", "")]);
    prepare_memory(&dir.folder(SLOT), &CgroupLimits::default()).unwrap();
    let error = limit_cpu(&dir.folder(SLOT), &CgroupLimits::default()).unwrap_err();
    assert!(error.to_string().ends_with("/7/cpu.max"), "{error}");
}

#[test]
fn what_was_used_is_read() {
    let (_keep, dir) = fake(&[
        ("memory.peak", "7340032\n"),
        (
            "memory.events",
            "low 0\nhigh 0\nmax 31\noom 2\noom_kill 3\noom_group_kill 1\n",
        ),
        (
            "cpu.stat",
            "usage_usec 1500\nuser_usec 1000\nsystem_usec 500\n",
        ),
    ]);
    let folder = dir.folder(SLOT);
    assert_eq!(memory_peak_bytes(&folder).unwrap(), 7_340_032);
    assert_eq!(oom_kills(&folder).unwrap(), 3);
    assert_eq!(cpu_usage(&folder).unwrap(), Duration::from_micros(1500));
}

#[test]
fn an_old_kernel_tells_what_is_in_use() {
    let (_keep, dir) = fake(&[("memory.current", "4096\n")]);
    assert_eq!(memory_peak_bytes(&dir.folder(SLOT)).unwrap(), 4096);
}

#[test]
fn attached_processes_are_killed_and_the_folder_is_deleted() {
    let path = real_mount().join(format!("pilotlight-unit-{}", std::process::id()));
    fs::create_dir(&path).unwrap();
    let hierarchy = Hierarchy {
        version: Version::V2,
        controllers: Vec::new(),
        dir: Dir::open(path).unwrap(),
    };
    let folder = hierarchy.dir.folder(SLOT);
    folder.make().unwrap();
    let mut children = [sleeper(), sleeper()];
    for child in &children {
        folder.write("cgroup.procs", child.id()).unwrap();
    }
    hierarchy.remove(&folder).unwrap();
    for child in &mut children {
        assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    }
    assert!(!folder.path().exists());
    kill_all(&folder).unwrap();
    hierarchy.dir.delete().unwrap();
}

#[test]
fn the_listed_are_killed_where_the_kernel_has_no_file_for_it() {
    let path = real_mount().join(format!("pilotlight-listed-{}", std::process::id()));
    fs::create_dir(&path).unwrap();
    let hierarchy = Hierarchy {
        version: Version::V2,
        controllers: Vec::new(),
        dir: Dir::open(path).unwrap(),
    };
    let folder = hierarchy.dir.folder(SLOT);
    folder.make().unwrap();
    let mut child = sleeper();
    folder.write("cgroup.procs", child.id()).unwrap();
    folder.kill_listed().unwrap();
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    hierarchy.remove(&folder).unwrap();
    hierarchy.dir.delete().unwrap();
}

#[test]
fn processes_make_way_for_controllers() {
    let root = real_mount();
    let offered = fs::read_to_string(root.join("cgroup.controllers")).unwrap();
    let controller = offered.split_whitespace().last().unwrap();
    let was_enabled = fs::read_to_string(root.join("cgroup.subtree_control"))
        .unwrap()
        .contains(controller);
    enable_named(&root, &[controller]).unwrap();

    let base = root.join(format!("pilotlight-way-{}", std::process::id()));
    fs::create_dir(&base).unwrap();
    let mut child = sleeper();
    fs::write(base.join("cgroup.procs"), child.id().to_string()).unwrap();
    enable_named(&base, &[controller]).unwrap();
    assert_eq!(
        fs::read_to_string(base.join("cgroup.subtree_control"))
            .unwrap()
            .trim(),
        controller
    );
    assert_eq!(
        fs::read_to_string(base.join("main/cgroup.procs"))
            .unwrap()
            .trim(),
        child.id().to_string()
    );

    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_dir(base.join("main")).unwrap();
    fs::remove_dir(&base).unwrap();
    if !was_enabled {
        fs::write(
            root.join("cgroup.subtree_control"),
            format!("-{controller}"),
        )
        .unwrap();
    }
}

fn sleeper() -> Child {
    Command::new("sleep").arg("600").spawn().unwrap()
}

/// Where this machine has v2.
fn real_mount() -> PathBuf {
    let mountinfo = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let line = mountinfo
        .lines()
        .find(|line| line.contains(" - cgroup2 "))
        .unwrap();
    PathBuf::from(line.split(' ').nth(4).unwrap())
}
