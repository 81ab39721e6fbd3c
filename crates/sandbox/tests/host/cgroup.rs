//! Limits that hold, on whatever this machine has its controllers on.

use std::fs;
use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use pilotlight_sandbox::cgroup::{Cgroup, CgroupLimits, Controller, Parent};
use rustix::process::Signal;

/// A shell that waits for a line before it runs `script`, so that it can be attached first.
struct Waiting(Child);

impl Waiting {
    fn new(script: &str) -> Waiting {
        let script = format!("read go; {script}");
        let mut shell = Command::new("sh");
        shell
            .args(["-c", &script])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        Waiting(shell.spawn().unwrap())
    }

    fn inside(script: &str, cgroup: &Cgroup) -> Waiting {
        let waiting = Waiting::new(script);
        cgroup
            .attach(i32::try_from(waiting.0.id()).unwrap())
            .unwrap();
        waiting
    }

    fn go(&mut self) {
        self.0.stdin.take().unwrap().write_all(b"\n").unwrap();
    }

    fn finish(mut self) -> ExitStatus {
        self.go();
        self.0.wait().unwrap()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A node of its own for each test, for they run side by side. Leaves nothing, also when the test fails.
struct Node {
    name: String,
    parent: Parent,
}

impl Node {
    fn new(test: &str) -> Node {
        let name = format!("{test}-{}", std::process::id());
        let parent = Parent::open(&name).unwrap();
        Node { name, parent }
    }

    fn create(&self, id: u32, limits: CgroupLimits) -> Cgroup {
        let mut cgroup = self.parent.create(id).unwrap();
        cgroup.limit(&limits).unwrap();
        cgroup
    }

    /// The folders of slot `id`, one per controller.
    fn folders(&self, id: u32) -> Vec<PathBuf> {
        self.parent
            .controllers()
            .map(|(_, _, path)| path.join(id.to_string()))
            .collect()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let deleted = self.parent.clone().delete();
        assert!(thread::panicking() || deleted.is_ok(), "{deleted:?}");
    }
}

#[test]
fn more_memory_than_the_limit_gets_the_process_killed_and_counted() {
    let node = Node::new("memory");
    // tail keeps a line in memory until it ends.
    let script = "head -c 100m /dev/zero | tail > /dev/null";
    let small = node.create(1, CgroupLimits::booting(32));
    let killed = Waiting::inside(script, &small).finish();
    assert!(!killed.success(), "{killed}");
    assert!(small.oom_kills().unwrap() >= 1);
    let peak = small.memory_peak_bytes().unwrap();
    assert!((16 << 20..=40 << 20).contains(&peak), "{peak}");

    let large = node.create(2, CgroupLimits::default());
    let done = Waiting::inside(script, &large).finish();
    assert!(done.success(), "{done}");
    assert_eq!(large.oom_kills().unwrap(), 0);
    assert!(large.memory_peak_bytes().unwrap() > 100 << 20);
}

#[test]
fn a_new_one_yields_until_it_hurries() {
    let node = Node::new("idle");
    let mut cgroup = node.parent.create(1).unwrap();
    let controllers = node.parent.controllers();
    let cpu = controllers.filter(|(controller, ..)| *controller == Controller::Cpu);
    let idle: Vec<_> = cpu.map(|(_, _, path)| path.join("1/cpu.idle")).collect();
    let [idle] = &idle[..] else {
        panic!("the CPU has one controller");
    };
    let yields = || fs::read_to_string(idle).unwrap().trim() == "1";
    assert!(yields());
    cgroup.limit(&CgroupLimits::serving(256)).unwrap();
    assert!(yields());
    for _ in 0..2 {
        cgroup.hurry().unwrap();
        assert!(!yields());
    }
    let mut missing = node.parent.slot(2);
    assert!(missing.hurry().is_err());
}

#[test]
fn forks_fail_at_the_limit() {
    let node = Node::new("pids");
    let script = "for i in 1 2 3 4 5 6 7 8 9 10 11 12; do sleep 600 & done; exit 0";
    let narrow = node.create(
        1,
        CgroupLimits {
            pids: 8,
            ..CgroupLimits::default()
        },
    );
    assert!(!Waiting::inside(script, &narrow).finish().success());
    let wide = node.create(
        2,
        CgroupLimits {
            pids: 40,
            ..CgroupLimits::default()
        },
    );
    assert!(Waiting::inside(script, &wide).finish().success());
    // Both shells leave sleepers behind.
    narrow.delete().unwrap();
    wide.delete().unwrap();
}

#[test]
fn a_share_of_the_cpu_is_no_more_than_that() {
    let node = Node::new("cpu");
    let cgroup = node.create(
        1,
        CgroupLimits {
            cpu_milli: Some(100),
            ..CgroupLimits::default()
        },
    );
    let mut busy = Waiting::inside("while :; do :; done", &cgroup);
    let before = cgroup.cpu_usage().unwrap();
    let began = Instant::now();
    busy.go();
    let spent = loop {
        let spent = cgroup.cpu_usage().unwrap() - before;
        if spent >= Duration::from_millis(80) {
            break spent;
        }
        thread::park_timeout(Duration::from_millis(5));
    };
    let share = spent.as_secs_f64() / began.elapsed().as_secs_f64();
    assert!(share < 0.2, "{share}");
}

#[test]
fn everything_inside_is_killed_and_deleted() {
    let node = Node::new("kill");
    let cgroup = node.create(1, CgroupLimits::default());
    let mut family = Waiting::inside("sleep 600 & sleep 600 & wait", &cgroup);
    family.go();
    cgroup.kill_all().unwrap();
    assert_eq!(
        family.0.wait().unwrap().signal(),
        Some(Signal::KILL.as_raw())
    );
    assert!(node.folders(1).iter().all(|folder| folder.exists()));
    cgroup.delete().unwrap();
    assert!(node.folders(1).iter().all(|folder| !folder.exists()));
}

#[test]
fn what_is_killed_ends_at_the_pace_of_the_machine() {
    let node = Node::new("lift");
    let limits = CgroupLimits {
        cpu_milli: Some(50),
        ..CgroupLimits::default()
    };
    let cgroup = node.create(1, limits);
    let has_quota_of = |id| {
        let read = |file| {
            let folders = node.folders(id).into_iter();
            folders.filter_map(move |folder| std::fs::read_to_string(folder.join(file)).ok())
        };
        let quota = read("cpu.cfs_quota_us").chain(read("cpu.max")).next();
        let quota = quota.expect("one of the folders limits the CPU");
        !(quota.starts_with("-1") || quota.starts_with("max"))
    };
    assert!(has_quota_of(1));
    cgroup.lift_quota().unwrap();
    assert!(!has_quota_of(1));
    let cgroup = node.create(2, limits);
    cgroup.kill_all().unwrap();
    assert!(!has_quota_of(2));
    cgroup.delete().unwrap();
    cgroup.lift_quota().unwrap();
}

#[test]
fn another_process_of_the_node_finds_a_slot_without_disturbing_it() {
    let node = Node::new("join");
    let made = node.create(5, CgroupLimits::default());
    let mut child = Waiting::inside("exit 0", &made);
    let mut found = Parent::join(&node.name).unwrap().slot(5);
    found.limit(&CgroupLimits::serving(256)).unwrap();
    found.kill_all().unwrap();
    assert_eq!(
        child.0.wait().unwrap().signal(),
        Some(Signal::KILL.as_raw())
    );
    found.delete().unwrap();
    assert!(made.memory_peak_bytes().is_err(), "it is gone for both");
}

#[test]
fn a_slot_is_made_once() {
    let node = Node::new("once");
    let first = node.create(1, CgroupLimits::default());
    let error = node.parent.create(1).unwrap_err();
    assert!(error.to_string().starts_with("cannot make "), "{error}");
    first
        .memory_peak_bytes()
        .expect("the failure must not delete what was there");
}

#[test]
fn opening_again_sweeps_what_a_crash_left_and_nothing_else() {
    let node = Node::new("sweep");
    let neighbour = Node::new("sweep-neighbour");
    let bystander = neighbour.create(1, CgroupLimits::default());
    let mut outside = Waiting::inside("exit 7", &bystander);
    let mut left = Waiting::inside("sleep 600", &node.create(1, CgroupLimits::default()));
    left.go();

    drop(Parent::open(&node.name).unwrap());
    assert_eq!(left.0.wait().unwrap().signal(), Some(Signal::KILL.as_raw()));
    assert!(node.folders(1).iter().all(|folder| !folder.exists()));
    outside.go();
    assert_eq!(outside.0.wait().unwrap().code(), Some(7));
}
