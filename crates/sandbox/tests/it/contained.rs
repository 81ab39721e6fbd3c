//! What a program cannot do.

use std::fs;

use libtest_mimic::Trial;
use pilotlight_sandbox::Exit;

use crate::world::{World, finish, launch, parent_of, trials_of_every_kind};

pub(crate) fn trials() -> Vec<Trial> {
    [
        trials_of_every_kind("shares_no_namespace_with_the_host", namespaces),
        trials_of_every_kind("has_an_unprivileged_user_and_no_capability", identity),
        trials_of_every_kind("cannot_do_what_its_attempts_list", attempts),
        trials_of_every_kind("cannot_fill_more_than_its_tmp", tmp),
        trials_of_every_kind("cannot_fork_without_end", fork_bomb),
        trials_of_every_kind("cannot_use_more_than_its_memory", memory_bomb),
        trials_of_every_kind("sees_its_own_mounts_only", mounts),
    ]
    .into_iter()
    .flatten()
    .collect()
}

async fn namespaces(mut world: World) {
    // At the same time, for numbers are used again.
    let programs = [world.start(&["pause"]).await, world.start(&["pause"]).await];
    for kind in ["cgroup", "ipc", "mnt", "net", "pid", "user", "uts"] {
        let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/{kind}")).unwrap();
        let [one, other] = programs
            .each_ref()
            .map(|program| of(&program.pid().to_string()));
        assert_ne!(one, of("self"), "{kind}");
        assert_ne!(other, of("self"), "{kind}");
        assert_ne!(one, other, "{kind}");
    }
    drop(programs);
    world.end().await;
}

async fn identity(mut world: World) {
    assert_eq!(world.output(&["id"]).await, "993 993 990 990\n");
    assert_eq!(world.output(&["limits"]).await, "1024 1\n");
    let status = world.output(&["cat", "/proc/self/status"]).await;
    for line in [
        "CapInh:\t0000000000000000",
        "CapPrm:\t0000000000000000",
        "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000",
        "CapAmb:\t0000000000000000",
        "NoNewPrivs:\t1",
        "Seccomp:\t2",
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
        "Groups:\t ",
    ] {
        assert!(
            status.lines().any(|found| found == line),
            "{line} is not in {status}"
        );
    }
    let process = world.start(&["pause"]).await;
    for pid in [process.pid(), parent_of(process.pid())] {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let uid: u32 = status
            .lines()
            .find_map(|line| line.strip_prefix("Uid:\t"))
            .unwrap()
            .split('\t')
            .next()
            .unwrap()
            .parse()
            .unwrap();
        assert!(uid >= world.config.uid_base, "{uid}");
        assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    }
    drop(process);
    world.end().await;
}

async fn attempts(mut world: World) {
    let attempts = world.output(&["attempts"]).await;
    assert_eq!(attempts.lines().count(), 30, "{attempts}");
    let done: Vec<_> = attempts
        .lines()
        .filter(|line| line.ends_with(": done"))
        .collect();
    assert!(done.is_empty(), "{attempts}");
    // And the node goes on.
    assert_eq!(world.run(&["exit", "3"]).await.exit, Exit::Code(3));
    world.end().await;
}

async fn tmp(mut world: World) {
    assert_eq!(
        world.output(&["fill", "/tmp/file"]).await,
        format!("{} ENOSPC\n", 16 << 20)
    );
    let slot = world.sandboxes.slot().await.unwrap();
    let mut larger = launch(&world.root, &["cat", "/proc/self/mounts"]);
    larger.tmp_mb = 512;
    let mounts = finish(slot.launch(larger).await.unwrap()).await.stdout;
    let tmp = mounts.lines().find(|line| line.contains(" /tmp ")).unwrap();
    assert!(tmp.contains("size=524288k"), "{tmp}");
    world.end().await;
}

async fn fork_bomb(mut world: World) {
    let mut process = world.start(&["fork-bomb"]).await;
    let mut said = [0; 64];
    let length = rustix::io::read(&mut process.stdout, &mut said).unwrap();
    let said = String::from_utf8_lossy(&said[..length]).into_owned();
    let count: u32 = said
        .strip_suffix(" EAGAIN\n")
        .unwrap_or_else(|| panic!("{said}"))
        .parse()
        .unwrap();
    assert!((900..1024).contains(&count), "{count}");
    assert_eq!(world.run(&["exit", "0"]).await.exit, Exit::Code(0));
    process.kill();
    assert_eq!(process.wait().await, Exit::Signal(9));
    drop(process);
    world.end().await;
}

async fn memory_bomb(mut world: World) {
    let outcome = world.run(&["memory", "400"]).await;
    assert_eq!(outcome.exit, Exit::Signal(9), "{outcome:?}");
    assert!(outcome.oom_kills > 0, "{outcome:?}");
    world.end().await;
}

async fn mounts(mut world: World) {
    let mounts = world.output(&["cat", "/proc/self/mounts"]).await;
    for line in mounts.lines() {
        let mut fields = line.split(' ');
        let (_, place, kind, options) = (
            fields.next(),
            fields.next().unwrap(),
            fields.next().unwrap(),
            fields.next().unwrap(),
        );
        let own = place == "/"
            || [
                "/etc/resolv.conf",
                "/proc",
                "/dev",
                "/tmp",
                "/var/task",
                "/opt",
            ]
            .iter()
            .any(|top| place.starts_with(top));
        assert!(own, "{line}");
        let options: Vec<_> = options.split(',').collect();
        assert!(options.contains(&"nosuid"), "{line}");
        assert!(
            options.contains(&"nodev") || place.starts_with("/dev") || kind == "tmpfs",
            "{line}"
        );
        let writable = ["/proc", "/tmp", "/dev/shm"].contains(&place);
        assert!(
            writable || options.contains(&"ro") || line.starts_with("tmpfs /proc/"),
            "{line}"
        );
    }
    world.end().await;
}
