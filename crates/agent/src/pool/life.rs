//! The pool's own life: its clock, and its end.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;
use crate::clock;

impl Pool {
    /// Runs the clock of the policy and of what is provisioned; never ends by itself.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            let rings_at = self.decide(|state, _| {
                let now = clock::now();
                state.mind.tick(now);
                let provisions = state.provisions.wake_at(now);
                [state.mind.rings_at(), provisions]
                    .into_iter()
                    .flatten()
                    .min()
            });
            self.pump();
            let pause = rings_at.map(|at| at.since(clock::now()));
            tokio::select! {
                () = sleep_or_never(pause) => {}
                () = self.clock_changed.notified() => {}
            }
        }
    }

    /// Whether the node takes no more requests.
    pub(crate) fn is_draining(&self) -> bool {
        self.state.lock().draining
    }

    /// From now on nothing is started or accepted; idle instances end, and who waits is sent away.
    pub(crate) fn drain(self: &Arc<Self>) {
        self.decide(|state, effects| state.drain(effects));
    }

    /// Ends every instance, whatever it does.
    pub(crate) fn kill_all(&self) {
        let occupants: Vec<_> = {
            let mut state = self.state.lock();
            state.killing = true;
            let members = state.members.values();
            members
                .filter_map(|member| member.occupant.clone())
                .collect()
        };
        for occupant in occupants {
            occupant.stop();
        }
    }

    /// Resolves when no instance is left.
    pub(crate) async fn emptied(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.state.lock().members.is_empty() {
                return;
            }
            emptied.await;
        }
    }
}

async fn sleep_or_never(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
