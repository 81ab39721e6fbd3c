//! Fixed keep-alive, as small as can be: what all others are related to.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;
use pilotlight_policy::action::Because;
use pilotlight_policy::{Action, Event, NodeId, Policy};

/// Ends an instance that has been idle for so long; starts at once where none is idle. Under pressure, the
/// instances that have been idle longest go.
#[derive(Debug)]
pub struct Fixed {
    keep_alive: Duration,
    since: HashMap<InstanceId, (Instant, u64)>,
    by_age: BTreeSet<(Instant, InstanceId)>,
}

impl Fixed {
    /// The policy with that keep-alive.
    pub fn new(keep_alive: Duration) -> Self {
        Self {
            keep_alive,
            since: HashMap::new(),
            by_age: BTreeSet::new(),
        }
    }

    fn forget(&mut self, instance: InstanceId) -> u64 {
        let Some((since, memory)) = self.since.remove(&instance) else {
            return 0;
        };
        self.by_age.remove(&(since, instance));
        memory
    }

    fn until(&self, since: Instant) -> Instant {
        let keep = u64::try_from(self.keep_alive.as_nanos()).unwrap_or(u64::MAX);
        Instant(since.0.saturating_add(keep))
    }
}

impl Policy for Fixed {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Idle(idle) => {
                self.since.insert(idle.instance, (now, idle.memory.0));
                self.by_age.insert((now, idle.instance));
            }
            Event::Busy(instance) | Event::Gone(instance) => {
                self.forget(instance);
            }
            Event::Waits(waits) => actions.push(Action::Start {
                ticket: waits.ticket,
                node: NodeId(0),
            }),
            Event::Pressure { shortage, .. } => {
                let mut freed = 0;
                while freed < shortage.memory.0 {
                    let Some(&(_, instance)) = self.by_age.first() else {
                        break;
                    };
                    freed += self.forget(instance);
                    actions.push(Action::Reclaim {
                        instance,
                        because: Because::Pressure,
                    });
                }
            }
            Event::Tick => {
                while let Some(&(since, instance)) = self.by_age.first()
                    && self.until(since) <= now
                {
                    self.forget(instance);
                    actions.push(Action::Reclaim {
                        instance,
                        because: Because::Expired,
                    });
                }
            }
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.by_age.first().map(|&(since, _)| self.until(since))
    }
}
