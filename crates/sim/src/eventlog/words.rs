//! Events and actions in words, for people.

use std::collections::HashMap;
use std::fmt::Write;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;
use pilotlight_policy::action::{Because, Source};
use pilotlight_policy::{Action, Event, Ticket, VersionId};

/// Tells of versions, and of their instances and requests, by the versions' names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Words {
    names: HashMap<VersionId, String>,
    instances: HashMap<InstanceId, VersionId>,
    requests: HashMap<Ticket, VersionId>,
    ended: Option<Ended>,
}

/// What the last event was the end of.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Ended {
    Instance(InstanceId),
    Request(Ticket),
}

impl Words {
    /// From now on a version is called that.
    pub fn name(&mut self, version: VersionId, name: String) {
        self.names.insert(version, name);
    }

    /// Learns whose instances and requests there are. What is no more stays known until the next event, since words
    /// are of the last.
    pub fn hear(&mut self, event: &Event) {
        match self.ended.take() {
            Some(Ended::Instance(instance)) => drop(self.instances.remove(&instance)),
            Some(Ended::Request(ticket)) => drop(self.requests.remove(&ticket)),
            None => {}
        }
        match event {
            Event::Gone(instance) => self.ended = Some(Ended::Instance(*instance)),
            Event::Left(ticket) => self.ended = Some(Ended::Request(*ticket)),
            Event::Starting(it) => {
                self.instances.insert(it.instance, it.version);
            }
            Event::Waits(it) => {
                self.requests.insert(it.ticket, it.version);
            }
            _ => {}
        }
    }

    /// What was ordered ended those instances.
    pub fn obey(&mut self, actions: &[Action]) {
        for action in actions {
            if let Action::Reclaim { instance, .. } | Action::Strip { instance, .. } = action {
                self.instances.remove(instance);
            }
        }
    }

    /// What happened.
    pub fn event(&self, event: &Event) -> String {
        let name = |version| self.named(version);
        match event {
            Event::Node(room) => format!(
                "node {} has {} and room for {} instances",
                room.node.0, room.memory, room.instances
            ),
            Event::Deployed(it) => format!("{} was deployed", name(it.version)),
            Event::Retired(version) => format!("{} was deleted", name(*version)),
            Event::Arrived(it) => format!("{} requests for {} came", it.requests, name(it.version)),
            Event::Waits(it) => format!(
                "request {} for {} found no idle instance",
                it.ticket.0,
                name(it.version)
            ),
            Event::Left(ticket) => format!("{} waited no longer", self.request(*ticket)),
            Event::Starting(it) => format!(
                "instance {} of {} began to start",
                it.instance,
                name(it.version)
            ),
            Event::Started(it) => format!("{} was ready, {}", self.instance(it.instance), it.kind),
            Event::Idle(it) => format!("{} became idle", self.instance(it.instance)),
            Event::Measured(it) => format!(
                "{} was found to take {}",
                self.instance(it.instance),
                it.memory
            ),
            Event::Busy(instance) => format!("{} got a request", self.instance(*instance)),
            Event::Gone(instance) => format!("{} was no more", self.instance(*instance)),
            Event::Held(it) => format!("{} had its {}", name(it.version), it.rung),
            Event::Lost { version, rung, .. } => format!("{} lost its {rung}", name(*version)),
            Event::Refused { version, rung, .. } => {
                format!("{} can have no {rung}", name(*version))
            }
            Event::Shift(it) => format!(
                "{} of the requests of {} go to {}",
                it.part,
                name(it.from),
                name(it.to)
            ),
            Event::Calls(it) => format!(
                "{} was declared to call {}",
                name(it.caller),
                name(it.callee)
            ),
            Event::Announced(it) => format!(
                "{} requests for {} were announced for {}",
                it.requests,
                name(it.version),
                seconds(it.at)
            ),
            Event::Pressure {
                node,
                shortage,
                template,
            } => {
                let whom = template.map(|it| format!(" for a template of {}", name(it)));
                format!(
                    "node {} lacked {} and room for {} instances{}",
                    node.0,
                    shortage.memory,
                    shortage.instances,
                    whom.unwrap_or_default()
                )
            }
            Event::Tick => "time had passed".to_owned(),
        }
    }

    /// What was ordered, in its order.
    pub fn actions(&self, actions: &[Action]) -> String {
        let words: Vec<String> = actions.iter().map(|action| self.action(action)).collect();
        match words.is_empty() {
            true => "nothing".to_owned(),
            false => words.join("; "),
        }
    }

    fn action(&self, action: &Action) -> String {
        match action {
            Action::Reclaim { instance, because } => {
                format!("end {}, {}", self.instance(*instance), self.reason(because))
            }
            Action::Strip { instance, rung } => {
                format!("keep of {} its {rung}", self.instance(*instance))
            }
            Action::Hold {
                version,
                node,
                rung,
                because,
            } => format!(
                "hold {} on node {} as {rung}, {}",
                self.named(*version),
                node.0,
                self.reason(because)
            ),
            Action::PreStart {
                version,
                node,
                instances,
                by,
                because,
            } => format!(
                "have {instances} of {} ready on node {} by {}, {}",
                self.named(*version),
                node.0,
                seconds(*by),
                self.reason(because)
            ),
            Action::Start { ticket, node } => {
                format!("start one for {} on node {}", self.request(*ticket), node.0)
            }
        }
    }

    fn reason(&self, because: &Because) -> String {
        match because {
            Because::Expired => "its time is over".to_owned(),
            Because::Pressure => "its room is needed".to_owned(),
            Because::Worth => "its memory saves more elsewhere".to_owned(),
            Because::Forecast(it) => {
                let mut words = format!(
                    "a request is expected from {} to {} ({:.0} %",
                    seconds(it.from),
                    seconds(it.until),
                    it.confidence * 100.0
                );
                let _ = match it.by {
                    Source::Gaps => write!(words, ", by gaps)"),
                    Source::Period => write!(words, ", by a period)"),
                    Source::Call(caller) => write!(words, ", called by {})", self.named(caller)),
                    Source::Shift(from) => write!(words, ", shifted from {})", self.named(from)),
                    Source::Announced => write!(words, ", announced)"),
                };
                words
            }
        }
    }

    fn instance(&self, instance: InstanceId) -> String {
        match self.instances.get(&instance) {
            Some(version) => format!("instance {instance} of {}", self.named(*version)),
            None => format!("instance {instance}"),
        }
    }

    fn request(&self, ticket: Ticket) -> String {
        match self.requests.get(&ticket) {
            Some(version) => format!("request {} for {}", ticket.0, self.named(*version)),
            None => format!("request {}", ticket.0),
        }
    }

    fn named(&self, version: VersionId) -> String {
        let known = self.names.get(&version).cloned();
        known.unwrap_or_else(|| format!("version {}", version.0))
    }
}

fn seconds(at: Instant) -> String {
    format!("{:.3} s", at.0 as f64 / 1e9)
}
