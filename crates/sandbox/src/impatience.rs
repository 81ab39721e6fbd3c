//! An end to yielding. A sandbox that is being built yields to everybody, which costs nothing as long as there is a CPU to
//! spare and could last for ever where there is none: after a while it gets its share.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;

/// How long a sandbox yields. Several times what building takes when others leave half of a CPU, and less than anybody
/// notices who has to wait for it.
const PATIENCE: Duration = Duration::from_millis(20);

/// Between tries where a control group is not made yet, which takes less than the patience but on a machine that is badly
/// overloaded.
const PAUSE: Duration = Duration::from_millis(5);
const MAX_TRIES: u32 = 1000;

/// Watches over sandboxes that are being built.
#[derive(Debug)]
pub(crate) struct Impatience {
    watched: Sender<Watched>,
}

struct Watched {
    since: Instant,
    cgroup: Weak<Mutex<Cgroup>>,
}

impl Impatience {
    /// Starts its thread, which ends with the handle.
    pub(crate) fn start() -> io::Result<Impatience> {
        let (watched, next) = channel();
        thread::Builder::new()
            .name("impatience".into())
            .spawn(move || watch(&next))?;
        Ok(Impatience { watched })
    }

    /// From now on it yields for [`PATIENCE`] at most.
    pub(crate) fn watch(&self, cgroup: &Arc<Mutex<Cgroup>>) {
        // The thread lives as long as the handle.
        let _ = self.watched.send(Watched {
            since: Instant::now(),
            cgroup: Arc::downgrade(cgroup),
        });
    }
}

fn watch(next: &Receiver<Watched>) {
    for Watched { since, cgroup } in next {
        // All have the same patience, so the first is always due first.
        let due = since + PATIENCE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        for _ in 0..MAX_TRIES {
            let Some(cgroup) = cgroup.upgrade() else {
                break;
            };
            let hurried = cgroup
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .hurry();
            if hurried.is_ok() {
                break;
            }
            drop(cgroup);
            thread::sleep(PAUSE);
        }
    }
}
