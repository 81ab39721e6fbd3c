//! Starts of instances: how long their init takes, and how it fails.

use http::Method;
use pilotlight_model::start::{Phase, StartKind};

use super::fake::script;
use super::*;
use crate::launcher::Exit;

#[tokio::test]
async fn runtime_and_user_init_are_told_apart_by_a_runtime_that_says_so() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        let ready = crate::clock::now().0.to_string();
        tokio::time::sleep(Duration::from_millis(20)).await;
        let done = crate::clock::now().0.to_string();
        let marks = [
            ("pilotlight-runtime-ready", &ready[..]),
            ("pilotlight-user-init-done", &done),
        ];
        let event = api.next_with(&marks).await;
        api.respond(&event.id, "1").await;
        api.echo().await
    }));
    let reply = world.invoke(&Arc::new(spec()), "0").await;
    let phases: std::collections::BTreeMap<_, _> = reply.timeline.phases().into_iter().collect();
    assert!(phases.contains_key(&Phase::RuntimeInit));
    assert!(phases[&Phase::UserInit] >= Duration::from_millis(20));
    world.invoke(&Arc::new(spec()), "0").await;
    let log = world.log().await;
    let report = log.iter().find(|line| line.starts_with("REPORT")).unwrap();
    let (_, init) = report.split_once("\tInit Duration: ").unwrap();
    let init: f64 = init.split(' ').next().unwrap().parse().unwrap();
    assert!(init >= 20.0, "{report}");
}

#[tokio::test]
async fn an_init_error_answers_the_request_that_the_start_was_for() {
    let world = World::new(script(|mut runtime| async move {
        let mut api = runtime.api().await;
        runtime.print("Traceback\n");
        let body = r#"{"errorMessage":"No module named 'x'","errorType":"Runtime.ImportModuleError","requestId":"","stackTrace":[]}"#;
        let header = [(
            "lambda-runtime-function-error-type",
            "Runtime.ImportModuleError",
        )];
        let told = api
            .call(Method::POST, "init/error", &header, body.into())
            .await;
        assert_eq!(
            (told.status().as_u16(), &told.body()[..]),
            (202, &br#"{"status":"OK"}"#[..])
        );
        Exit::Code(1)
    }));
    let mut wanted = request(&Arc::new(spec()), "1");
    wanted.log_tail = true;
    let id = wanted.request_id.to_string();
    let reply = world.try_invoke(wanted).await.unwrap();
    assert_eq!(
        (reply.function_error, reply.kind),
        (Some("Unhandled"), StartKind::Booted)
    );
    assert_eq!(json(&reply.payload)["errorMessage"], "No module named 'x'");
    // The runtime's own words: at its init it knew of no request.
    assert_eq!(json(&reply.payload)["requestId"], "");
    let log = world.log().await;
    assert!(log[0].starts_with("INIT_START Runtime Version: python:3.11.v1\tRuntime Version ARN: arn:aws:lambda:us-east-1::runtime:1111"));
    let tail = String::from_utf8(reply.log_tail.unwrap()).unwrap();
    let lines: Vec<&str> = tail.lines().collect();
    assert_eq!(lines[0], "Traceback");
    assert!(
        lines[1].starts_with("INIT_REPORT Init Duration: "),
        "{tail}"
    );
    assert!(
        lines[1].ends_with("\tPhase: init\tStatus: error\tError Type: Runtime.ImportModuleError")
    );
    assert_eq!(lines[2], format!("START RequestId: {id} Version: $LATEST"));
    assert_eq!(lines[3], format!("END RequestId: {id}"));
    assert!(lines[4].starts_with(&format!("REPORT RequestId: {id}\tDuration: ")));
    assert!(lines[4].ends_with("\tStatus: error\tError Type: Runtime.ImportModuleError\t"));
    world.until(|world| world.counts() == (0, 0, 0)).await;
}

#[tokio::test]
async fn an_exit_during_init_is_a_failed_init() {
    let world = World::new(script(|_| async { Exit::Code(7) }));
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    let payload = json(&reply.payload);
    assert_eq!(payload["errorType"], "Runtime.ExitError");
    assert!(
        payload["errorMessage"]
            .as_str()
            .unwrap()
            .ends_with("exit status 7")
    );
}

#[tokio::test(start_paused = true)]
async fn an_init_that_takes_too_long_is_repeated_within_the_request() {
    let world = World::new(script(|mut runtime| async move {
        if runtime.number == 0 {
            std::future::pending::<()>().await;
        }
        runtime.api().await.echo().await
    }));
    let reply = world.invoke(&Arc::new(spec()), "again").await;
    assert_eq!(
        (&reply.payload[..], reply.function_error),
        (&b"again"[..], None)
    );
    assert_eq!(world.launcher.launches(), 2);
    world.until(|world| world.counts() == (0, 1, 0)).await;
    let log = world.log().await;
    assert!(log[1].starts_with("INIT_REPORT Init Duration: "), "{log:?}");
    assert!(
        log[1].ends_with(" ms\tPhase: init\tStatus: timeout"),
        "{log:?}"
    );
    assert!(log[2].starts_with("START "), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_repeated_init_ends_with_the_request_s_time() {
    let world = World::new(script(|_| std::future::pending()));
    let reply = world.invoke(&Arc::new(spec()), "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "Sandbox.Timedout");
    assert_eq!(world.launcher.launches(), 2);
    world
        .until(|world| world.launcher.living() == 0 && world.counts() == (0, 0, 0))
        .await;
}

#[tokio::test]
async fn a_custom_runtime_s_bootstrap_may_come_in_a_layer_or_be_missing() {
    let missing = || std::io::Error::from(std::io::ErrorKind::NotFound);
    let mut custom = spec();
    custom.runtime = Runtime::ProvidedAl2023.into();
    let custom = Arc::new(custom);
    let world = World::new(script(|_| async { Exit::Code(3) }));
    *world.launcher.exec_errors.lock() = vec![missing()];
    assert_eq!(
        json(&world.invoke(&custom, "1").await.payload)["errorType"],
        "Runtime.ExitError"
    );
    assert_eq!(
        *world.launcher.programs.lock(),
        ["/var/runtime/bootstrap", "/opt/bootstrap"]
    );

    *world.launcher.exec_errors.lock() = vec![missing(), missing()];
    let wanted = request(&custom, "1");
    let id = wanted.request_id;
    let payload = json(&world.try_invoke(wanted).await.unwrap().payload);
    assert_eq!(payload["errorType"], "Runtime.InvalidEntrypoint");
    assert_eq!(
        payload["errorMessage"],
        format!(
            "RequestId: {id} Error: Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]"
        )
    );

    *world.launcher.exec_errors.lock() = vec![std::io::ErrorKind::PermissionDenied.into()];
    let payload = json(&world.invoke(&custom, "1").await.payload);
    assert_eq!(payload["errorType"], "Runtime.InvalidEntrypoint");
    assert!(
        payload["errorMessage"]
            .as_str()
            .unwrap()
            .ends_with("bootstrap: permission denied")
    );
}
