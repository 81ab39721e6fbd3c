//! Extensions beside a runtime, and parts of it: their lives, their ends, and what the instance makes of both.

use http::{Method, StatusCode};
use pilotlight_model::function::SnapStart;
use pilotlight_model::start::{Cold, StartKind};
use pilotlight_sandbox::Exit as CompanionExit;
use serde_json::json;
use tokio::sync::mpsc;

use super::fake::companions::{ExtensionScript, extension};
use super::fake::{Function, program, script};
use super::*;

fn echo() -> Script {
    script(|mut runtime| async move { runtime.api().await.echo().await })
}

pub(super) fn beside(script: Script, extensions: &[(&str, ExtensionScript)]) -> World {
    let launcher = FakeLauncher::new(script);
    *launcher.extensions.lock() = named(extensions);
    World::on(launcher, Limits::default(), Folder::new())
}

pub(super) fn named(extensions: &[(&str, ExtensionScript)]) -> Vec<(String, ExtensionScript)> {
    let named = extensions.iter();
    named
        .map(|(name, script)| ((*name).to_owned(), Arc::clone(script)))
        .collect()
}

/// A version with layers.
pub(super) fn layered() -> FunctionSpec {
    FunctionSpec {
        layers: vec![digest('3')],
        ..spec()
    }
}

#[tokio::test]
async fn an_extension_follows_an_instance_from_before_its_runtime_to_its_end() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let world = beside(
        echo(),
        &[(
            "follower",
            extension(move |mut extension| {
                let told = told.clone();
                async move {
                    assert!(extension.env.contains(&"COLOUR=blue".to_owned()));
                    assert!(extension.env.iter().all(|it| !it.starts_with("_HANDLER")));
                    told.send(extension.register().await).unwrap();
                    loop {
                        let event = extension.api.next().await;
                        extension.print("heard\n");
                        told.send(event.clone()).unwrap();
                        if event["eventType"] == "SHUTDOWN" {
                            return CompanionExit::Code(0);
                        }
                    }
                }
            }),
        )],
    );
    let spec = Arc::new(layered());
    let wanted = request(&spec, "1");
    let id = wanted.request_id;
    let reply = world.try_invoke(wanted).await.unwrap();
    assert_eq!(
        (&reply.payload[..], reply.kind),
        (&b"1"[..], StartKind::Booted)
    );
    let registered = heard.recv().await.unwrap();
    assert_eq!(
        registered,
        json!({
            "functionName": "f", "functionVersion": "$LATEST", "handler": "app.handler",
            "accountId": AccountId::default().to_string(),
        })
    );
    let event = heard.recv().await.unwrap();
    assert_eq!(event["eventType"], "INVOKE");
    assert_eq!(event["requestId"], id.to_string());
    assert_eq!(event["invokedFunctionArn"], spec.key.function_arn());
    assert_eq!(
        event["tracing"],
        json!({"type": "X-Amzn-Trace-Id", "value": "Root=1-2-3"})
    );
    world.idle().await;
    world.invoke(&spec, "2").await;
    assert_eq!(heard.recv().await.unwrap()["eventType"], "INVOKE");
    assert_eq!(world.launcher.launches(), 1);

    let log = world.log().await;
    let ready = "EXTENSION\tName: follower\tState: Ready\tEvents: [INVOKE,SHUTDOWN]";
    assert_eq!(log[1], ready, "{log:#?}");
    assert!(log.contains(&"heard".to_owned()));

    world.agent.retire(&spec.key);
    let event = heard.recv().await.unwrap();
    assert_eq!(event["eventType"], "SHUTDOWN");
    assert_eq!(event["shutdownReason"], "SPINDOWN");
    let left = event["deadlineMs"].as_u64().unwrap() - crate::clock::unix_ms();
    assert!(left <= 2_000);
    world.until(|world| world.launcher.living() == 0).await;
}

#[tokio::test]
async fn an_answer_goes_out_before_extensions_are_done_and_the_instance_is_free_after_them() {
    let (go_on, told) = (Arc::new(tokio::sync::Semaphore::new(0)), Arc::default());
    let (waits, busy): (_, Arc<tokio::sync::Notify>) = (Arc::clone(&go_on), Arc::clone(&told));
    let world = beside(
        echo(),
        &[(
            "slow",
            extension(move |mut extension| {
                let (waits, busy) = (Arc::clone(&waits), Arc::clone(&busy));
                async move {
                    extension.register().await;
                    loop {
                        extension.api.next().await;
                        busy.notify_one();
                        waits.acquire().await.unwrap().forget();
                    }
                }
            }),
        )],
    );
    let spec = Arc::new(layered());
    world.invoke(&spec, "1").await;
    told.notified().await;
    assert_eq!(world.counts(), (0, 0, 1), "its extension is busy");
    assert!(
        world
            .log()
            .await
            .iter()
            .all(|line| !line.starts_with("REPORT"))
    );
    go_on.add_permits(1);
    world.until(|world| world.counts() == (0, 1, 0)).await;
    assert!(
        world
            .log()
            .await
            .iter()
            .any(|line| line.starts_with("REPORT"))
    );
}

#[tokio::test]
async fn what_ends_an_extension_is_told_in_lambda_s_words() {
    let cases: [(&str, ExtensionScript, &str, &str); 5] = [
        (
            "ends before it registers",
            extension(|_| async { CompanionExit::Code(0) }),
            "Extension.Crash",
            "exit code 0",
        ),
        (
            "says that it cannot start",
            extension(|mut extension| async move {
                extension.register().await;
                assert_eq!(extension.api.fail("init").await, StatusCode::ACCEPTED);
                CompanionExit::Code(0)
            }),
            "Extension.InitError",
            "exit code 0",
        ),
        (
            "says that it cannot go on",
            extension(|mut extension| async move {
                extension.register().await;
                extension.api.next().await;
                assert_eq!(extension.api.fail("exit").await, StatusCode::ACCEPTED);
                CompanionExit::Code(1)
            }),
            "Extension.ExitError",
            "exit status 1",
        ),
        (
            "crashes during a request",
            extension(|mut extension| async move {
                extension.register().await;
                extension.api.next().await;
                CompanionExit::Signal(11)
            }),
            "Extension.Crash",
            "signal: segmentation fault",
        ),
        (
            "crashes when it has registered",
            extension(|mut extension| async move {
                extension.register().await;
                CompanionExit::Code(255)
            }),
            "Extension.Crash",
            "exit status 255",
        ),
    ];
    for (what, failing, error_type, cause) in cases {
        // It never answers: nobody is faster than the extension.
        let world = beside(
            script(|mut runtime| async move {
                runtime.api().await.next().await;
                std::future::pending().await
            }),
            &[("failing", failing)],
        );
        let spec = Arc::new(layered());
        let wanted = request(&spec, "1");
        let id = wanted.request_id;
        let reply = world.try_invoke(wanted).await.unwrap();
        assert_eq!(reply.function_error, Some("Unhandled"), "{what}");
        assert_eq!(
            json(&reply.payload),
            json!({"errorType": error_type, "errorMessage": format!("RequestId: {id} Error: {cause}")}),
            "{what}"
        );
        let log = world.log().await;
        let error = format!("\tStatus: error\tError Type: {error_type}");
        assert!(
            log.iter().any(|line| line.contains(&error)),
            "{what}: {log:#?}"
        );
    }
}

#[tokio::test]
async fn an_extension_that_never_registers_costs_the_init_its_time() {
    tokio::time::pause();
    let world = beside(echo(), &[("silent", extension(|_| std::future::pending()))]);
    let reply = world.invoke(&Arc::new(layered()), "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "Sandbox.Timedout");
    assert_eq!(
        world.launcher.launches(),
        0,
        "no runtime without its extensions"
    );
    let log = world.log().await;
    let started = "EXTENSION\tName: silent\tState: Started\tEvents: []";
    assert!(log.iter().any(|line| line == started), "{log:#?}");
}

#[tokio::test]
async fn an_extension_that_registers_and_asks_for_nothing_keeps_the_start_from_ending() {
    tokio::time::pause();
    let world = beside(
        echo(),
        &[(
            "idle",
            extension(|mut extension| async move {
                extension.register().await;
                std::future::pending().await
            }),
        )],
    );
    let reply = world.invoke(&Arc::new(layered()), "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "Sandbox.Timedout");
    assert_eq!(
        world.launcher.launches(),
        2,
        "once more in the request's time"
    );
}

#[tokio::test]
async fn an_extension_that_hangs_ends_with_the_request_s_time() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let world = beside(
        echo(),
        &[
            (
                "hangs",
                extension(|mut extension| async move {
                    extension.register().await;
                    extension.api.next().await;
                    std::future::pending().await
                }),
            ),
            (
                "hears",
                extension(move |mut extension| {
                    let told = told.clone();
                    async move {
                        extension.register().await;
                        loop {
                            told.send(extension.api.next().await).unwrap();
                        }
                    }
                }),
            ),
        ],
    );
    let spec = Arc::new(FunctionSpec {
        timeout: Duration::from_millis(200),
        ..layered()
    });
    // The runtime was in time.
    let reply = world.invoke(&spec, "1").await;
    assert_eq!(&reply.payload[..], b"1");
    assert_eq!(heard.recv().await.unwrap()["eventType"], "INVOKE");
    let shutdown = heard.recv().await.unwrap();
    assert_eq!(shutdown["shutdownReason"], "TIMEOUT");
    world.until(|world| world.launcher.living() == 0).await;
    let log = world.log().await;
    assert!(
        log.iter()
            .any(|line| line.contains("Task timed out after 0.20 seconds"))
    );
    assert!(
        log.iter().any(|line| line.ends_with("\tStatus: timeout\t")),
        "{log:#?}"
    );
}

#[tokio::test]
async fn internal_extensions_hear_of_requests_and_are_waited_for() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let world = World::new(script(move |mut runtime| {
        let told = told.clone();
        async move {
            let mut inner = runtime.extensions();
            let refused = inner.register("inner", &["SHUTDOWN"]).await.unwrap();
            assert_eq!(refused.2["errorType"], "Extension.InvalidEventType");
            let (_, headers, _) = inner.register("inner", &["INVOKE"]).await.unwrap();
            inner.id = headers["lambda-extension-identifier"]
                .to_str()
                .unwrap()
                .into();
            let late = inner.clone();
            tokio::spawn(async move {
                loop {
                    told.send(inner.next().await).unwrap();
                }
            });
            let mut api = runtime.api().await;
            let event = api.next().await;
            let refused = late.register("late", &["INVOKE"]).await.unwrap();
            assert_eq!(refused.2["errorType"], "Extension.RegistrationClosed");
            assert_eq!(
                refused.2["errorMessage"],
                "Extension registration closed already"
            );
            api.respond(&event.id, "1").await;
            api.echo().await
        }
    }));
    let spec = Arc::new(spec());
    world.invoke(&spec, "1").await;
    world.invoke(&spec, "2").await;
    for _ in 0..2 {
        assert_eq!(heard.recv().await.unwrap()["eventType"], "INVOKE");
    }
    let log = world.log().await;
    let ready = "EXTENSION\tName: inner\tState: Ready\tEvents: [INVOKE]";
    assert!(log.contains(&ready.to_owned()), "{log:#?}");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_as_lambda_refuses_them() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let world = beside(
        echo(),
        &[(
            "curious",
            extension(move |mut extension| {
                let told = told.clone();
                async move {
                    let register = "/2020-01-01/extension/register";
                    let next = "/2020-01-01/extension/event/next";
                    let name = [("lambda-extension-name", "curious")];
                    let mut api = extension.api.clone();
                    let garbage = vec![b'x'; crate::extensions::api::BODY_BYTES + 1];
                    let mut answers = vec![
                        api.call(Method::POST, register, &[], "{}").await,
                        api.call(Method::POST, register, &name, "{").await,
                        api.call(Method::POST, register, &name, garbage).await,
                        api.register("curious", &["OTHER"]).await,
                        api.call(Method::GET, next, &[], "").await,
                    ];
                    api.id = "x".to_owned();
                    answers.push(api.call(Method::GET, next, &[], "").await);
                    api.id = uuid::Uuid::nil().to_string();
                    answers.push(api.call(Method::GET, next, &[], "").await);
                    extension.register().await;
                    let api = extension.api.clone();
                    answers.push(api.register("curious", &["INVOKE"]).await);
                    let exit = "/2020-01-01/extension/exit/error";
                    answers.push(api.call(Method::POST, exit, &[], "{}").await);
                    for answer in answers {
                        let (status, _, body) = answer.unwrap();
                        assert_eq!(status, StatusCode::FORBIDDEN, "{body}");
                        told.send(body["errorType"].as_str().unwrap().to_owned())
                            .unwrap();
                    }
                    api.next().await;
                    std::future::pending().await
                }
            }),
        )],
    );
    world.invoke(&Arc::new(layered()), "1").await;
    for expected in [
        "Extension.InvalidExtensionName",
        "InvalidRequestFormat",
        "InvalidRequestFormat",
        "Extension.InvalidEventType",
        "Extension.MissingExtensionIdentifier",
        "Extension.InvalidExtensionIdentifier",
        "Extension.UnknownExtensionIdentifier",
        "Extension.InvalidExtensionState",
        "Extension.MissingHeader",
    ] {
        assert_eq!(heard.recv().await.unwrap(), expected);
    }
}

#[tokio::test]
async fn more_extensions_than_there_may_be_are_a_failure() {
    let all: Vec<(String, ExtensionScript)> = (0..11)
        .map(|number| (format!("e{number:02}"), extension(|it| it.follow())))
        .collect();
    let launcher = FakeLauncher::new(echo());
    *launcher.extensions.lock() = all;
    let world = World::on(launcher, Limits::default(), Folder::new());
    let reply = world.invoke(&Arc::new(layered()), "1").await;
    assert_eq!(json(&reply.payload)["errorType"], "Extension.LaunchError");
    let log = world.log().await;
    let refused =
        "EXTENSION\tName: e10\tState: LaunchError\tEvents: []\tError Type: TooManyExtensions";
    assert!(log.iter().any(|line| line == refused), "{log:#?}");
}

/// In every kind of start extensions are started afresh, and are there before the runtime.
#[tokio::test]
async fn every_kind_of_start_has_extensions_of_its_own() {
    let (told, mut heard) = mpsc::unbounded_channel();
    let launcher = FakeLauncher::forking(program(Function::default()));
    *launcher.extensions.lock() = named(&[(
        "counts",
        extension(move |mut extension| {
            let told = told.clone();
            async move {
                extension.register().await;
                loop {
                    let event = extension.api.next().await;
                    told.send(event["eventType"].as_str().unwrap().to_owned())
                        .unwrap();
                    if event["eventType"] == "SHUTDOWN" {
                        return CompanionExit::Code(0);
                    }
                }
            }
        }),
    )]);
    let world = World::on(launcher, Limits::default(), Folder::new());
    world
        .until(|world| world.agent.status().zygotes.iter().any(|it| it.ready))
        .await;
    let spec = Arc::new(FunctionSpec {
        snap_start: SnapStart::Auto,
        ..layered()
    });
    world.agent.prepare(Arc::clone(&spec)).await.unwrap();
    // Of the template's own init.
    assert_eq!(heard.recv().await.unwrap(), "SHUTDOWN");
    for kind in [
        StartKind::Spare,
        StartKind::Forked,
        StartKind::Zygote,
        StartKind::Booted,
    ] {
        let mut wanted = request(&spec, "1");
        wanted.cold = Some(Cold::Kind(kind));
        let reply = world.try_invoke(wanted).await.unwrap();
        assert_eq!((reply.kind, reply.function_error), (kind, None));
        assert_eq!(heard.recv().await.unwrap(), "INVOKE", "{kind}");
    }
}
