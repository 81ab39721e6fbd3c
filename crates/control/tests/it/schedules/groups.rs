//! Schedule groups and their tags.

use super::*;

impl Platform {
    async fn group(&self, name: &str, body: Value) -> Reply {
        self.call(Method::POST, &format!("/schedule-groups/{name}"), body)
            .await
    }

    async fn tags(&self, name: &str) -> Value {
        let arn =
            format!("arn%3Aaws%3Ascheduler%3Aus-east-1%3A123456789012%3Aschedule-group%2F{name}");
        self.get(&format!("/tags/{arn}")).await.body["Tags"].clone()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_come_and_go() {
    let platform = Platform::open().await;
    let arn = format!("{SCHEDULER}:schedule-group/g");
    let created = platform.group("g", json!({})).await;
    assert_eq!(
        (created.status, &created.body),
        (200, &json!({ "ScheduleGroupArn": arn }))
    );
    let shown = platform.get("/schedule-groups/g").await.body;
    assert_eq!(
        (&shown["Arn"], &shown["Name"], &shown["State"]),
        (&json!(arn), &json!("g"), &json!("ACTIVE"))
    );
    let twice = platform.group("g", json!({})).await;
    assert_eq!(
        (twice.status, twice.kind.as_str()),
        (409, "ConflictException")
    );
    assert_eq!(twice.body["Message"], "Schedule group g already exists.");
    platform
        .scheduled("s", |body| body["GroupName"] = json!("g"))
        .await;
    let delete = |path| platform.delete(path);
    let deleted = delete("/schedule-groups/g").await;
    assert_eq!((deleted.status, &deleted.body), (200, &json!({})));
    for path in ["/schedule-groups/g", "/schedules/s?groupName=g"] {
        let gone = platform.get(path).await;
        assert_eq!(
            (gone.status, gone.body["Message"].as_str()),
            (404, Some("Schedule group g does not exist."))
        );
    }
    assert_eq!(delete("/schedule-groups/g").await.status, 404);
    assert_eq!(
        delete("/schedule-groups/default").await.kind,
        "ValidationException"
    );
    assert_eq!(
        platform.get("/schedule-groups/default").await.body["State"],
        "ACTIVE"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_groups_are_filtered_and_paged() {
    let platform = Platform::open().await;
    let names = async |query: &str| {
        let body = platform
            .get(&format!("/schedule-groups?{query}"))
            .await
            .body;
        let groups = body["ScheduleGroups"].as_array().unwrap().clone();
        let names: Vec<String> = groups
            .iter()
            .map(|it| it["Name"].as_str().unwrap().to_owned())
            .collect();
        (names, body["NextToken"].as_str().map(str::to_owned))
    };
    assert_eq!(names("").await, (vec!["default".to_owned()], None));
    for name in ["b-2", "other", "b-1"] {
        platform.group(name, json!({})).await;
    }
    assert_eq!(names("").await.0, ["b-1", "b-2", "default", "other"]);
    assert_eq!(names("NamePrefix=b").await.0, ["b-1", "b-2"]);
    let (first, token) = names("MaxResults=3").await;
    assert_eq!(first.len(), 3);
    assert_eq!(
        names(&format!("MaxResults=3&NextToken={}", token.unwrap())).await,
        (vec!["other".to_owned()], None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_many_schedules_is_deleted_in_the_background() {
    let platform = Platform::open().await;
    platform.group("g", json!({})).await;
    // One more than are deleted at once.
    let make = |number: u32| {
        let platform = &platform;
        async move {
            let change = |body: &mut Value| {
                body["GroupName"] = json!("g");
                body["State"] = json!("DISABLED");
            };
            platform.scheduled(&format!("s{number}"), change).await;
        }
    };
    for first in (0..1_050).step_by(50) {
        let batch: Vec<_> = (first..first + 50).map(make).collect();
        join_all(batch).await;
    }
    platform.delete("/schedule-groups/g").await;
    // Whether killed now or not, it goes on.
    for platform in [&platform.killed().await, &platform] {
        until(|| async { (platform.get("/schedule-groups/g").await.status == 404).then_some(()) })
            .await;
        assert_eq!(platform.schedule_names("").await, [""; 0]);
        assert_eq!(platform.group("g", json!({})).await.status, 200);
        assert_eq!(platform.schedule_names("ScheduleGroup=g").await, [""; 0]);
    }
}

async fn join_all(futures: Vec<impl Future<Output = ()>>) {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pinned.retain_mut(|it| it.as_mut().poll(context).is_pending());
        match pinned.is_empty() {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_have_tags_and_schedules_have_none() {
    let platform = Platform::open().await;
    let tag = |key: &str, value: &str| json!({ "Key": key, "Value": value });
    platform
        .group("g", json!({ "Tags": [tag("k1", "v1")] }))
        .await;
    assert_eq!(platform.tags("g").await, json!([tag("k1", "v1")]));
    let arn = "arn%3Aaws%3Ascheduler%3Aus-east-1%3A123456789012%3Aschedule-group%2F";
    let add = json!({ "Tags": [tag("k2", "v2"), tag("k1", "v3")] });
    let reply = platform
        .call(Method::POST, &format!("/tags/{arn}g"), add.clone())
        .await;
    assert_eq!((reply.status, reply.body), (200, json!({})));
    assert_eq!(
        platform.tags("g").await,
        json!([tag("k1", "v3"), tag("k2", "v2")])
    );
    let untag = format!("/tags/{arn}g?TagKeys=k1&TagKeys=nobodys");
    platform.delete(&untag).await;
    assert_eq!(platform.tags("g").await, json!([tag("k2", "v2")]));
    assert_eq!(platform.tags("default").await, json!([]));
    let unknown = platform
        .call(Method::POST, &format!("/tags/{arn}x"), add.clone())
        .await;
    assert_eq!(
        (unknown.status, unknown.body["Message"].as_str()),
        (404, Some("Schedule group x does not exist."))
    );
    let elsewhere = arn.replace("us-east-1", "eu-west-1");
    assert_eq!(
        platform.get(&format!("/tags/{elsewhere}g")).await.status,
        404
    );
    let schedule =
        "/tags/arn%3Aaws%3Ascheduler%3Aus-east-1%3A123456789012%3Aschedule%2Fdefault%2Fs";
    assert_eq!(platform.get(schedule).await.kind, "ValidationException");
    let system = json!({ "Tags": [tag("aws:x", "v")] });
    assert_eq!(
        platform
            .call(Method::POST, &format!("/tags/{arn}g"), system)
            .await
            .status,
        400
    );
    let many: Vec<Value> = (0..51)
        .map(|number| tag(&number.to_string(), "v"))
        .collect();
    assert_eq!(
        platform.group("h", json!({ "Tags": many })).await.status,
        400
    );
}
