//! What a program finds and how its end is told.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use libtest_mimic::Trial;
use pilotlight_sandbox::{Code, Exit, LaunchError, Root, monotonic_now};

use crate::world::{World, finish, launch, trial};

pub(crate) fn trials() -> Vec<Trial> {
    vec![
        trial(
            "runs_a_program_with_its_arguments_and_environment",
            arguments_and_environment,
        ),
        trial("connects_output_and_descriptor_3_only", descriptors),
        trial("serves_listeners_on_its_own_loopback", listeners),
        trial("tells_how_a_program_ended", exits),
        trial("tells_programs_that_cannot_be_executed", not_executable),
        trial("assembles_code_layers_and_name_servers", assembled),
        trial("shows_a_live_folder", live),
        trial("marks_follow_each_other", marks),
        trial("reaps_orphans", orphans),
        trial("measures_memory", memory),
        trial("launches_fifty_at_once", fifty),
    ]
}

async fn arguments_and_environment(world: World) {
    assert_eq!(world.output(&["args", "a b", "", "ü"]).await, "a b\n\nü\n");
    assert_eq!(world.output(&["env"]).await, "ANSWER=42\n");
    assert_eq!(world.output(&["cwd"]).await, "/var/task\n");
    assert_eq!(
        world.output(&["cat", "/proc/sys/kernel/hostname"]).await,
        "169.254.100.1\n"
    );
    world.sandboxes.shutdown().await;
}

async fn descriptors(world: World) {
    let outcome = world.run(&["err", "oops"]).await;
    assert_eq!((&*outcome.stdout, &*outcome.stderr), ("", "oops"));
    assert_eq!(world.output(&["descriptors"]).await, "0 1 2 ");
    assert_eq!(
        world.output(&["link", "/proc/self/fd/0"]).await,
        "/dev/null\n"
    );

    let (mut ours, theirs) = UnixStream::pair().unwrap();
    let slot = world.sandboxes.slot().await.unwrap();
    let mut with_socket = launch(&world.root, &["echo"]);
    with_socket.request_socket = Some(theirs.into());
    let process = slot.launch(with_socket).await.unwrap();
    ours.write_all(b"hello").unwrap();
    let mut answer = String::new();
    // Ends because nobody but the program has the other side.
    ours.read_to_string(&mut answer).unwrap();
    assert_eq!(answer, "hello");
    assert_eq!(process.wait().await, Exit::Code(0));
    drop(process);
    world.sandboxes.shutdown().await;
}

async fn listeners(world: World) {
    for port in ["9001", "9002"] {
        let mut slot = world.sandboxes.slot().await.unwrap();
        let listeners = slot.take_listeners();
        let listener = match port {
            "9001" => listeners.runtime_api,
            _ => listeners.inner_door,
        };
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        let process = slot
            .launch(launch(&world.root, &["connect", "127.0.0.1", port]))
            .await
            .unwrap();
        let (connection, _) = listener.accept().await.unwrap();
        let mut connection: TcpStream = connection.into_std().unwrap();
        connection.set_nonblocking(false).unwrap();
        connection.write_all(b"event").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "event");
        assert_eq!(process.wait().await, Exit::Code(0));
    }
    world.sandboxes.shutdown().await;
}

async fn exits(world: World) {
    assert_eq!(world.run(&["exit", "0"]).await.exit, Exit::Code(0));
    assert_eq!(world.run(&["exit", "7"]).await.exit, Exit::Code(7));
    assert_eq!(world.run(&["signal", "11"]).await.exit, Exit::Signal(11));
    // Signals that the platform's processes ignore or block are the program's again.
    assert_eq!(world.run(&["signal", "13"]).await.exit, Exit::Signal(13));
    let process = world.start(&["pause"]).await;
    process.kill();
    assert_eq!(process.wait().await, Exit::Signal(9));
    assert_eq!(process.wait().await, Exit::Signal(9));
    drop(process);
    world.sandboxes.shutdown().await;
}

async fn not_executable(world: World) {
    for (program, code) in [
        (c"/bin/missing", 127),
        (c"/bin/dangling", 127),
        (c"/etc/no-program", 126),
        (c"/etc", 126),
    ] {
        let slot = world.sandboxes.slot().await.unwrap();
        let mut wrong = launch(&world.root, &[]);
        wrong.argv = vec![program.to_owned()];
        let error = slot.launch(wrong).await.unwrap_err();
        assert_eq!(error.exit_code(), Some(code), "{program:?}: {error:?}");
    }
    let slot = world.sandboxes.slot().await.unwrap();
    let mut nowhere = launch(&world.root, &["cwd"]);
    nowhere.cwd = c"/nowhere".to_owned();
    assert_eq!(
        slot.launch(nowhere).await.unwrap_err().exit_code(),
        Some(127)
    );

    let slot = world.sandboxes.slot().await.unwrap();
    let error = slot
        .launch(launch(&world.root, &["a".repeat(100_000).as_str()]))
        .await
        .unwrap_err();
    assert!(matches!(error, LaunchError::Arguments), "{error:?}");
    world.sandboxes.shutdown().await;
}

async fn assembled(world: World) {
    let code = world.image("code", &[("main.txt", "code\n")]);
    let lower = world.image("lower", &[("shared", "lower\n"), ("own", "of the lower\n")]);
    let upper = world.image("upper", &[("shared", "upper\n")]);
    let one = Root::assemble(
        &world.runtime,
        Code::Image(&code),
        &[&lower],
        &world.resolv_conf,
    )
    .unwrap();
    let two = Root::assemble(
        &world.runtime,
        Code::Image(&code),
        &[&lower, &upper],
        &world.resolv_conf,
    )
    .unwrap();
    drop((code, lower, upper));
    let all = [
        "cat",
        "/var/task/main.txt",
        "/opt/shared",
        "/opt/own",
        "/etc/resolv.conf",
    ];
    assert_eq!(
        world.run_in(&one, &all).await.stdout,
        "code\nlower\nof the lower\nnameserver 192.0.2.1\n"
    );
    assert_eq!(
        world.run_in(&two, &all).await.stdout,
        "code\nupper\nof the lower\nnameserver 192.0.2.1\n"
    );

    let many: Vec<_> = (0..5)
        .map(|n| world.image(&format!("layer-{n}"), &[(&n.to_string(), "x")]))
        .collect();
    let five = Root::assemble(
        &world.runtime,
        Code::Empty,
        &many.iter().collect::<Vec<_>>(),
        &world.resolv_conf,
    )
    .unwrap();
    let outcome = world
        .run_in(
            &five,
            &["cat", "/opt/0", "/opt/1", "/opt/2", "/opt/3", "/opt/4"],
        )
        .await;
    assert_eq!(outcome.stdout, "xxxxx");
    world.sandboxes.shutdown().await;
}

async fn live(world: World) {
    let folder = world.folder.path().join("live");
    std::fs::create_dir(&folder).unwrap();
    let root =
        Root::assemble(&world.runtime, Code::Live(&folder), &[], &world.resolv_conf).unwrap();
    std::fs::write(folder.join("later"), "seen\n").unwrap();
    assert_eq!(
        world
            .run_in(&root, &["cat", "/var/task/later"])
            .await
            .stdout,
        "seen\n"
    );
    let outcome = world.run_in(&root, &["fill", "/var/task/written"]).await;
    assert!(outcome.stdout.starts_with("0 "), "{outcome:?}");
    assert!(!folder.join("written").exists());
    world.sandboxes.shutdown().await;
}

async fn marks(world: World) {
    let slot = world.sandboxes.slot().await.unwrap();
    let before = monotonic_now();
    let process = slot
        .launch(launch(&world.root, &["exit", "0"]))
        .await
        .unwrap();
    let after = monotonic_now();
    let marks = process.marks;
    let in_order = [
        before,
        marks.cgroup,
        marks.mounts,
        marks.network,
        marks.spawn,
        after,
    ];
    assert!(in_order.is_sorted(), "{in_order:?}");
    drop(process);
    world.sandboxes.shutdown().await;
}

async fn orphans(world: World) {
    assert_eq!(world.output(&["orphans"]).await, "none left\n");
    world.sandboxes.shutdown().await;
}

async fn memory(world: World) {
    let process = world.start(&["memory", "40"]).await;
    assert_eq!(process.wait().await, Exit::Code(0));
    let peak = process.memory_peak_bytes() >> 20;
    assert!((40..70).contains(&peak), "{peak} MiB");
    assert_eq!(process.oom_kills(), 0);
    drop(process);
    world.sandboxes.shutdown().await;
}

async fn fifty(world: World) {
    let all = (0..50).map(|number| {
        let (sandboxes, root) = (world.sandboxes.clone(), &world.root);
        async move {
            let slot = sandboxes.slot().await.unwrap();
            let outcome = finish(
                slot.launch(launch(root, &["args", &number.to_string()]))
                    .await
                    .unwrap(),
            )
            .await;
            assert_eq!(outcome.exit, Exit::Code(0));
            assert_eq!(outcome.stdout, format!("{number}\n"));
        }
    });
    tokio::time::timeout(Duration::from_secs(120), futures_all(all))
        .await
        .unwrap();
    world.sandboxes.shutdown().await;
}

/// Polls all of them until all are done.
async fn futures_all(futures: impl Iterator<Item = impl Future<Output = ()>>) {
    let mut futures: Vec<_> = futures.map(Box::pin).collect();
    std::future::poll_fn(|context| {
        futures.retain_mut(|future| future.as_mut().poll(context).is_pending());
        if futures.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
