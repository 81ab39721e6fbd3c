//! Schedules through their API, and what comes of them, with time moved by hand.

mod api;
mod firings;
mod groups;

use std::time::Duration;

use http::Method;
use serde_json::{Value, json};

use crate::harness::{ARN, Platform, Reply, until};

const SCHEDULER: &str = "arn:aws:scheduler:us-east-1:123456789012";
const ROLE: &str = "arn:aws:iam::123456789012:role/r";

impl Platform {
    async fn schedule(&self, name: &str, change: impl FnOnce(&mut Value)) -> Reply {
        self.put(Method::POST, name, change).await
    }

    async fn put(&self, method: Method, name: &str, change: impl FnOnce(&mut Value)) -> Reply {
        let mut body = json!({
            "ScheduleExpression": "rate(1 minute)",
            "FlexibleTimeWindow": { "Mode": "OFF" },
            "Target": { "Arn": format!("{ARN}f"), "RoleArn": ROLE },
        });
        change(&mut body);
        self.call(method, &format!("/schedules/{name}"), body).await
    }

    async fn scheduled(&self, name: &str, change: impl FnOnce(&mut Value)) {
        let reply = self.schedule(name, change).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
    }

    async fn schedule_names(&self, query: &str) -> Vec<String> {
        let reply = self.get(&format!("/schedules?{query}")).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        let schedules = reply.body["Schedules"].as_array().unwrap().clone();
        schedules
            .iter()
            .map(|it| it["Name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until there have been so many firings.
    async fn fired(&self, count: u64) {
        let fired = || self.control.metrics().schedules_fired.get();
        until(|| async { (fired() >= count).then_some(()) }).await;
    }

    /// Waits until the function has been called so often; the events that it was given.
    async fn called(&self, count: usize) -> Vec<Value> {
        until(|| async { (self.node.invoked.lock().len() >= count).then_some(()) }).await;
        let invoked = self.node.invoked.lock();
        let event = |payload: &[u8]| serde_json::from_slice(payload).unwrap();
        invoked.iter().map(|it| event(&it.payload)).collect()
    }

    fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }
}
