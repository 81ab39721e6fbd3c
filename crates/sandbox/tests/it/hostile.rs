//! Programs that prepare themselves for the moment in which they are frozen.

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use pilotlight_sandbox::{FreezeError, Process, Template};

use crate::templates::ask;
use crate::world::{World, freeze, parent_of, trial};

/// What the guest does, and the reason it is refused for.
const REFUSALS: [(&str, &str); 12] = [
    ("child", "child_process"),
    ("filter of a thread", "system_call_filter"),
    ("closed descriptor", "descriptor"),
    ("packets", "descriptor"),
    ("lock", "open_file"),
    ("descriptors", "too_many_descriptors"),
    ("locked memory", "too_much_state"),
    ("signals", "descriptor"),
    ("mappings", "too_much_state"),
    ("watches", "too_much_state"),
    ("no new code", "executable_memory"),
    ("no first thread", "main_thread_ended"),
];

pub(crate) fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("a_call_that_is_patched_is_not_made", patched_call),
        trial("a_restartable_sequence_leads_nobody_astray", led_astray),
        trial("an_execution_does_not_hold_up_the_freeze", execution),
        trial("a_subreaper_gets_no_stems", subreaper),
        trial("a_pipe_keeps_its_size", full_pipe),
        trial("a_thread_keeps_its_second_base", second_base),
        trial("a_library_is_reseeded_wherever_it_is", library),
        trial("no_fork_sees_an_order", orders),
    ];
    trials.extend(REFUSALS.iter().map(|(what, reason)| {
        let name = format!("a_program_is_refused_with_{}", what.replace(' ', "_"));
        Trial::test(name, move || {
            crate::world::runtime().block_on(refused(what, reason));
            Ok(())
        })
    }));
    trials
}

async fn attempt(process: &Process) -> Result<Template, FreezeError> {
    tokio::time::timeout(Duration::from_secs(40), process.freeze())
        .await
        .expect("the freeze ends")
}

async fn refused(what: &'static str, reason: &'static str) {
    let mut world = World::new(1).await;
    let (process, mut connection) = world.start_waiting(&["hostile", what]).await;
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        match attempt(&process).await {
            Err(FreezeError::Refused(refusal)) if refusal.reason() == reason => break,
            Err(FreezeError::Refused(refusal)) if refusal.reason() == "running_thread" => {}
            Err(error) => panic!("{what}: {error:?}"),
            Ok(_) => panic!("{what}: not refused"),
        }
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // Refused, it runs on as if nothing had been.
    assert_eq!(ask(&mut connection, "?"), "?");
    drop((connection, process));
    world.end().await;
}

async fn patched_call(mut world: World) {
    let (process, _connection) = world.start_waiting(&["hostile", "patched call"]).await;
    let refused = attempt(&process).await;
    assert!(
        matches!(&refused, Err(FreezeError::Refused(refusal)) if refusal.reason() == "running_thread"),
        "{refused:?}"
    );
    drop(process);
    world.end().await;
}

async fn led_astray(mut world: World) {
    let (process, _connection) = world.start_waiting(&["hostile", "rseq"]).await;
    let template = freeze(&process).await;
    let (fork, mut socket) = world.fork(&template).await;
    assert_eq!(ask(&mut socket, "?"), "?");
    drop((fork, process, template));
    world.end().await;
}

async fn execution(mut world: World) {
    let (process, _connection) = world.start_waiting(&["hostile", "exec"]).await;
    // Before the execution, in the midst of it or behind it: in any case it comes to an end, and others go on.
    drop(attempt(&process).await);
    let (other, mut socket) = world.start_waiting(&["refused", "shared_memory"]).await;
    assert_eq!(ask(&mut socket, "?"), "?");
    drop((process, other));
    world.end().await;
}

async fn subreaper(mut world: World) {
    let (process, _connection) = world.start_waiting(&["hostile", "subreaper"]).await;
    let template = freeze(&process).await;
    let (fork, mut socket) = world.fork(&template).await;
    assert_eq!(ask(&mut socket, "?"), "?");
    let init = format!("/proc/{}", parent_of(fork.pid()));
    drop(fork);
    let deadline = Instant::now() + Duration::from_secs(5);
    while Path::new(&init).exists() {
        assert!(Instant::now() < deadline, "its init waits for the stem");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    drop((process, template));
    world.end().await;
}

async fn full_pipe(mut world: World) {
    let (process, _connection) = world.start_waiting(&["hostile", "full pipe"]).await;
    let template = freeze(&process).await;
    let forked = tokio::time::timeout(Duration::from_secs(40), world.fork(&template)).await;
    let (fork, mut socket) = forked.expect("a fork is made");
    assert_eq!(ask(&mut socket, "?"), (200 << 10).to_string());
    drop((fork, process, template));
    world.end().await;
}

async fn second_base(mut world: World) {
    let (process, _connection) = world.start_waiting(&["hostile", "second base"]).await;
    let template = freeze(&process).await;
    let (fork, mut socket) = world.fork(&template).await;
    assert_eq!(ask(&mut socket, "?"), "kept");
    drop((fork, process, template));
    world.end().await;
}

async fn library(mut world: World) {
    let (process, _connection) = world.start_waiting(&["hostile", "library"]).await;
    let template = freeze(&process).await;
    let (fork, mut socket) = world.fork(&template).await;
    let mut called = [0; 4];
    socket.read_exact(&mut called).unwrap();
    assert_eq!(&called, b"poll");
    assert_eq!(ask(&mut socket, "?"), "?");
    drop((fork, process, template));
    let (process, _connection) = world.start_waiting(&["hostile", "library to read"]).await;
    let template = freeze(&process).await;
    let (fork, mut socket) = world.fork(&template).await;
    assert_eq!(ask(&mut socket, "?"), "?");
    drop((fork, process, template));
    world.end().await;
}

async fn orders(mut world: World) {
    let (process, mut connection) = world.start_waiting(&["hostile", "wiped"]).await;
    assert_eq!(ask(&mut connection, "?"), "0");
    let template = freeze(&process).await;
    let (fork, mut socket) = world.fork(&template).await;
    assert_eq!(ask(&mut socket, "?"), "1");
    drop((fork, process, template));
    world.end().await;
}
