//! The compile step, on compilers that are good, slow and hostile.

use std::io::Write;

use super::fake::script;
use super::*;
use crate::launcher::Exit;
use pilotlight_model::node::Folder;

fn frame(path: &str, data: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in [path.as_bytes(), data] {
        bytes.extend_from_slice(&u32::try_from(part.len()).unwrap().to_le_bytes());
        bytes.extend_from_slice(part);
    }
    bytes
}

async fn compile(world: &World, runtime: Runtime) -> Vec<(String, Bytes)> {
    compile_whole(world, runtime).await.0
}

/// And whether the compiler came to its end.
async fn compile_whole(world: &World, runtime: Runtime) -> (Vec<(String, Bytes)>, bool) {
    let compiled = world
        .agent
        .compile(runtime, digest('9'), Folder::Task)
        .await
        .unwrap();
    let files = compiled
        .files
        .into_iter()
        .map(|file| (file.path, file.bytes))
        .collect();
    (files, compiled.whole)
}

#[tokio::test]
async fn byte_code_is_collected() {
    let world = World::new(script(|mut runtime| async move {
        runtime
            .stdout
            .write_all(&frame("__pycache__/a.pyc", b"A"))
            .unwrap();
        runtime
            .stdout
            .write_all(&frame("p/__pycache__/b.pyc", b"B"))
            .unwrap();
        Exit::Code(0)
    }));
    let (files, whole) = compile_whole(&world, Runtime::Python311).await;
    assert!(whole);
    assert_eq!(
        files,
        [
            ("__pycache__/a.pyc".to_owned(), Bytes::from("A")),
            ("p/__pycache__/b.pyc".to_owned(), Bytes::from("B"))
        ]
    );
    assert_eq!(*world.launcher.programs.lock(), ["/usr/bin/compile"]);
    world.until(|world| world.launcher.living() == 0).await;
}

#[tokio::test]
async fn a_compiler_that_fails_costs_what_is_missing() {
    let world = World::new(script(|mut runtime| async move {
        runtime
            .stdout
            .write_all(&frame("__pycache__/a.pyc", b"A"))
            .unwrap();
        runtime.stderr.write_all(&[b'x'; 10_000]).unwrap();
        Exit::Code(1)
    }));
    let (files, whole) = compile_whole(&world, Runtime::Python311).await;
    assert_eq!((files.len(), whole), (1, false));
}

#[tokio::test(start_paused = true)]
async fn a_compiler_that_does_not_end_is_ended() {
    let world = World::new(script(|mut runtime| async move {
        runtime
            .stdout
            .write_all(&frame("__pycache__/a.pyc", b"A"))
            .unwrap();
        std::future::pending().await
    }));
    assert_eq!(compile(&world, Runtime::Python311).await.len(), 1);
    world.until(|world| world.launcher.living() == 0).await;
}

#[tokio::test]
async fn a_hostile_compiler_is_ended_at_its_first_bad_word() {
    let world = World::new(script(|mut runtime| async move {
        runtime
            .stdout
            .write_all(&frame("__pycache__/a.pyc", b"A"))
            .unwrap();
        runtime
            .stdout
            .write_all(&frame("../../etc/__pycache__/b.pyc", b"B"))
            .unwrap();
        std::future::pending().await
    }));
    assert_eq!(compile(&world, Runtime::Python311).await.len(), 1);
    world.until(|world| world.launcher.living() == 0).await;
}

#[tokio::test]
async fn a_runtime_without_byte_code_has_nothing_to_do() {
    let folder = super::Folder::new();
    let config = Config {
        node: "node".to_owned(),
        data_dir: folder.path().to_owned(),
        limits: Limits {
            node_memory_mb: 1024,
            ..Limits::default()
        },
        resolv_conf: "/etc/resolv.conf".into(),
        policy: None,
        event_log: None,
    };
    let launcher = Arc::new(FakeLauncher::new(script(|_| async { Exit::Code(0) })));
    let plain = RuntimeImage {
        compile: None,
        ..image(Runtime::ProvidedAl2023)
    };
    let runtimes = [(Runtime::ProvidedAl2023, plain)].into();
    let agent =
        Agent::with_launcher(&config, runtimes, Arc::new(Arc::clone(&launcher)), None).unwrap();
    let nothing = agent
        .compile(Runtime::ProvidedAl2023, digest('9'), Folder::Layers)
        .await
        .unwrap();
    assert!(nothing.files.is_empty() && nothing.whole);
    assert_eq!(launcher.launches(), 0);
    let error = agent
        .compile(Runtime::Python311, digest('9'), Folder::Task)
        .await
        .unwrap_err();
    assert!(matches!(error, NodeError::Internal(_)));
}
