//! The operations on schedules. Messages are ones that AWS has been seen to answer, where it has.

use pilotlight_model::node::Caller;

use super::*;
use crate::harness::{START_MS, caller};

fn seconds() -> f64 {
    START_MS as f64 / 1_000.0
}

async fn refused(platform: &Platform, change: impl FnOnce(&mut Value)) -> (u16, String, String) {
    let reply = platform.schedule("refused", change).await;
    let message = reply.body["Message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    (reply.status, reply.kind, message)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_shown_with_its_defaults() {
    let platform = Platform::open().await;
    let created = platform.schedule("s", |_| {}).await;
    let arn = format!("{SCHEDULER}:schedule/default/s");
    assert_eq!(
        (created.status, &created.body),
        (200, &json!({ "ScheduleArn": arn }))
    );
    let shown = platform.get("/schedules/s").await.body;
    assert_eq!(
        shown,
        json!({
            "ActionAfterCompletion": "NONE",
            "Arn": arn,
            "CreationDate": seconds(),
            "FlexibleTimeWindow": { "Mode": "OFF" },
            "GroupName": "default",
            "LastModificationDate": seconds(),
            "Name": "s",
            "ScheduleExpression": "rate(1 minute)",
            "ScheduleExpressionTimezone": "UTC",
            "State": "ENABLED",
            "Target": {
                "Arn": format!("{ARN}f"),
                "RetryPolicy": { "MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 185 },
                "RoleArn": ROLE,
            },
        })
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_update_replaces_all_of_it() {
    let platform = Platform::open().await;
    let all = |body: &mut Value| {
        body["Description"] = json!("words");
        body["ScheduleExpressionTimezone"] = json!("Europe/Berlin");
        body["ScheduleExpression"] = json!("cron(0 8 ? * MON-FRI *)");
        body["StartDate"] = json!(seconds() + 60.5);
        body["EndDate"] = json!(seconds() + 600_000.0);
        body["State"] = json!("DISABLED");
        body["FlexibleTimeWindow"] = json!({ "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 60 });
        body["ActionAfterCompletion"] = json!("DELETE");
        body["Target"]["Input"] = json!(r#"{"a": 1}"#);
        body["Target"]["RetryPolicy"] = json!({ "MaximumRetryAttempts": 3 });
        body["Target"]["DeadLetterConfig"] =
            json!({ "Arn": "arn:aws:sqs:us-east-1:123456789012:q" });
    };
    platform.scheduled("s", all).await;
    let shown = platform.get("/schedules/s").await.body;
    assert_eq!(shown["StartDate"], seconds() + 60.5);
    assert_eq!(shown["Description"], "words");
    assert_eq!(
        shown["Target"]["RetryPolicy"],
        json!({ "MaximumEventAgeInSeconds": 86_400, "MaximumRetryAttempts": 3 })
    );
    platform.advance(5);
    let reply = platform
        .put(Method::PUT, "s", |body| {
            body["ScheduleExpression"] = json!("rate(2 minute)")
        })
        .await;
    assert_eq!(
        reply.body["ScheduleArn"],
        format!("{SCHEDULER}:schedule/default/s")
    );
    let shown = platform.get("/schedules/s").await.body;
    for absent in ["Description", "StartDate", "EndDate"] {
        assert!(shown.get(absent).is_none(), "{absent}");
    }
    assert_eq!(
        (&shown["State"], &shown["ActionAfterCompletion"]),
        (&json!("ENABLED"), &json!("NONE"))
    );
    assert_eq!(shown["CreationDate"], seconds());
    assert_eq!(shown["LastModificationDate"], seconds() + 5.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_there_is_not_found() {
    let platform = Platform::open().await;
    for reply in [
        platform.get("/schedules/s").await,
        platform.delete("/schedules/s").await,
        platform.put(Method::PUT, "s", |_| {}).await,
    ] {
        assert_eq!(
            (reply.status, reply.kind.as_str()),
            (404, "ResourceNotFoundException")
        );
        assert_eq!(
            reply.body,
            json!({ "Message": "Schedule s does not exist." })
        );
    }
    let unknown = platform.get("/schedules/s?groupName=g").await;
    assert_eq!(unknown.body["Message"], "Schedule group g does not exist.");
    let into = platform
        .schedule("s", |body| body["GroupName"] = json!("g"))
        .await;
    assert_eq!(
        (into.status, into.body["Message"].as_str()),
        (404, Some("Schedule group g does not exist."))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_there_is_not_made_twice_but_may_be_asked_for_again() {
    let platform = Platform::open().await;
    let token = |token: &'static str| move |body: &mut Value| body["ClientToken"] = json!(token);
    platform.scheduled("s", token("one")).await;
    let again = platform.schedule("s", token("one")).await;
    assert_eq!(again.status, 200, "the same request: {}", again.body);
    let other = platform
        .schedule("s", |body| {
            body["ClientToken"] = json!("one");
            body["ScheduleExpression"] = json!("rate(2 minutes)");
        })
        .await;
    for reply in [
        platform.schedule("s", token("two")).await,
        platform.schedule("s", |_| {}).await,
        other,
    ] {
        assert_eq!(
            (reply.status, reply.kind.as_str()),
            (409, "ConflictException")
        );
        assert_eq!(reply.body["Message"], "Schedule s already exists.");
    }
    let delete = |token| platform.delete(token);
    assert_eq!(delete("/schedules/s?clientToken=three").await.status, 200);
    assert_eq!(delete("/schedules/s?clientToken=three").await.status, 200);
    assert_eq!(delete("/schedules/s?clientToken=four").await.status, 404);
    platform.scheduled("s", token("one")).await;
    assert_eq!(
        platform.get("/schedules/s").await.status,
        200,
        "it was made, not remembered"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_makes_no_sense_is_refused() {
    let platform = Platform::open().await;
    let expression =
        |text: &'static str| move |body: &mut Value| body["ScheduleExpression"] = json!(text);
    for text in [
        "cron(0 1 * * * *)",
        "rate(10 seconds)",
        " rate(10 minutes)",
        "at(2021-12-31)",
        "some cron",
    ] {
        let (status, kind, message) = refused(&platform, expression(text)).await;
        assert_eq!((status, kind.as_str()), (400, "ValidationException"));
        assert_eq!(message, format!("Invalid Schedule Expression {text}."));
    }
    let cases: [(&str, Value, &str); 12] = [
        (
            "ScheduleExpressionTimezone",
            json!("Europe/Nowhere"),
            "Invalid Schedule Expression Timezone",
        ),
        (
            "FlexibleTimeWindow",
            json!({ "Mode": "FLEXIBLE" }),
            "MaximumWindowInMinutes must be given",
        ),
        (
            "FlexibleTimeWindow",
            json!({ "Mode": "FLEXIBLE", "MaximumWindowInMinutes": 1_441 }),
            "1 validation error detected: Value '1441' at 'flexibleTimeWindow.maximumWindowInMinutes' failed to satisfy constraint: Member must have value less than or equal to 1440",
        ),
        (
            "FlexibleTimeWindow",
            json!({ "Mode": "SOMETIMES" }),
            "1 validation error detected: Value 'SOMETIMES' at 'flexibleTimeWindow.mode' failed to satisfy constraint: Member must satisfy enum value set: [OFF, FLEXIBLE]",
        ),
        (
            "StartDate",
            json!(seconds() - 301.0),
            "The StartDate you specify cannot be earlier than 5 minutes ago.",
        ),
        (
            "EndDate",
            json!(seconds() - 1.0),
            "The EndDate you specify cannot be in the past.",
        ),
        (
            "KmsKeyArn",
            json!("arn:aws:kms:us-east-1:123456789012:key/k"),
            "KmsKeyArn is not supported",
        ),
        (
            "Target",
            json!({ "Arn": format!("{ARN}f"), "RoleArn": "n/a" }),
            "1 validation error detected: Value 'n/a' at 'target.roleArn' failed to satisfy constraint",
        ),
        (
            "Target",
            json!({ "Arn": "arn:aws:sns:us-east-1:123456789012:t", "RoleArn": ROLE }),
            "arn:aws:sns:us-east-1:123456789012:t is not available as a target",
        ),
        (
            "Target",
            json!({ "Arn": "arn:aws:sqs:us-east-1:999999999999:q", "RoleArn": ROLE }),
            "arn:aws:sqs:us-east-1:999999999999:q is not available as a queue",
        ),
        (
            "Target",
            json!({
                "Arn": format!("{ARN}f"), "RoleArn": ROLE,
                "DeadLetterConfig": { "Arn": "arn:aws:sqs:us-east-1:999999999999:q" },
            }),
            "arn:aws:sqs:us-east-1:999999999999:q is not available as a queue",
        ),
        (
            "Target",
            json!({ "Arn": format!("{ARN}f"), "RoleArn": ROLE, "KinesisParameters": { "PartitionKey": "k" } }),
            "Target.KinesisParameters is not supported",
        ),
    ];
    for (member, value, words) in cases {
        let (status, kind, message) = refused(&platform, |body| body[member] = value).await;
        assert_eq!(
            (status, kind.as_str()),
            (400, "ValidationException"),
            "{member}"
        );
        assert!(message.starts_with(words), "{message}");
    }
    let (_, _, message) = refused(&platform, |body| {
        body["StartDate"] = json!(seconds() + 60.0);
        body["EndDate"] = json!(seconds() + 60.0);
    })
    .await;
    assert_eq!(
        message,
        "The StartDate you specify must come before the EndDate."
    );
    assert_eq!(platform.schedule_names("").await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_are_filtered_and_paged() {
    let platform = Platform::open().await;
    platform
        .call(Method::POST, "/schedule-groups/other", json!({}))
        .await;
    for (name, group, state) in [
        ("a1", "default", "ENABLED"),
        ("a2", "default", "DISABLED"),
        ("b1", "default", "ENABLED"),
        ("a1", "other", "DISABLED"),
        ("a_", "other", "ENABLED"),
    ] {
        platform
            .scheduled(name, |body| {
                body["GroupName"] = json!(group);
                body["State"] = json!(state);
            })
            .await;
    }
    assert_eq!(
        platform.schedule_names("").await,
        ["a1", "a2", "b1", "a1", "a_"]
    );
    assert_eq!(
        platform.schedule_names("ScheduleGroup=other").await,
        ["a1", "a_"]
    );
    assert_eq!(
        platform.schedule_names("State=ENABLED").await,
        ["a1", "b1", "a_"]
    );
    assert_eq!(
        platform.schedule_names("NamePrefix=a").await,
        ["a1", "a2", "a1", "a_"]
    );
    assert_eq!(platform.schedule_names("NamePrefix=a_").await, ["a_"]);
    assert_eq!(
        platform
            .schedule_names("NamePrefix=a&State=DISABLED&ScheduleGroup=default")
            .await,
        ["a2"]
    );
    let (mut query, mut seen) = ("MaxResults=2".to_owned(), Vec::new());
    loop {
        let page = platform.get(&format!("/schedules?{query}")).await.body;
        seen.push(page["Schedules"].as_array().unwrap().len());
        let Some(token) = page["NextToken"].as_str() else {
            break;
        };
        query = format!("MaxResults=2&NextToken={token}");
    }
    assert_eq!(seen, [2, 2, 1]);
    let first = platform.get("/schedules?MaxResults=1").await.body["Schedules"][0].clone();
    assert_eq!(first["Target"], json!({ "Arn": format!("{ARN}f") }));
    assert_eq!(first["GroupName"], "default");
    for (query, status) in [
        ("NextToken=nonsense", 400),
        ("MaxResults=0", 400),
        ("ScheduleGroup=nobodys", 404),
    ] {
        assert_eq!(
            platform.get(&format!("/schedules?{query}")).await.status,
            status,
            "{query}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_regions_are_kept_apart() {
    let platform = Platform::open().await;
    platform.scheduled("s", |_| {}).await;
    let account = Caller {
        account: "210987654321".parse().unwrap(),
        ..caller()
    };
    let region = Caller {
        region: "eu-west-1".parse().unwrap(),
        ..caller()
    };
    for other in [account, region] {
        let ask = |method, path| platform.call_as(other.clone(), method, path, Value::Null);
        assert_eq!(ask(Method::GET, "/schedules/s").await.status, 404);
        assert_eq!(ask(Method::DELETE, "/schedules/s").await.status, 404);
        assert_eq!(
            ask(Method::GET, "/schedules").await.body["Schedules"],
            json!([])
        );
        let groups = ask(Method::GET, "/schedule-groups").await.body["ScheduleGroups"].clone();
        assert_eq!(groups[0]["Name"], "default");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dates_that_nobody_could_be_shown_are_refused() {
    let platform = Platform::open().await;
    for date in [1e300, 9.3e15, 253_402_300_800.0, -1.0] {
        for member in ["StartDate", "EndDate"] {
            for expression in ["rate(1 minute)", "at(2027-01-01T00:00:00)"] {
                let reply = platform.schedule("s", |body| {
                    body[member] = json!(date);
                    body["ScheduleExpression"] = json!(expression);
                });
                let reply = reply.await;
                assert_eq!(reply.status, 400, "{expression} {date}: {}", reply.body);
            }
        }
    }
    let last = |body: &mut serde_json::Value| body["EndDate"] = json!(253_402_300_799.0);
    platform.scheduled("s", last).await;
}
