//! What comes of schedules: once for every due time, through kills, absences and refusals.

use pilotlight_model::VersionKey;
use pilotlight_model::node::{Caller, NodeError};

use super::*;
use crate::events::queue_is;
use crate::harness::{FUNCTIONS, START_MS, caller, inline};

const MINUTE_MS: u64 = 60_000;
const WARM_UP: &str = "arn:aws:scheduler:::aws-sdk:lambda:warmUp";

fn warm_up(body: &mut Value) {
    body["Target"]["Arn"] = json!(WARM_UP);
    body["Target"]["Input"] = json!(r#"{"FunctionName": "f", "Instances": 3}"#);
}

/// `2026-01-02T03:04:05` of a time since the tests' begin, in whole seconds.
fn at(seconds: u64) -> String {
    let time = jiff::Timestamp::from_second((START_MS / 1_000 + seconds) as i64).unwrap();
    format!("at({})", time.strftime("%Y-%m-%dT%H:%M:%S"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rate_fires_at_once_and_then_again_and_again() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let input = r#"{"arn": "<aws.scheduler.schedule-arn>", "at": "<aws.scheduler.scheduled-time>",
                    "attempt": "<aws.scheduler.attempt-number>"}"#;
    platform
        .scheduled("s", |body| body["Target"]["Input"] = json!(input))
        .await;
    let first = platform.called(1).await[0].clone();
    assert_eq!(
        first,
        json!({ "arn": format!("{SCHEDULER}:schedule/default/s"), "at": "2026-01-02T03:04:05Z", "attempt": "1" })
    );
    platform.advance(59);
    platform.advance(1);
    assert_eq!(platform.called(2).await[1]["at"], "2026-01-02T03:05:05Z");
    assert_eq!(platform.control.metrics().schedules_fired.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_single_time_fires_once_and_the_schedule_may_go_with_it() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform
        .scheduled("stays", |body| body["ScheduleExpression"] = json!(at(90)))
        .await;
    let goes = |body: &mut Value| {
        body["ScheduleExpression"] = json!(at(100));
        body["ActionAfterCompletion"] = json!("DELETE");
    };
    platform.scheduled("goes", goes).await;
    platform.advance(90);
    platform.called(1).await;
    platform.advance(10);
    let events = platform.called(2).await;
    assert_eq!(
        events[0]["resources"][0],
        format!("{SCHEDULER}:schedule/default/stays")
    );
    assert_eq!(platform.schedule_names("").await, ["stays"]);
    platform.advance(100_000);
    assert_eq!(
        platform.get("/schedules/stays").await.body["State"],
        "ENABLED"
    );
    assert_eq!(platform.control.metrics().schedules_fired.get(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn disabled_schedules_do_not_fire_and_do_not_make_up_for_it() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let hourly = |state: &'static str| {
        move |body: &mut Value| {
            body["ScheduleExpression"] = json!("cron(0 * * * ? *)");
            body["State"] = json!(state);
        }
    };
    platform.scheduled("s", hourly("DISABLED")).await;
    platform.advance(3 * 3_600);
    platform.put(Method::PUT, "s", hourly("ENABLED")).await;
    platform.advance(3_600);
    let events = platform.called(1).await;
    assert_eq!(events[0]["time"], "2026-01-02T07:00:00Z");
    assert_eq!(platform.control.metrics().schedules_fired.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_kill_neither_loses_nor_repeats_a_firing() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform
        .scheduled("s", |body| body["ScheduleExpression"] = json!(at(60)))
        .await;
    // Killed before it fired: the next run fires it.
    let before = platform.killed_until(START_MS + MINUTE_MS).await;
    before.called(1).await;
    // Killed after: what is in the queue is delivered, and nothing fires again.
    platform
        .node
        .invokes
        .lock()
        .extend([Err(NodeError::Overloaded)]);
    platform.advance(60);
    platform.called(1).await;
    let after = platform.killed_until(START_MS + 2 * MINUTE_MS).await;
    after.called(1).await;
    assert_eq!(after.control.metrics().schedules_fired.get(), 0);
    queue_is(&after, 0).await;
    assert_eq!(after.node.invoked.lock().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_absence_the_last_due_time_is_delivered_if_it_is_not_too_old() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let hourly = |age: u32| {
        move |body: &mut Value| {
            body["ScheduleExpression"] = json!("cron(0 * * * ? *)");
            body["Target"]["RetryPolicy"] = json!({ "MaximumEventAgeInSeconds": age });
        }
    };
    platform.scheduled("patient", hourly(3_600)).await;
    platform.scheduled("impatient", hourly(60)).await;
    platform
        .scheduled("once", |body| {
            body["ScheduleExpression"] = json!(at(60));
            body["Target"]["RetryPolicy"] = json!({ "MaximumEventAgeInSeconds": 60 });
        })
        .await;
    // Five hours later, at 08:04:05.
    let later = platform.killed_until(START_MS + 5 * 60 * MINUTE_MS).await;
    let events = later.called(1).await;
    assert_eq!(
        events[0]["resources"][0],
        format!("{SCHEDULER}:schedule/default/patient")
    );
    assert_eq!(events[0]["time"], "2026-01-02T08:00:00Z");
    // It is 09:00:00 now.
    later.advance(3_355);
    later.called(3).await;
    assert_eq!(later.control.metrics().schedules_fired.get(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_is_set_back_repeats_nothing() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform
        .scheduled("s", |body| {
            body["ScheduleExpression"] = json!("cron(* * * * ? *)")
        })
        .await;
    platform.advance(60);
    platform.called(1).await;
    // One that was delivered and not yet written off would be delivered again.
    queue_is(&platform, 0).await;
    let back = platform.killed_until(START_MS).await;
    back.advance(60);
    back.advance(60);
    let events = back.called(1).await;
    assert_eq!(events[0]["time"], "2026-01-02T03:06:00Z");
    assert_eq!(back.control.metrics().schedules_fired.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_function_that_is_not_there_is_waited_for_as_the_policy_says() {
    let platform = Platform::open().await;
    platform
        .scheduled("s", |body| {
            body["ScheduleExpression"] = json!(at(60));
            body["Target"]["Input"] = json!("<aws.scheduler.attempt-number>");
        })
        .await;
    platform
        .scheduled("impatient", |body| {
            body["ScheduleExpression"] = json!(at(60));
            body["Target"]["RetryPolicy"] = json!({ "MaximumRetryAttempts": 0 });
        })
        .await;
    platform.advance(60);
    platform.fired(2).await;
    platform.active("f").await;
    // The wait outlives a kill.
    let platform = platform.killed_until(START_MS + MINUTE_MS + 1_500).await;
    assert_eq!(platform.called(1).await, [json!(2)]);
    assert_eq!(platform.node.invoked.lock().len(), 1);
}

/// What waits to be handed on, of that function.
async fn waiting(platform: &Platform, function: &str) -> Vec<Value> {
    let path = format!("/pilotlight/v1/events?function={function}");
    let reply = platform.get(&path).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    reply.body["firings"].as_array().unwrap().clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_waits_is_shown_and_goes_with_its_schedule() {
    let platform = Platform::open().await;
    let groups = "/schedule-groups/g";
    assert_eq!(
        platform.call(Method::POST, groups, json!({})).await.status,
        200
    );
    let once = |body: &mut Value| body["ScheduleExpression"] = json!(at(60));
    platform.scheduled("s", once).await;
    platform.scheduled("other", once).await;
    let grouped = |body: &mut Value| {
        once(body);
        body["GroupName"] = json!("g");
    };
    platform.scheduled("in-group", grouped).await;
    platform
        .scheduled("warms-up", |body| {
            once(body);
            warm_up(body);
        })
        .await;
    assert!(waiting(&platform, "f").await.is_empty());
    platform.advance(60);
    platform.fired(4).await;
    // The warm-up is tried by the second worker, and fails by then.
    let all = async || {
        let all = waiting(&platform, "f").await;
        let tried = all.iter().all(|it| it["last_error"].is_string());
        (all.len() == 4 && tried).then_some(all)
    };
    let shown = until(all).await;
    let of = |name: &str| {
        let arn = format!("{SCHEDULER}:schedule/{name}");
        shown
            .iter()
            .find(|it| it["schedule"] == arn.as_str())
            .unwrap()
    };
    let first = of("default/s");
    assert_eq!(first["function"], format!("{ARN}f"));
    assert_eq!(
        (&first["attempts"], &first["scheduled_ms"]),
        (&json!(1), &json!(START_MS / 1_000 * 1_000 + MINUTE_MS))
    );
    let why = first["last_error"].as_str().unwrap();
    assert!(why.starts_with("ResourceNotFoundException: "), "{why}");
    assert_eq!(
        of("default/warms-up")["target"],
        "arn:aws:scheduler:::aws-sdk:lambda:warmUp"
    );
    assert!(waiting(&platform, "g").await.is_empty());

    let deleted = platform
        .call(Method::DELETE, "/schedules/s", Value::Null)
        .await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    let deleted = platform.call(Method::DELETE, groups, Value::Null).await;
    assert_eq!(deleted.status, 200, "{}", deleted.body);
    let left: Vec<Value> = waiting(&platform, "f")
        .await
        .iter()
        .map(|it| it["schedule"].clone())
        .collect();
    let arn = |name: &str| json!(format!("{SCHEDULER}:schedule/default/{name}"));
    assert!(
        left.len() == 2 && left.contains(&arn("other")) && left.contains(&arn("warms-up")),
        "{left:?}"
    );
    // What is left is called once there is something to call; what was deleted is not.
    platform.active("f").await;
    platform.advance(5);
    platform.called(1).await;
    until(async || waiting(&platform, "f").await.is_empty().then_some(())).await;
    let events = platform.called(1).await;
    assert_eq!(events.len(), 1);
    assert_eq!(events[0]["resources"], json!([arn("other")]));
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_warmed_up_on_time() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform
        .node
        .warm_ups
        .lock()
        .push_back(NodeError::Overloaded);
    platform
        .scheduled("s", |body| {
            warm_up(body);
            body["ScheduleExpression"] = json!(at(60));
        })
        .await;
    platform.advance(60);
    until(|| async { (platform.node.warmed.lock().len() == 1).then_some(()) }).await;
    // The node had no room: it is tried again.
    until(|| async {
        platform.advance(1);
        (platform.node.warmed.lock().len() == 2).then_some(())
    })
    .await;
    let warmed = platform.node.warmed.lock().clone();
    assert_eq!((warmed[1].instances, warmed[1].call.is_none()), (3, true));
    assert_eq!(warmed[1].spec.key.name.as_str(), "f");
    until(|| async { (platform.control.metrics().warm_ups.get() == 1).then_some(()) }).await;
    assert!(
        platform.node.invoked.lock().is_empty(),
        "no handler was called"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn warm_ups_of_one_account_keep_no_other_waiting() {
    let platform = Platform::open().await;
    platform.active("f").await;
    let other = Caller {
        account: "000000000001".parse().unwrap(),
        ..caller()
    };
    let function = json!({
        "FunctionName": "f", "Runtime": "python3.11", "Role": ROLE, "Handler": "app.handler",
        "Code": { "ZipFile": inline("f") },
    });
    let made = platform.call_as(other.clone(), Method::POST, FUNCTIONS, function);
    assert_eq!(made.await.status, 201);
    let path = format!("{FUNCTIONS}/f/configuration");
    until(|| async {
        let found = platform.call_as(other.clone(), Method::GET, &path, Value::Null);
        (found.await.body["State"] == "Active").then_some(())
    })
    .await;
    platform.node.hold();
    let due = |body: &mut Value| {
        warm_up(body);
        body["ScheduleExpression"] = json!(at(60));
    };
    for number in 0..40 {
        platform.scheduled(&format!("s{number}"), due).await;
    }
    platform.advance(60);
    // Half of the room, and no more, however many wait.
    until(|| async { (platform.node.warmed.lock().len() == 8).then_some(()) }).await;
    let mut late = json!({
        "FlexibleTimeWindow": { "Mode": "OFF" }, "Target": { "RoleArn": ROLE },
    });
    due(&mut late);
    late["ScheduleExpression"] = json!("rate(1 minute)");
    let made = platform.call_as(other, Method::POST, "/schedules/late", late);
    assert_eq!(made.await.status, 200);
    until(|| async { (platform.node.warmed.lock().len() == 9).then_some(()) }).await;
    let account = platform.node.warmed.lock()[8].spec.key.account.clone();
    assert_eq!(account.as_str(), "000000000001");
    platform.node.release();
    until(|| async { (platform.control.metrics().warm_ups.get() == 41).then_some(()) }).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_warm_up_that_a_kill_cut_off_is_made_again() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.node.warm_ups.lock().push_back(NodeError::Draining);
    platform
        .scheduled("s", |body| {
            warm_up(body);
            body["ScheduleExpression"] = json!(at(60));
        })
        .await;
    let killed = platform.killed_until(START_MS + MINUTE_MS).await;
    until(|| async { (killed.node.warmed.lock().len() == 1).then_some(()) }).await;
    killed.fired(1).await;
    assert_eq!(killed.control.metrics().schedules_fired.get(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn thousands_of_schedules_that_are_not_due_are_not_looked_at() {
    let platform = Platform::open().await;
    platform.active("f").await;
    for number in 0..300 {
        platform
            .scheduled(&format!("s{number}"), |body| {
                body["ScheduleExpression"] = json!("cron(0 0 1 1 ? 2199)")
            })
            .await;
    }
    platform
        .scheduled("now", |body| body["ScheduleExpression"] = json!(at(60)))
        .await;
    platform.advance(60);
    platform.called(1).await;
    assert_eq!(platform.control.metrics().schedules_fired.get(), 1);
}

/// The lines of the file of that queue, once there are so many.
async fn messages(platform: &Platform, queue: &str, count: usize) -> Vec<Value> {
    let folder = platform
        .dir
        .path()
        .join("data/dead-letters/123456789012/us-east-1");
    let path = folder.join(format!("{queue}.jsonl"));
    let lines = || {
        let text = std::fs::read_to_string(&path).unwrap_or_default();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        lines.collect::<Vec<Value>>()
    };
    until(|| async { Some(lines()).filter(|lines| lines.len() >= count) }).await
}

fn queue_arn(name: &str) -> String {
    format!("arn:aws:sqs:us-east-1:123456789012:{name}")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_queue_gets_messages_on_time() {
    let platform = Platform::open().await;
    platform
        .scheduled("s", |body| {
            body["ScheduleExpression"] = json!(at(60));
            body["Target"]["Arn"] = json!(queue_arn("q"));
            body["Target"]["Input"] = json!("of <aws.scheduler.scheduled-time>");
        })
        .await;
    platform.advance(60);
    let message = messages(&platform, "q", 1).await[0].clone();
    assert_eq!(
        (&message["Body"], &message["Kind"]),
        (&json!("of 2026-01-02T03:05:05Z"), &json!("scheduled"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_up_or_comes_too_late_is_in_its_dead_letter_queue() {
    let platform = Platform::open().await;
    for (name, policy) in [
        ("nobody", json!({ "MaximumRetryAttempts": 0 })),
        ("late", json!({ "MaximumEventAgeInSeconds": 60 })),
    ] {
        platform
            .scheduled(name, |body| {
                body["ScheduleExpression"] = json!(at(60));
                body["Target"]["Input"] = json!(r#"{"at": "<aws.scheduler.scheduled-time>"}"#);
                body["Target"]["RetryPolicy"] = policy;
                body["Target"]["DeadLetterConfig"] = json!({ "Arn": queue_arn(name) });
            })
            .await;
    }
    let attribute =
        |message: &Value, name: &str| message["MessageAttributes"][name]["StringValue"].clone();
    let late = platform.killed_until(START_MS + 3 * MINUTE_MS).await;
    let message = messages(&late, "late", 1).await[0].clone();
    assert_eq!(
        attribute(&message, "EXHAUSTED_RETRY_CONDITION"),
        "MaximumEventAgeInSeconds"
    );
    platform.advance(60);
    let message = messages(&platform, "nobody", 1).await[0].clone();
    assert_eq!(message["Body"], r#"{"at": "2026-01-02T03:05:05Z"}"#);
    assert_eq!(message["Kind"], "dead_letter");
    for (name, value) in [
        ("ERROR_CODE", "ResourceNotFoundException"),
        ("EXHAUSTED_RETRY_CONDITION", "MaximumRetryAttempts"),
        ("SCHEDULED_TIME", "2026-01-02T03:05:05Z"),
        (
            "SCHEDULE_ARN",
            &format!("{SCHEDULER}:schedule/default/nobody"),
        ),
        ("TARGET_ARN", &format!("{ARN}f")),
    ] {
        assert_eq!(attribute(&message, name), value, "{name}");
    }
}

/// Waits until the node has been told of so many firings: of how many requests, and how many milliseconds ahead.
async fn announced(platform: &Platform, count: usize) -> Vec<(String, u32, u64)> {
    until(|| async { (platform.node.announced.lock().len() >= count).then_some(()) }).await;
    let announced = platform.node.announced.lock();
    let told = |(key, requests, after_ms): &(VersionKey, u32, u64)| {
        (key.name.to_string(), *requests, *after_ms)
    };
    announced.iter().map(told).collect()
}

fn once(seconds: u64) -> impl Fn(&mut Value) {
    move |body: &mut Value| body["ScheduleExpression"] = json!(at(seconds))
}

#[tokio::test(flavor = "multi_thread")]
async fn the_node_is_told_of_a_firing_a_minute_ahead() {
    let platform = Platform::open().await;
    platform.active("f").await;
    // Tests begin within a second.
    let begin_ms = START_MS % 1_000;
    platform.scheduled("near", once(30)).await;
    platform.scheduled("far", once(90)).await;
    let warmed = |body: &mut Value| {
        warm_up(body);
        once(30)(body);
    };
    assert_eq!(
        announced(&platform, 1).await,
        [("f".to_owned(), 1, 30_000 - begin_ms)]
    );
    // Both together, as they come at the same time.
    platform.scheduled("warm", warmed).await;
    assert_eq!(
        announced(&platform, 2).await[1],
        ("f".to_owned(), 4, 30_000 - begin_ms)
    );
    platform.advance(30);
    platform.fired(2).await;
    assert_eq!(
        announced(&platform, 3).await[2],
        ("f".to_owned(), 1, 60_000 - begin_ms)
    );
    platform.advance(60);
    platform.fired(3).await;
    assert_eq!(
        announced(&platform, 3).await.len(),
        3,
        "what has come is not taken back"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_will_not_come_is_taken_back() {
    let platform = Platform::open().await;
    platform.active("f").await;
    platform.scheduled("s", once(30)).await;
    announced(&platform, 1).await;
    platform.put(Method::PUT, "s", once(40)).await;
    let told = announced(&platform, 3).await;
    let begin_ms = START_MS % 1_000;
    assert_eq!(told[1], ("f".to_owned(), 0, 30_000 - begin_ms));
    assert_eq!(told[2], ("f".to_owned(), 1, 40_000 - begin_ms));
    let gone = platform
        .call(Method::DELETE, "/schedules/s", Value::Null)
        .await;
    assert_eq!(gone.status, 200);
    assert_eq!(
        announced(&platform, 4).await[3],
        ("f".to_owned(), 0, 40_000 - begin_ms)
    );
    // A restart knows of no announcement, and makes them anew.
    platform.scheduled("s", once(50)).await;
    announced(&platform, 5).await;
    let again = platform.killed().await;
    assert_eq!(
        announced(&again, 1).await,
        [("f".to_owned(), 1, 50_000 - begin_ms)]
    );
}
