//! The subscribers of one instance, and what those may still be told who subscribe during init.

use std::sync::Arc;

use pilotlight_sandbox::network::NetNs;
use serde_json::{Value, json};
use time::OffsetDateTime;

use super::delivery::Delivery;
use super::{Api, Subscription, Told};
use crate::logs::Source;
use crate::platform_events::{PlatformEvent, envelope};

/// Bytes and events of an init that are kept for who subscribes during it.
const EARLY_BYTES: usize = 256 * 1024;
const EARLY_EVENTS: usize = 1_000;
/// Subscriptions of one process. Each may take the place of another, and is told again what was told before it: no
/// flood of them is to cost the node more than its sender.
const SUBSCRIPTIONS: usize = 100;

/// Where an instance's events go beside its log.
#[derive(Default)]
pub(crate) struct Hub {
    /// What has been told since the process began, while anybody may subscribe.
    early: Option<Early>,
    subscribers: Vec<Subscriber>,
}

#[derive(Default)]
struct Early {
    told: Vec<(OffsetDateTime, Told)>,
    bytes: usize,
    /// How often anybody has subscribed.
    subscriptions: usize,
}

struct Subscriber {
    name: String,
    subscription: Subscription,
    delivery: Delivery,
}

impl Hub {
    /// A process begins: nobody has subscribed, and everybody may.
    pub(crate) fn open(&mut self) {
        *self = Self {
            early: Some(Early::default()),
            subscribers: Vec::new(),
        };
    }

    /// The init phase is over: nobody subscribes any more.
    pub(crate) fn close(&mut self) {
        self.early = None;
    }

    /// Everything that waits is sent at once from now on.
    pub(crate) fn flush(&self) {
        for subscriber in &self.subscribers {
            subscriber.delivery.flush();
        }
    }

    /// Whether there is somebody to tell, or may be.
    pub(crate) fn listens(&self) -> bool {
        self.early.is_some() || !self.subscribers.is_empty()
    }

    /// That extension subscribes, and hears what was told before it came; another subscription of its own ends. False
    /// when it comes too late, or after too many.
    pub(crate) fn subscribe(
        &mut self,
        name: &str,
        subscription: Subscription,
        inside: Arc<NetNs>,
    ) -> bool {
        let Some(early) = &mut self.early else {
            return false;
        };
        if early.subscriptions >= SUBSCRIPTIONS {
            return false;
        }
        early.subscriptions += 1;
        let subscriber = Subscriber {
            name: name.to_owned(),
            delivery: Delivery::start(&subscription, inside),
            subscription,
        };
        for (at, told) in &early.told {
            subscriber.tell(*at, told);
        }
        self.subscribers.retain(|it| it.name != name);
        self.subscribers.push(subscriber);
        true
    }

    /// Tells all who want to know.
    pub(crate) fn tell(&mut self, at: OffsetDateTime, told: Told) {
        for subscriber in &self.subscribers {
            subscriber.tell(at, &told);
        }
        if let Some(early) = &mut self.early {
            let bytes = match &told {
                Told::Event(_) => 256,
                Told::Line(_, line) => line.len(),
            };
            if early.told.len() < EARLY_EVENTS && early.bytes + bytes <= EARLY_BYTES {
                early.bytes += bytes;
                early.told.push((at, told));
            }
        }
    }
}

impl Subscriber {
    fn tell(&self, at: OffsetDateTime, told: &Told) {
        let wanted = match told {
            Told::Event(_) => self.subscription.platform,
            Told::Line(Source::Function, _) => self.subscription.function,
            Told::Line(Source::Extension, _) => self.subscription.extension,
        };
        if !wanted {
            return;
        }
        match (told, self.subscription.api) {
            (Told::Line(source, line), _) => {
                let record = self.line(line);
                let event = envelope(at, source.as_str(), record);
                self.delivery.push(event.to_string(), false);
            }
            (Told::Event(event), Api::Telemetry) => {
                let told = envelope(at, event.name(), event.record());
                // Parsers that are older than restores take no offence at what they are not sent.
                self.delivery.push(told.to_string(), event.is_restore());
            }
            (Told::Event(event), Api::Logs) => {
                for told in of_the_logs_api(at, event) {
                    self.delivery.push(told.to_string(), false);
                }
            }
        }
    }

    fn line(&self, line: &str) -> Value {
        if self.subscription.objects
            && line.starts_with('{')
            && let Ok(object @ Value::Object(_)) = serde_json::from_str(line)
        {
            return object;
        }
        json!(format!("{line}\n"))
    }
}

/// The Logs API is older than events of the init phase, and has one for a request's end.
fn of_the_logs_api(at: OffsetDateTime, event: &PlatformEvent) -> Vec<Value> {
    let told = envelope(at, event.name(), event.record());
    match event {
        PlatformEvent::Start { .. }
        | PlatformEvent::RuntimeDone(_)
        | PlatformEvent::Extension(_)
        | PlatformEvent::Subscribed { .. } => vec![told],
        PlatformEvent::Report(report) => {
            let end = json!({ "requestId": report.request });
            vec![envelope(at, "platform.end", end), told]
        }
        _ => Vec::new(),
    }
}
