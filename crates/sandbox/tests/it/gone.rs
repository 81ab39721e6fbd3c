//! What is left afterwards: nothing.

use std::fs;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use libtest_mimic::Trial;
use pilotlight_sandbox::{Config, Demand, Exit, Sandboxes, SlotError};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use crate::world::{World, freeze, launch, runtime, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial("pool_is_filled_and_refilled", pool),
        trial("leaves_nothing_when_shut_down", shut_down),
        trial("a_dropped_launch_leaves_nothing", dropped),
        trial("survives_the_death_of_its_launcher", launcher_killed),
        trial("survives_a_launcher_that_hangs", launcher_hangs),
        trial("what_is_built_yields_for_a_while", yielding),
        trial("tells_what_could_not_be_built", not_built),
        Trial::test("leaves_nothing_when_killed", || {
            runtime().block_on(killed());
            Ok(())
        }),
    ]
}

async fn until(what: &str, mut done: impl FnMut() -> bool) {
    for _ in 0..1000 {
        if done() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("waited in vain for {what}");
}

async fn pool(world: World) {
    until("a full pool", || world.sandboxes.pooled() == 2).await;
    let slots = [
        world.sandboxes.slot().await.unwrap(),
        world.sandboxes.slot().await.unwrap(),
    ];
    assert!(slots.iter().all(pilotlight_sandbox::Slot::pooled));
    until("a full pool again", || world.sandboxes.pooled() == 2).await;
    drop(slots);
    world.sandboxes.shutdown().await;
    assert!(matches!(
        world.sandboxes.slot().await,
        Err(SlotError::Closed)
    ));
}

async fn shut_down(world: World) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let processes = [
        world.start(&["pause"]).await,
        world.start(&["fork-bomb"]).await,
    ];
    assert!(descendants().len() > 4);
    assert!(!cgroups(&world.config.name).is_empty());
    drop(processes);
    world.sandboxes.shutdown().await;
    assert_eq!(cgroups(&world.config.name), Vec::<PathBuf>::new());
    assert_eq!(fs::read_to_string("/proc/self/mountinfo").unwrap(), mounts);
    assert_eq!(children(), Vec::<i32>::new());
}

async fn dropped(world: World) {
    let slot = world.sandboxes.slot().await.unwrap();
    // Polled once: everything is under way, nothing has ended.
    let launch = slot.launch(launch(&world.root, &["pause"]));
    let _ = tokio::time::timeout(Duration::ZERO, launch).await;
    world.sandboxes.shutdown().await;
    assert_eq!(cgroups(&world.config.name), Vec::<PathBuf>::new());
}

async fn launcher_killed(world: World) {
    until("a full pool", || world.sandboxes.pooled() == 2).await;
    let process = world.start(&["pause"]).await;
    kill_process(launcher(), Signal::KILL).unwrap();
    for _ in 0..3 {
        assert_eq!(world.run(&["exit", "5"]).await.exit, Exit::Code(5));
    }
    process.kill();
    assert_eq!(process.wait().await, Exit::Signal(9));
    drop(process);
    world.sandboxes.shutdown().await;
}

/// What a stopped launcher would answer later is not taken for the answer to another question.
async fn launcher_hangs(world: World) {
    until("a full pool", || world.sandboxes.pooled() == 2).await;
    let hanging = launcher();
    kill_process(hanging, Signal::STOP).unwrap();
    for _ in 0..4 {
        assert_eq!(world.run(&["exit", "5"]).await.exit, Exit::Code(5));
    }
    assert_ne!(launcher(), hanging);
    world.sandboxes.shutdown().await;
}

/// And so does a berth, which is of use to nobody yet.
async fn yielding(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    let berth = template.berth(Demand::Start).await.unwrap();
    let yielding = || {
        let idle = cgroups(&world.config.name)
            .into_iter()
            .flat_map(|folder| fs::read_dir(folder).unwrap())
            .filter_map(|sandbox| fs::read_to_string(sandbox.unwrap().path().join("cpu.idle")).ok())
            .collect::<Vec<_>>();
        // The pool's two, the template's and the berth's.
        assert!(idle.len() >= 4, "{idle:?}");
        idle.iter().filter(|idle| idle.trim() == "1").count()
    };
    until("a full pool", || world.sandboxes.pooled() == 2).await;
    until("nobody yields", || yielding() == 0).await;
    drop((process, berth, template));
    world.end().await;
}

/// By the name of the step, whichever process it failed in; and what has failed is not in the way of the next.
async fn not_built(world: World) {
    let config = Config {
        subnet: (Ipv4Addr::new(100, 64, 0, 0), 28),
        pool_size: 0,
        name: format!("{}-small", world.config.name),
        ..world.config.clone()
    };
    world.sandboxes.shutdown().await;
    let sandboxes = Sandboxes::start(config).await.unwrap();
    let mut slots = Vec::new();
    let error = loop {
        match sandboxes.slot().await {
            Ok(slot) => slots.push(slot),
            Err(error) => break error,
        }
    };
    assert_eq!(slots.len(), 14);
    assert_eq!(
        error.to_string(),
        "the sandbox cannot connect its network: no free address in 100.64.0.0/28"
    );
    slots.pop();
    let mut again = sandboxes.slot().await;
    // Its address is free when the kernel has deleted its network, which it does some time later.
    for _ in 0..1000 {
        if again.is_ok() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
        again = sandboxes.slot().await;
    }
    drop((again.unwrap(), slots));
    sandboxes.shutdown().await;
}

fn launcher() -> Pid {
    let launchers: Vec<_> = children()
        .into_iter()
        .filter(|pid| name_of(*pid) == "launcher")
        .collect();
    let [launcher] = launchers[..] else {
        panic!("{launchers:?}")
    };
    Pid::from_raw(launcher).unwrap()
}

/// A node in a process of its own, killed with a program running and slots in the pool; then started again.
async fn killed() {
    let name = format!("test-{}-killed", std::process::id());
    let mut node = Command::new("/proc/self/exe")
        .env(NODE, &name)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut pids = String::new();
    BufReader::new(node.stdout.take().unwrap())
        .read_line(&mut pids)
        .unwrap();
    let pids: Vec<i32> = pids
        .split_whitespace()
        .map(|pid| pid.parse().unwrap())
        .collect();
    assert!(
        pids.len() >= 6,
        "launcher, program, init and a pool: {pids:?}"
    );
    let held: Vec<_> = pids
        .iter()
        .map(|pid| pidfd_open(Pid::from_raw(*pid).unwrap(), PidfdFlags::empty()).unwrap())
        .collect();

    node.kill().unwrap();
    node.wait().unwrap();
    for (pidfd, pid) in held.iter().zip(&pids) {
        let patience = Timespec {
            tv_sec: 20,
            tv_nsec: 0,
        };
        let ended = poll(&mut [PollFd::new(pidfd, PollFlags::IN)], Some(&patience)).unwrap();
        assert_eq!(ended, 1, "process {pid} outlives its node");
    }
    assert!(
        !cgroups(&name).is_empty(),
        "they are what the next start sweeps"
    );
    let world = World::named(&name, 1).await;
    assert_eq!(world.run(&["exit", "0"]).await.exit, Exit::Code(0));
    world.sandboxes.shutdown().await;
    assert_eq!(cgroups(&name), Vec::<PathBuf>::new());
}

const NODE: &str = "PILOTLIGHT_TEST_NODE";

/// Where this is the process of such a node: serves until it is killed.
pub(crate) fn node_main_if_asked() -> bool {
    let Ok(name) = std::env::var(NODE) else {
        return false;
    };
    runtime().block_on(async {
        let world = World::named(&name, 2).await;
        let process = world.start(&["pause"]).await;
        until("a full pool", || world.sandboxes.pooled() == 2).await;
        let pids = descendants();
        println!(
            "{}",
            pids.iter()
                .map(i32::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        );
        process.wait().await;
    });
    true
}

/// All processes below those that this process started.
fn descendants() -> Vec<i32> {
    let all: Vec<(i32, i32)> = all_pids()
        .into_iter()
        .filter_map(|pid| Some((pid, parent_of(pid)?)))
        .collect();
    let mut found = children();
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(
            all.iter()
                .filter(|(_, of)| *of == parent)
                .map(|(pid, _)| pid),
        );
        next += 1;
    }
    found
}

fn children() -> Vec<i32> {
    let own = std::process::id().cast_signed();
    all_pids()
        .into_iter()
        .filter(|pid| parent_of(*pid) == Some(own))
        .collect()
}

fn all_pids() -> Vec<i32> {
    let entries = fs::read_dir("/proc").unwrap();
    entries
        .filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok())
        .collect()
}

fn parent_of(pid: i32) -> Option<i32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status
        .lines()
        .find_map(|line| line.strip_prefix("PPid:\t"))?
        .parse()
        .ok()
}

fn name_of(pid: i32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm"))
        .unwrap_or_default()
        .trim()
        .to_owned()
}

/// Folders of that node in any hierarchy.
fn cgroups(name: &str) -> Vec<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    let points = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let point = fields.next()?;
        fields
            .next()?
            .starts_with("cgroup")
            .then(|| PathBuf::from(point))
    });
    points
        .map(|point| point.join(format!("pilotlight-{name}")))
        .filter(|folder| folder.exists())
        .collect()
}
