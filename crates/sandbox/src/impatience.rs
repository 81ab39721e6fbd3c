//! An end to yielding. A sandbox that is being built yields to everybody, which costs nothing as long as there is a CPU to
//! spare and could last for ever where there is none: after a while it gets its share.

use std::collections::VecDeque;
use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, TryLockError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use crate::cgroup::Cgroup;

/// How long a sandbox yields. Several times what building takes when others leave half of a CPU, and less than anybody
/// notices who has to wait for it.
const PATIENCE: Duration = Duration::from_millis(20);

/// Watches over sandboxes that are being built.
#[derive(Debug)]
pub(crate) struct Impatience {
    watched: SyncSender<Watched>,
}

struct Watched {
    due: Instant,
    cgroup: Weak<Mutex<Cgroup>>,
}

impl Impatience {
    /// Starts its thread, which ends with the handle. As many sandboxes may be built at a time as are given.
    pub(crate) fn start(max_slots: u32) -> io::Result<Impatience> {
        let (watched, next) = sync_channel(max_slots as usize);
        thread::Builder::new()
            .name("impatience".into())
            .spawn(move || watch(&next))?;
        Ok(Impatience { watched })
    }

    /// From now on it yields for [`PATIENCE`] at most.
    pub(crate) fn watch(&self, cgroup: &Arc<Mutex<Cgroup>>) {
        // The thread lives as long as the handle. When it is so far behind that there is no room, the machine is in a state in
        // which nobody has a CPU to spare; the sandbox goes on when it is ready.
        let _ = self.watched.try_send(Watched {
            due: Instant::now() + PATIENCE,
            cgroup: Arc::downgrade(cgroup),
        });
    }
}

fn watch(next: &Receiver<Watched>) {
    // All have the same patience, so the first is always due first.
    let mut waiting = VecDeque::new();
    loop {
        if waiting.is_empty() {
            match next.recv() {
                Ok(first) => waiting.push_back(first),
                Err(_) => return,
            }
        }
        while let Some(Watched { due, .. }) = waiting.front() {
            let left = due.saturating_duration_since(Instant::now());
            if !left.is_zero() {
                thread::sleep(left);
                waiting.extend(next.try_iter());
            }
            if let Some(first) = waiting.pop_front()
                && !first.hurry()
            {
                let due = Instant::now() + PATIENCE;
                waiting.push_back(Watched { due, ..first });
            }
        }
    }
}

impl Watched {
    /// Whether it yields no more. One that is not made yet does, or that somebody is busy with.
    fn hurry(&self) -> bool {
        let Some(cgroup) = self.cgroup.upgrade() else {
            return true;
        };
        let mut cgroup = match cgroup.try_lock() {
            Ok(cgroup) => cgroup,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return false,
        };
        cgroup.hurry().is_ok()
    }
}
