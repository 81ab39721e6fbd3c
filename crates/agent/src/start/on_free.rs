//! What happens when a started instance has nothing to do: it goes to the request that it was started for, becomes a
//! spare or a provisioned instance, or is idle.

use std::sync::Arc;

use parking_lot::Mutex;
use pilotlight_sandbox::Lesson;

use crate::agent::Node;
use crate::instance::Instance;
use crate::pool::{Done, Ticket, Worth};
use crate::runtime_api::{OnFree, Then, Via};

/// Tells the pool when the runtime has nothing to do.
pub(super) struct Free {
    node: Arc<Node>,
    ticket: Ticket,
}

impl Free {
    pub(super) fn of(node: &Arc<Node>, ticket: Ticket) -> Arc<dyn OnFree> {
        Arc::new(Self {
            node: Arc::clone(node),
            ticket,
        })
    }
}

impl OnFree for Free {
    fn free(&self, instance: &Arc<Instance>, first: bool, _via: Via, _then: Then) {
        released(&self.node, instance, first.then_some(self.ticket));
    }
}

/// The instance has nothing to do: after its start, or because it has answered.
pub(crate) fn released(node: &Arc<Node>, instance: &Arc<Instance>, started_for: Option<Ticket>) {
    let answered = started_for.is_none();
    node.pool.release(instance, started_for);
    if answered && instance.serves_first() {
        let (node, instance) = (Arc::clone(node), Arc::clone(instance));
        let handle = node.handle.clone();
        handle.spawn_blocking(move || teach(&node, &instance, Lesson::Served));
    }
}

/// Has the template that it was forked from learn what forks need first. Blocks.
fn teach(node: &Node, instance: &Instance, lesson: Lesson) {
    let process = instance.process();
    if process.is_some_and(|process| process.teach_template(lesson)) {
        node.ladder.taught(&instance.spec);
    }
}

/// Lets a provisioned instance serve when it is initialised.
pub(super) struct Ready {
    node: Arc<Node>,
}

impl Ready {
    pub(super) fn of(node: &Arc<Node>) -> Arc<dyn OnFree> {
        Arc::new(Self {
            node: Arc::clone(node),
        })
    }
}

impl OnFree for Ready {
    fn free(&self, instance: &Arc<Instance>, first: bool, _via: Via, _then: Then) {
        if !first {
            return released(&self.node, instance, None);
        }
        instance.made_ahead();
        self.node.pool.provisioned_ready(instance);
    }
}

/// Puts a spare into the pool when it is ready.
pub(super) struct Stock {
    node: Arc<Node>,
    /// Who ordered it. Locked to take it, once.
    done: Mutex<Option<Done>>,
}

impl Stock {
    pub(super) fn of(node: &Arc<Node>, done: Done) -> Arc<dyn OnFree> {
        Arc::new(Self {
            node: Arc::clone(node),
            done: Mutex::new(Some(done)),
        })
    }
}

impl OnFree for Stock {
    fn free(&self, instance: &Arc<Instance>, first: bool, _via: Via, _then: Then) {
        let Some(done) = self.done.lock().take().filter(|_| first) else {
            return released(&self.node, instance, None);
        };
        let (node, instance) = (Arc::clone(&self.node), Arc::clone(instance));
        let measure = move || {
            let bytes = instance
                .process()
                .map_or(0, |process| process.private_bytes());
            let saves = instance.restore_length();
            node.ladder.spare_made(&instance.spec);
            teach(&node, &instance, Lesson::Restored);
            node.pool.stock(&instance, Worth { bytes, saves });
            drop(done);
        };
        self.node.handle.spawn_blocking(measure);
    }
}
