//! Answers, and every way in which a function can fail after its init.

use std::sync::atomic::Ordering;

use pilotlight_model::limits::INVOKE_RESPONSE_BYTES;
use pilotlight_model::start::{Phase, StartKind};

use super::fake::script;
use super::*;
use crate::launcher::Exit;

#[tokio::test]
async fn the_first_request_boots_and_the_second_finds_the_instance() {
    let world = World::new(script(|mut runtime| async move {
        runtime.api().await.echo().await
    }));
    let spec = Arc::new(spec());
    let cold = world.invoke(&spec, r#"{"n":1}"#).await;
    assert_eq!(
        (cold.kind, &cold.payload[..]),
        (StartKind::Booted, &br#"{"n":1}"#[..])
    );
    let phases: Vec<Phase> = cold
        .timeline
        .phases()
        .iter()
        .map(|(phase, _)| *phase)
        .collect();
    let expected = [
        Phase::Queue,
        Phase::Place,
        Phase::Slot,
        Phase::Cgroup,
        Phase::Mounts,
        Phase::Network,
        Phase::Spawn,
        Phase::UserInit,
        Phase::Handler,
    ];
    assert_eq!(phases, expected);
    world.idle().await;
    let warm = world.invoke(&spec, "2").await;
    assert_eq!((warm.kind, &warm.payload[..]), (StartKind::Warm, &b"2"[..]));
    assert_eq!(warm.instance, cold.instance);
    let phases: Vec<Phase> = warm
        .timeline
        .phases()
        .iter()
        .map(|(phase, _)| *phase)
        .collect();
    assert_eq!(phases, [Phase::Queue, Phase::Place, Phase::Handler]);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_calls_at_once_never_costs_a_second_instance() {
    let world = World::new(script(|mut runtime| async move {
        runtime.api().await.echo().await
    }));
    let spec = Arc::new(spec());
    for number in 0..100 {
        let reply = world.invoke(&spec, &number.to_string()).await;
        assert_eq!(reply.payload, number.to_string());
    }
    assert_eq!(world.launcher.launches(), 1);
}

#[tokio::test]
async fn the_event_carries_what_the_runtime_needs() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let event = api.next().await;
        let headers = ["invoked-function-arn", "trace-id", "client-context"].map(|name| {
            event.headers[format!("lambda-runtime-{name}")]
                .to_str()
                .unwrap()
                .to_owned()
        });
        let deadline: u64 = event.headers["lambda-runtime-deadline-ms"]
            .to_str()
            .unwrap()
            .parse()
            .unwrap();
        let left = deadline - crate::clock::unix_ms();
        let wanted = |pair: &&String| {
            [
                "_HANDLER=",
                "AWS_LAMBDA_",
                "COLOUR=",
                "PYTHONPATH=",
                "_PILOTLIGHT",
                "AWS_EXEC",
            ]
            .iter()
            .any(|name| pair.starts_with(name))
        };
        let env: Vec<&String> = runtime.env.iter().filter(wanted).collect();
        let answer = serde_json::json!({ "headers": headers, "left": left, "env": env });
        api.respond(&event.id, answer.to_string()).await;
        api.echo().await
    }));
    let mut wanted = request(&Arc::new(spec()), "{}");
    wanted.client_context = Some(r#"{"a":1}"#.to_owned());
    let answer = json(&world.try_invoke(wanted).await.unwrap().payload);
    assert_eq!(
        answer["headers"],
        serde_json::json!([
            "arn:aws:lambda:us-east-1:123456789012:function:f",
            "Root=1-2-3",
            r#"{"a":1}"#
        ])
    );
    assert!((2_000..=3_000).contains(&answer["left"].as_u64().unwrap()));
    let env: Vec<&str> = answer["env"]
        .as_array()
        .unwrap()
        .iter()
        .map(|pair| pair.as_str().unwrap())
        .collect();
    for pair in [
        "AWS_EXECUTION_ENV=AWS_Lambda_python3.11",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE=128",
        "AWS_LAMBDA_FUNCTION_NAME=f",
        "AWS_LAMBDA_FUNCTION_VERSION=$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand",
        "AWS_LAMBDA_RUNTIME_API=127.0.0.1:9001",
        "COLOUR=blue",
        "PYTHONPATH=/var/runtime",
        "_HANDLER=app.handler",
        "_PILOTLIGHT_RUNTIME_FD=3",
    ] {
        assert!(env.contains(&pair), "{pair} in {env:?}");
    }
}

#[tokio::test]
async fn an_error_of_the_handler_is_an_answer_and_the_instance_lives_on() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let event = api.next().await;
        api.fail(&event.id, r#"{"errorType":"ValueError"}"#).await;
        api.echo().await
    }));
    let spec = Arc::new(spec());
    let failed = world.invoke(&spec, "1").await;
    assert_eq!(failed.function_error, Some("Unhandled"));
    assert_eq!(json(&failed.payload)["errorType"], "ValueError");
    world.idle().await;
    let next = world.invoke(&spec, "2").await;
    assert_eq!((next.function_error, next.kind), (None, StartKind::Warm));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_runs_too_long_is_answered_and_its_instance_killed() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        api.next().await;
        std::future::pending().await
    }));
    let spec = Arc::new(spec());
    let mut wanted = request(&spec, "1");
    wanted.log_tail = true;
    let id = wanted.request_id;
    let reply = world.try_invoke(wanted).await.unwrap();
    assert_eq!(reply.function_error, Some("Unhandled"));
    assert_eq!(
        json(&reply.payload),
        serde_json::json!({
            "errorType": "Sandbox.Timedout",
            "errorMessage": format!("RequestId: {id} Error: Task timed out after 3.00 seconds"),
        })
    );
    let tail = String::from_utf8(reply.log_tail.unwrap()).unwrap();
    assert!(
        tail.contains(&format!("Z {id} Task timed out after 3.00 seconds\n\nEND ")),
        "{tail}"
    );
    assert!(tail.ends_with("\tStatus: timeout\t\n"), "{tail}");
    world
        .until(|world| world.launcher.living() == 0 && world.counts() == (0, 0, 0))
        .await;
}

#[tokio::test]
async fn exits_in_the_middle_of_a_request_are_told_apart() {
    let cases = [
        (
            Exit::Code(0),
            0,
            "Runtime.ExitError",
            "Runtime exited without providing a reason",
        ),
        (
            Exit::Code(1),
            0,
            "Runtime.ExitError",
            "Runtime exited with error: exit status 1",
        ),
        (
            Exit::Signal(11),
            0,
            "Runtime.ExitError",
            "Runtime exited with error: signal: segmentation fault",
        ),
        (
            Exit::Signal(9),
            0,
            "Runtime.ExitError",
            "Runtime exited with error: signal: killed",
        ),
        (
            Exit::Signal(9),
            1,
            "Runtime.OutOfMemory",
            "Runtime exited with error: signal: killed",
        ),
    ];
    for (exit, oom_kills, error_type, message) in cases {
        let world = World::new(script(move |mut runtime| async move {
            runtime.api().await.next().await;
            runtime.print("last words\n");
            runtime.oom_kills.store(oom_kills, Ordering::SeqCst);
            exit
        }));
        let mut wanted = request(&Arc::new(spec()), "1");
        wanted.log_tail = true;
        let id = wanted.request_id;
        let reply = world.try_invoke(wanted).await.unwrap();
        let payload = json(&reply.payload);
        assert_eq!(payload["errorType"], error_type);
        assert_eq!(
            payload["errorMessage"],
            format!("RequestId: {id} Error: {message}")
        );
        let tail = String::from_utf8(reply.log_tail.unwrap()).unwrap();
        assert!(tail.contains("last words\nEND "), "{tail}");
        assert!(tail.ends_with(&format!("\tStatus: error\tError Type: {error_type}\t\n")));
        world.until(|world| world.counts() == (0, 0, 0)).await;
    }
}

#[tokio::test]
async fn an_answer_right_before_the_exit_counts() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let event = api.next().await;
        api.respond(&event.id, "done").await;
        Exit::Code(1)
    }));
    let spec = Arc::new(spec());
    for launches in 1..=3 {
        let reply = world.invoke(&spec, "1").await;
        assert_eq!(
            (&reply.payload[..], reply.function_error),
            (&b"done"[..], None)
        );
        assert_eq!(world.launcher.launches(), launches);
        world.until(|world| world.counts() == (0, 0, 0)).await;
    }
    let log = world.log().await;
    assert_eq!(
        log.iter().filter(|line| line.starts_with("REPORT")).count(),
        3,
        "{log:?}"
    );
}

#[tokio::test]
async fn an_answer_over_the_limit_is_an_error_and_the_instance_lives_on() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let event = api.next().await;
        let status = api
            .respond(&event.id, vec![b'x'; INVOKE_RESPONSE_BYTES + 1])
            .await;
        assert_eq!(status.as_u16(), 413);
        let event = api.next().await;
        let whole = vec![b'x'; INVOKE_RESPONSE_BYTES];
        assert_eq!(api.respond(&event.id, whole).await.as_u16(), 202);
        api.echo().await
    }));
    let spec = Arc::new(spec());
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(reply.function_error, Some("Unhandled"));
    assert_eq!(
        json(&reply.payload),
        serde_json::json!({
            "errorType": "Function.ResponseSizeTooLarge",
            "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        })
    );
    world.idle().await;
    let reply = world.invoke(&spec, "2").await;
    assert_eq!(
        (reply.payload.len(), reply.function_error),
        (INVOKE_RESPONSE_BYTES, None)
    );
    assert_eq!(world.launcher.launches(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_stop_the_function() {
    let (begun, mut has_begun) = tokio::sync::mpsc::unbounded_channel();
    let go = Arc::new(tokio::sync::Semaphore::new(0));
    let may_go = Arc::clone(&go);
    let world = World::new(script(move |mut runtime| {
        let (begun, may_go) = (begun.clone(), Arc::clone(&may_go));
        async move {
            let mut api = runtime.api().await;
            loop {
                let event = api.next().await;
                begun.send(()).unwrap();
                may_go.acquire().await.unwrap().forget();
                api.respond(&event.id, "1").await;
            }
        }
    }));
    let spec = Arc::new(spec());
    for _cold_then_warm in 0..2 {
        let caller = world.start_invoke(request(&spec, "1"));
        has_begun.recv().await.unwrap();
        caller.abort();
        assert!(caller.await.unwrap_err().is_cancelled());
        assert_eq!(world.counts(), (0, 0, 1));
        go.add_permits(1);
        world.until(|world| world.counts() == (0, 1, 0)).await;
    }
    assert_eq!(world.launcher.launches(), 1);
}

#[tokio::test]
async fn an_instance_that_dies_idle_costs_its_next_request_nothing() {
    let die = Arc::new(tokio::sync::Notify::new());
    let dies = Arc::clone(&die);
    let world = World::new(script(move |mut runtime| {
        let dies = Arc::clone(&dies);
        async move {
            let mut api = runtime.api().await;
            tokio::select! {
                _ = api.echo() => unreachable!("an echo has no end"),
                () = dies.notified() => Exit::Signal(9),
            }
        }
    }));
    let spec = Arc::new(spec());
    world.invoke(&spec, "1").await;
    world.until(|world| world.counts() == (0, 1, 0)).await;
    die.notify_one();
    world.until(|world| world.counts() == (0, 0, 0)).await;
    for number in 2..20 {
        let reply = world.invoke(&spec, &number.to_string()).await;
        assert_eq!(
            (reply.payload, reply.function_error),
            (number.to_string().into(), None)
        );
        world.idle().await;
    }
    assert_eq!(world.launcher.launches(), 2);
}
