//! What instances say, and what the platform says about them.

use std::io::Write;

use pilotlight_model::logging::{LogFormat, LogLevel};

use super::fake::script;
use super::*;
use crate::launcher::Exit;

#[tokio::test]
async fn each_request_s_lines_stand_between_its_start_and_its_end() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        runtime.print("at import\n");
        loop {
            let event = api.next().await;
            let text = String::from_utf8(event.body.to_vec()).unwrap();
            runtime.print(&format!("one {text}\n"));
            runtime.stderr.write_all(b"two").unwrap();
            api.respond(&event.id, "1").await;
        }
    }));
    let spec = Arc::new(spec());
    let mut expected = vec!["INIT_START".to_owned(), "at import".to_owned()];
    for number in 0..3 {
        let mut wanted = request(&spec, &number.to_string());
        wanted.log_tail = true;
        let id = wanted.request_id;
        let reply = world.try_invoke(wanted).await.unwrap();
        let tail = String::from_utf8(reply.log_tail.unwrap()).unwrap();
        let head = format!(
            "START RequestId: {id} Version: $LATEST\none {number}\ntwo\nEND RequestId: {id}\nREPORT RequestId: {id}\t"
        );
        assert!(tail.contains(&head), "{tail}");
        assert_eq!(tail.starts_with("at import\nSTART"), number == 0, "{tail}");
        assert_eq!(tail.contains("Init Duration"), number == 0, "{tail}");
        expected.extend(["START", "one", "two", "END", "REPORT"].map(str::to_owned));
        world.idle().await;
    }
    let log = world.log().await;
    assert_eq!(log.len(), expected.len(), "{log:#?}");
    for (line, start) in log.iter().zip(&expected) {
        assert!(line.starts_with(start.as_str()), "{line} {start}");
    }
}

#[tokio::test]
async fn a_log_in_json_has_the_platform_s_events_from_its_level_on() {
    let run = |system| async move {
        let world = World::new(script(|mut runtime| async move {
            runtime.api().await.echo().await
        }));
        let spec = Arc::new(FunctionSpec {
            log_format: LogFormat::Json {
                application: LogLevel::Info,
                system,
            },
            ..spec()
        });
        world.invoke(&spec, "{}").await;
        world.idle().await;
        world.invoke(&spec, "{}").await;
        let log: Vec<Value> = world
            .log()
            .await
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        assert!(log.iter().all(|event| event["time"].is_string()));
        log
    };
    let types = |log: &[Value]| -> Vec<String> {
        let of = |event: &Value| event["type"].as_str().unwrap()["platform.".len()..].to_owned();
        log.iter().map(of).collect()
    };
    let all = run(LogLevel::Debug).await;
    assert_eq!(
        types(&all)[..6],
        [
            "initStart",
            "initRuntimeDone",
            "initReport",
            "start",
            "runtimeDone",
            "report"
        ]
    );
    assert_eq!(all[0]["record"]["functionName"], "f");
    assert_eq!(all[4]["record"]["metrics"]["producedBytes"], 2);
    assert_eq!(all[5]["record"]["status"], "success");
    assert!(all[5]["record"]["metrics"]["initDurationMs"].is_number());
    let usual = run(LogLevel::Info).await;
    assert_eq!(
        types(&usual)[..4],
        ["initStart", "start", "report", "start"]
    );
    assert!(run(LogLevel::Warn).await.is_empty());
}

#[tokio::test]
async fn the_tail_is_the_last_four_kibibytes() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let event = api.next().await;
        for number in 0..1_000 {
            runtime.print(&format!("line {number}\n"));
        }
        api.respond(&event.id, "1").await;
        api.echo().await
    }));
    let mut wanted = request(&Arc::new(spec()), "1");
    wanted.log_tail = true;
    let tail = world.try_invoke(wanted).await.unwrap().log_tail.unwrap();
    assert_eq!(tail.len(), 4096);
    let tail = String::from_utf8(tail).unwrap();
    assert!(
        tail.contains("line 998\nline 999\nEND ") && tail.ends_with("\t\n"),
        "{tail}"
    );
}

#[tokio::test]
async fn a_runtime_that_closes_its_output_goes_on() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        drop((runtime.stdout, runtime.stderr));
        api.echo().await
    }));
    let spec = Arc::new(spec());
    for number in 0..5 {
        assert_eq!(
            world.invoke(&spec, &number.to_string()).await.payload,
            number.to_string()
        );
        world.idle().await;
    }
    assert_eq!(world.launcher.launches(), 1);
    let log = world.log().await;
    assert_eq!(
        log.iter().filter(|line| line.starts_with("START")).count(),
        5
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_log_fills_neither_disk_nor_memory() {
    const BYTES: usize = 32 * 1024 * 1024;
    let limits = Limits {
        log_group_bytes: 1024 * 1024,
        ..Limits::default()
    };
    let world = World::with_limits(
        script(|mut runtime| async move {
            let mut api = runtime.api().await;
            let event = api.next().await;
            let runtime = tokio::task::spawn_blocking(move || {
                let line = [&[b'x'; 1023][..], b"\n"].concat();
                for _ in 0..BYTES / line.len() {
                    runtime.stdout.write_all(&line).unwrap();
                }
                runtime
            });
            let _runtime = runtime.await.unwrap();
            api.respond(&event.id, "1").await;
            api.echo().await
        }),
        limits,
    );
    let mut flood = spec();
    flood.timeout = Duration::from_secs(300);
    assert_eq!(
        world.invoke(&Arc::new(flood), "1").await.function_error,
        None
    );
    // The end comes to the disk when the flood before it has.
    while !world.log().await.last().unwrap().starts_with("REPORT") {
        tokio::task::yield_now().await;
    }
    let kept: u64 = walk(world.folder.path());
    assert!(kept <= 2 * 1024 * 1024, "{kept}");
    assert_eq!(world.agent.status().dropped_log_lines, 0);
}

#[tokio::test]
async fn a_daemon_that_keeps_the_pipes_open_does_not_hold_the_instance() {
    let kept = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let keeps = Arc::clone(&kept);
    let world = World::new(script(move |mut runtime| {
        let keeps = Arc::clone(&keeps);
        async move {
            let mut api = runtime.api().await;
            api.next().await;
            keeps.lock().push((runtime.stdout, runtime.stderr));
            Exit::Code(1)
        }
    }));
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "Runtime.ExitError");
    world.until(|world| world.counts() == (0, 0, 0)).await;
}

fn walk(folder: &std::path::Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    entries
        .map(|entry| {
            let entry = entry.unwrap();
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() {
                walk(&entry.path())
            } else {
                metadata.len()
            }
        })
        .sum()
}
