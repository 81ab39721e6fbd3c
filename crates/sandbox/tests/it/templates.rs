//! Programs that are frozen and forked.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use libtest_mimic::Trial;
use pilotlight_sandbox::{Furnishing, Process, Template};

use crate::world::{World, launch, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![trial("a_fork_is_what_its_template_was", forks)]
}

/// A guest that answers on its request socket, and waits.
async fn started(world: &World) -> (Process, UnixStream) {
    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let mut ready = [0; 5];
    let mut with_socket = launch(&world.root, &["template"]);
    with_socket.request_socket = Some(theirs.into());
    let slot = world.sandboxes.slot().await.unwrap();
    let process = slot.launch(with_socket).await.unwrap();
    ours.read_exact(&mut ready).unwrap();
    (process, ours)
}

async fn freeze(process: &Process) -> Template {
    for _ in 0..100 {
        match process.freeze().await {
            Ok(template) => return template,
            Err(error) => eprintln!("not yet: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it does not come to rest");
}

async fn fork(world: &World, template: &Template) -> (Process, UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    ours.set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    if std::env::var("HOLD").is_ok() {
        std::process::Command::new("strace")
            .args([
                "-f",
                "-o",
                "/tmp/strace.out",
                "-p",
                &template.pid().to_string(),
            ])
            .spawn()
            .unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let mut berth = template.berth().await.unwrap();
    berth
        .furnish(Furnishing {
            root: &world.root,
            memory_mb: 128,
            tmp_mb: 16,
        })
        .await
        .unwrap();
    let process = berth.fork(Some(theirs.into())).await.unwrap();
    (process, ours)
}

fn ask(socket: &mut UnixStream, question: &str) -> String {
    socket.write_all(question.as_bytes()).unwrap();
    let mut answer = [0; 1024];
    let length = socket.read(&mut answer).unwrap();
    String::from_utf8(answer[..length].to_vec()).unwrap()
}

async fn forks(world: World) {
    let (process, _connection) = started(&world).await;
    let template = freeze(&process).await;
    for name in ["a", "b"] {
        let (_fork, mut socket) = fork(&world, &template).await;
        for generation in 1..=2 {
            let word = if generation == 1 { "kept" } else { "none" };
            assert_eq!(
                ask(&mut socket, name),
                format!(
                    "{name}: generation {generation} sums {:.1} {:.1} {:.1} {:.1} pid 2 parent 1 session 2 uid 993 heap 7 \
                     thread 1 child 11 timer 1 pipe {word} pair p file {} at {} directory 1 out 1",
                    1.5 * f64::from(generation) + 1000.0,
                    2.5 * f64::from(generation) + 1001.0,
                    3.5 * f64::from(generation) + 1002.0,
                    7.0 * f64::from(generation),
                    if generation == 1 {
                        "ELF"
                    } else {
                        "\u{2}\u{1}\u{1}"
                    },
                    1 + 3 * generation,
                )
            );
        }
    }
    drop((process, template));
    world.sandboxes.shutdown().await;
}
