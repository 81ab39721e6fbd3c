//! Programs that are frozen and forked.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use libtest_mimic::Trial;
use pilotlight_sandbox::{Demand, Exit, ForkError, FreezeError, Furnishing, Lesson, Process};
use rustix::process::{Pid, Signal, kill_process};

use crate::world::{World, freeze, trial};

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("a_fork_is_what_its_template_was", complete),
        trial("a_fork_can_be_a_template", fork_of_a_fork),
        trial("a_refused_program_runs_on", refused),
        trial("forks_one_after_the_other_answer", thousand),
        trial("forks_at_once_answer", two_hundred),
        trial("a_dead_template_harms_no_fork", template_killed),
        trial("a_dead_fork_harms_nobody", fork_killed),
        trial(
            "a_fork_that_waits_outlives_its_template",
            template_killed_before_the_start,
        ),
        trial("a_template_learns_addresses_and_nothing_else", taught),
        trial("a_fork_needs_what_its_template_had", wrong_request_socket),
        trial("a_start_passes_by_what_nobody_waits_for", start_first),
    ];
    trials.extend(REFUSALS.iter().map(|(why, reason)| {
        let name = format!("a_program_is_refused_for_{}", why.replace(' ', "_"));
        Trial::test(name, move || {
            crate::world::runtime().block_on(refusal(why, reason));
            Ok(())
        })
    }));
    trials
}

/// What the guest does, and the reason it is refused for.
const REFUSALS: [(&str, &str); 16] = [
    ("running_thread", "running_thread"),
    ("child_process", "child_process"),
    ("open_connection", "open_connection"),
    ("listening_socket", "listening_socket"),
    ("descriptor", "descriptor"),
    ("open_file", "open_file"),
    ("too_many_descriptors", "too_many_descriptors"),
    ("descriptor_limit", "descriptor_limit"),
    ("too_much_state", "too_much_state"),
    ("temporary_file", "temporary_file"),
    ("shared_memory", "shared_memory"),
    ("timer", "timer"),
    ("posix timer", "timer"),
    ("system_call_filter", "system_call_filter"),
    ("working_directory", "working_directory"),
    ("too_many_threads", "too_many_threads"),
];

pub(crate) fn ask(socket: &mut UnixStream, question: &str) -> String {
    socket.write_all(question.as_bytes()).unwrap();
    let mut answer = [0; 1024];
    let length = socket.read(&mut answer).unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

/// The guest's answer to its n-th question, when all is as it should be.
fn expected(name: &str, generation: u32) -> String {
    let sum = |factor: f64, own: u32| factor * f64::from(generation) + f64::from(own);
    let (word, file) = match generation {
        1 => ("kept", "ELF"),
        2 => ("none", "\u{2}\u{1}\u{1}"),
        _ => panic!("asked twice at most"),
    };
    format!(
        "{name}: generation {generation} sums {:.1} {:.1} {:.1} {:.1} pid 2 parent 1 session 2 uid 993 heap 7 thread 1 \
         child 11 timer 1 pipe {word} pair p datagram d file {file} at {} directory 1 out 1",
        sum(1.5, 1000),
        sum(2.5, 1001),
        sum(3.5, 1002),
        sum(7.0, 0),
        1 + 3 * generation,
    )
}

async fn complete(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    for name in ["one", "other"] {
        let (fork, mut socket) = world.fork(&template).await;
        for generation in 1..=2 {
            assert_eq!(ask(&mut socket, name), expected(name, generation));
        }
        // Its output is its own.
        let mut said = [0; 64];
        let length = rustix::io::read(&fork.stdout, &mut said[..]).unwrap();
        assert_eq!(
            String::from_utf8_lossy(&said[..length]),
            format!("printed {name}\nprinted {name}\n")
        );
        // The end of its request socket ends it, as it would have ended the template.
        drop(socket);
        assert_eq!(fork.wait().await, Exit::Code(0));
    }
    assert!(template.private_bytes().unwrap() > 8 << 20);
    drop((process, template));
    world.end().await;
}

async fn fork_of_a_fork(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let first = freeze(&process).await;
    let (fork, _connection) = world.fork(&first).await;
    let second = freeze(&fork).await;
    // Memory is shared all the way.
    assert!(second.private_bytes().unwrap() < 4 << 20);
    let (fork_of_fork, mut socket) = world.fork(&second).await;
    assert_eq!(ask(&mut socket, "third"), expected("third", 1));
    // Those in between may go.
    drop((first, process, second, fork));
    assert_eq!(ask(&mut socket, "third"), expected("third", 2));
    drop(fork_of_fork);
    world.end().await;
}

async fn refused(mut world: World) {
    let (process, mut connection) = world.start_waiting(&["refused", "shared_memory"]).await;
    for _ in 0..10 {
        assert!(process.freeze().await.is_err());
        assert_eq!(ask(&mut connection, "?"), "?");
    }
    drop(connection);
    assert_eq!(process.wait().await, Exit::Code(0));
    drop(process);
    world.end().await;
}

async fn refusal(why: &'static str, reason: &'static str) {
    let mut world = World::new(1).await;
    let (process, mut connection) = world.start_waiting(&["refused", why]).await;
    // It may still be on its way to waiting.
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    loop {
        match process.freeze().await {
            Err(FreezeError::Refused(refusal)) if refusal.reason() == reason => break,
            Err(FreezeError::Refused(refusal)) if refusal.reason() == "running_thread" => {}
            other => panic!("{why}: {other:?}"),
        }
        assert!(std::time::Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert_eq!(ask(&mut connection, "?"), "?");
    drop((connection, process));
    world.end().await;
}

async fn thousand(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    for number in 0..1000 {
        let (fork, mut socket) = world.fork(&template).await;
        let name = number.to_string();
        assert_eq!(ask(&mut socket, &name), expected(&name, 1));
        drop(fork);
    }
    drop((process, template));
    world.end().await;
}

async fn two_hundred(world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    let world = Arc::new(world);
    let mut starts = tokio::task::JoinSet::new();
    for number in 0..200 {
        let (world, template) = (Arc::clone(&world), template.clone());
        starts.spawn(async move {
            let (fork, mut socket) = world.fork(&template).await;
            let name = number.to_string();
            let answer = tokio::task::spawn_blocking(move || ask(&mut socket, &name));
            assert_eq!(answer.await.unwrap(), expected(&number.to_string(), 1));
            fork
        });
    }
    let forks = starts.join_all().await;
    let pids: BTreeSet<i32> = forks.iter().map(Process::pid).collect();
    assert_eq!(pids.len(), 200);
    drop((forks, process, template));
    world.sandboxes.shutdown().await;
}

fn kill(pid: i32) {
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
}

async fn template_killed(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    let (fork, mut socket) = world.fork(&template).await;
    kill(template.pid());
    assert_eq!(template.died().await, Exit::Signal(9));
    assert_eq!(ask(&mut socket, "orphan"), expected("orphan", 1));
    assert!(template.berth(Demand::Start).await.is_err());
    drop((template, process));
    assert_eq!(ask(&mut socket, "orphan"), expected("orphan", 2));
    drop(fork);
    world.end().await;
}

async fn fork_killed(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    let (victim, _socket) = world.fork(&template).await;
    let (sibling, mut socket) = world.fork(&template).await;
    kill(victim.pid());
    assert_eq!(victim.wait().await, Exit::Signal(9));
    assert_eq!(ask(&mut socket, "sibling"), expected("sibling", 1));
    let (another, mut socket) = world.fork(&template).await;
    assert_eq!(ask(&mut socket, "another"), expected("another", 1));
    drop((victim, sibling, another, process, template));
    world.end().await;
}

async fn template_killed_before_the_start(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    let mut berth = template.berth(Demand::Start).await.unwrap();
    berth.furnish(furnishing(&world)).await.unwrap();
    kill(template.pid());
    template.died().await;
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let fork = berth.fork(Some(theirs.into())).await.unwrap();
    assert_eq!(ask(&mut ours, "late"), expected("late", 1));
    drop((fork, template, process));
    world.end().await;
}

async fn taught(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    assert!(!process.teach_template(Lesson::Served).unwrap());
    let template = freeze(&process).await;
    let (teacher, mut socket) = world.fork(&template).await;
    assert!(teacher.teach_template(Lesson::Restored).unwrap());
    assert_eq!(ask(&mut socket, "teacher"), expected("teacher", 1));
    let untaught = faults(&teacher);
    assert!(teacher.teach_template(Lesson::Served).unwrap());
    for lesson in [Lesson::Restored, Lesson::Served] {
        assert!(!teacher.teach_template(lesson).unwrap());
    }

    let mut berth = template.berth(Demand::Start).await.unwrap();
    berth.make_ready();
    berth.furnish(furnishing(&world)).await.unwrap();
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let fork = berth.fork(Some(theirs.into())).await.unwrap();
    let ahead = faults(&fork);
    assert_eq!(ask(&mut ours, "pupil"), expected("pupil", 1));
    let taught = faults(&fork) - ahead;
    assert!(taught * 2 < untaught, "{taught} faults, {untaught} without");
    drop((fork, teacher, template, process));
    world.end().await;
}

/// Berths that are built ahead when a start comes to need one.
const AHEAD: usize = 16;

async fn start_first(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    let built = Arc::new(AtomicUsize::new(0));
    let ahead = (0..AHEAD).map(|_| {
        let (template, built) = (template.clone(), Arc::clone(&built));
        tokio::spawn(async move {
            let berth = template.berth(Demand::Stock).await.unwrap();
            built.fetch_add(1, Ordering::SeqCst);
            berth
        })
    });
    let ahead: Vec<_> = ahead.collect();
    // All of them have asked by then.
    tokio::task::yield_now().await;
    let berth = template.berth(Demand::Start).await.unwrap();
    let before = built.load(Ordering::SeqCst);
    assert!(before < AHEAD, "the start waited for all of them");
    let mut stock = Vec::new();
    for berth in ahead {
        stock.push(berth.await.unwrap());
    }
    drop((berth, stock, template, process));
    world.end().await;
}

/// How many page faults the process has had.
fn faults(process: &Process) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.pid())).unwrap();
    let behind_the_name = stat.rsplit_once(") ").unwrap().1;
    behind_the_name.split(' ').nth(7).unwrap().parse().unwrap()
}

async fn wrong_request_socket(mut world: World) {
    let (process, _connection) = world.start_waiting(&["template"]).await;
    let template = freeze(&process).await;
    let mut berth = template.berth(Demand::Start).await.unwrap();
    berth.furnish(furnishing(&world)).await.unwrap();
    assert!(matches!(
        berth.fork(None).await,
        Err(ForkError::RequestSocket { has: true })
    ));
    let (_ours, theirs) = UnixStream::pair().unwrap();
    assert!(matches!(
        template
            .berth(Demand::Start)
            .await
            .unwrap()
            .fork(Some(theirs.into()))
            .await,
        Err(ForkError::NotFurnished)
    ));
    drop((template, process));
    world.end().await;
}

fn furnishing(world: &World) -> Furnishing<'_> {
    Furnishing {
        root: &world.root,
        memory_mb: 128,
        tmp_mb: 16,
    }
}
