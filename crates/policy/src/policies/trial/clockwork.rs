//! How the small node works: what is due, and what it does as it is told.

use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

use super::{Due, MEMORY, Served, There, Trial};
use crate::action::Action;
use crate::event::{Event, Held, Idle, Started, Starting};
use crate::{Bytes, NodeId, Ticket, VersionId, later};

impl Trial {
    pub(super) fn memory_of(&self, version: VersionId) -> Bytes {
        self.memory.get(&version).copied().unwrap_or(MEMORY)
    }

    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn idle_of(&self, version: VersionId) -> Option<InstanceId> {
        let idle = |there: &There| there.idle && there.version == version;
        self.instances
            .iter()
            .find(|(_, there)| idle(there))
            .map(|(instance, _)| *instance)
    }

    /// What is due by then, and ticks before: a request that comes when a tick is due comes first.
    pub(super) fn settle(&mut self, end: Instant) {
        loop {
            let due = self
                .due
                .first_key_value()
                .map(|((at, _), _)| *at)
                .filter(|at| *at <= end);
            let tick = self.policy.wake_at().filter(|at| *at < end);
            let Some(at) = [due, tick].into_iter().flatten().min() else {
                return;
            };
            self.now = self.now.max(at);
            if due == Some(at) {
                let Some((_, due)) = self.due.pop_first() else {
                    return;
                };
                match due {
                    Due::Ready(instance, ticket) => self.ready(instance, ticket),
                    Due::Done(instance) => self.done(instance),
                }
            } else {
                self.tick();
            }
        }
    }

    pub(crate) fn tick(&mut self) {
        self.tell(Event::Tick);
        let next = self.policy.wake_at();
        assert!(
            next.is_none_or(|next| next > self.now),
            "what was due is done after a tick"
        );
    }

    fn ready(&mut self, instance: InstanceId, ticket: Option<Ticket>) {
        let kind = StartKind::Zygote;
        self.tell(Event::Started(Started {
            instance,
            kind,
            took: self.start,
        }));
        let waits = self
            .waiting
            .iter()
            .find(|(waiting, _, _)| Some(*waiting) == ticket)
            .copied();
        match waits {
            Some(waits) => {
                self.waiting.remove(&waits);
                self.tell(Event::Left(waits.0));
                self.takes.insert(waits.1, waits.2);
                self.serve(instance, Served::Cold);
            }
            None => self.rest(instance),
        }
    }

    fn done(&mut self, instance: InstanceId) {
        let Some(there) = self.instances.get(&instance).copied() else {
            return;
        };
        let waits = self
            .waiting
            .iter()
            .find(|(_, version, _)| *version == there.version)
            .copied();
        self.rest(instance);
        if let Some(waits) = waits
            && self.instances.contains_key(&instance)
        {
            self.waiting.remove(&waits);
            self.tell(Event::Left(waits.0));
            self.takes.insert(waits.1, waits.2);
            self.serve(instance, Served::Late);
        }
    }

    fn rest(&mut self, instance: InstanceId) {
        let Some(there) = self.instances.get_mut(&instance) else {
            return;
        };
        there.idle = true;
        let memory = self.memory_of(self.instances[&instance].version);
        self.tell(Event::Idle(Idle { instance, memory }));
    }

    pub(super) fn serve(&mut self, instance: InstanceId, served: Served) {
        let there = self.instances.get_mut(&instance).unwrap();
        there.idle = false;
        let takes = self.takes[&there.version];
        self.served.push(served);
        let done = (later(self.now, takes), self.number());
        self.due.insert(done, Due::Done(instance));
        self.tell(Event::Busy(instance));
    }

    pub(super) fn tell(&mut self, event: Event) {
        let mut actions = Vec::new();
        self.policy.observe(self.now, event, &mut actions);
        for action in actions {
            self.said.push((self.now.0, action));
            self.follow(action);
        }
    }

    fn follow(&mut self, action: Action) {
        match action {
            Action::Reclaim { instance, .. } => {
                let there = self.instances.remove(&instance);
                assert!(
                    there.is_some_and(|there| there.idle),
                    "{action:?} of what is not idle"
                );
            }
            Action::Strip { instance, rung } => {
                let there = self.instances.remove(&instance);
                let there = there.expect("only what is there is stripped");
                assert!(there.idle, "{action:?} of what is not idle");
                self.held(there.version, there.node, rung);
            }
            Action::Hold {
                version,
                node,
                rung,
                ..
            } => self.held(version, node, rung),
            Action::PreStart {
                version,
                node,
                instances,
                ..
            } => {
                (0..instances).for_each(|_| self.start(version, node, None));
            }
            Action::Start { ticket, node } => {
                let waits = self
                    .waiting
                    .iter()
                    .find(|(waiting, _, _)| *waiting == ticket);
                let version = waits.expect("only who waits gets a start").1;
                self.start(version, node, Some(ticket));
            }
        }
    }

    fn held(&mut self, version: VersionId, node: NodeId, rung: Rung) {
        if rung > Rung::Cached {
            self.tell(Event::Held(Held {
                version,
                node,
                rung,
                memory: Bytes::mib(20),
                took: Duration::from_millis(50),
            }));
        } else {
            self.tell(Event::Lost {
                version,
                node,
                rung: Rung::Zygote,
            });
        }
    }

    fn start(&mut self, version: VersionId, node: NodeId, ticket: Option<Ticket>) {
        let instance = InstanceId(self.number());
        self.instances.insert(
            instance,
            There {
                version,
                node,
                idle: false,
            },
        );
        self.tell(Event::Starting(Starting {
            instance,
            version,
            node,
            ticket,
        }));
        let ready = (later(self.now, self.start), self.number());
        self.due.insert(ready, Due::Ready(instance, ticket));
    }
}
