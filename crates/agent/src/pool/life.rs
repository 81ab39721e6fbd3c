//! The pool's own life: its clock, and its end.

use std::sync::Arc;
use std::time::Duration;

use super::Pool;

/// A policy that wants to be woken at once is woken so soon: it cannot keep the node busy with it.
const SHORTEST: Duration = Duration::from_millis(1);

impl Pool {
    /// Runs the clock of the policy and of what is provisioned; never ends by itself.
    pub(crate) async fn keep_time(self: Arc<Self>) {
        loop {
            self.decide(|state, effects| {
                state.start_ahead(effects);
                state.mind.tick(state.now, state.ahead.next());
            });
            self.pump();
            let pause = {
                let state = self.lock();
                let provisions = state.provisions.wake_at(state.now);
                let rings_at = [state.mind.rings_at(), provisions];
                let next = rings_at.into_iter().flatten().min();
                next.map(|at| at.since(state.now).max(SHORTEST))
            };
            tokio::select! {
                () = sleep_or_never(pause) => {}
                () = self.clock_changed.notified() => {}
            }
        }
    }

    /// Whether the node takes no more requests.
    pub(crate) fn is_draining(&self) -> bool {
        self.lock().draining
    }

    /// From now on nothing is started or accepted; idle instances end, and who waits is sent away.
    pub(crate) fn drain(self: &Arc<Self>) {
        self.decide(|state, effects| state.drain(effects));
    }

    /// Ends every instance, whatever it does.
    pub(crate) fn kill_all(&self) {
        let occupants: Vec<_> = {
            let mut state = self.lock();
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
            if self.lock().members.is_empty() {
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
