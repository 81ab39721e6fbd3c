//! Templates: frozen programs that are forked into instances.
//!
//! A program that waits, with all of its threads, is stopped once and taken stock of; from then on it only serves to be
//! copied. The copy is the kernel's own, so that it takes the time of copying page tables and shares all memory until it is
//! written to. What a copy lacks (threads, and whatever must not be shared) it makes itself, by a tape that was written when
//! the template was frozen. Nothing in a template, nor in its forks, has a privilege at any time when code of a function
//! can run there. See ADR 6.

pub(crate) mod berth;
pub(crate) mod builders;
pub(crate) mod descriptors;
mod elf;
pub(crate) mod freeze;
pub(crate) mod memory;
pub(crate) mod refusal;
pub(crate) mod region;
pub(crate) mod renew;
mod reseed;
pub(crate) mod scripts;
mod stem;
pub(crate) mod tape;
mod temporary;
pub(crate) mod threads;
mod touches;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};

use rustix::process::{Signal, pidfd_send_signal};
use tokio::task::spawn_blocking;

pub use self::berth::{Berth, ForkError, Furnishing};
pub use self::builders::Demand;
use self::memory::{Memory, private_bytes};
pub use self::refusal::{FreezeError, Refusal};
use self::scripts::ANSWER_BYTES;
use self::stem::Places;
pub use self::touches::Lesson;
use self::touches::{Learned, Touches};
use crate::channel::Channel;
use crate::error::SlotError;
use crate::identity::IdMap;
use crate::process::{Exit, Living};

/// A frozen program. When the last handle and the last berth are gone it is killed; what was forked from it lives on.
#[derive(Debug, Clone)]
pub struct Template(Arc<Frozen>);

#[derive(Debug)]
pub(crate) struct Frozen {
    living: Arc<Living>,
    pidfd: OwnedFd,
    memory: Memory,
    /// Talks with the leader. Held for one order and its answer, by threads that may block.
    leader: Mutex<Channel>,
    /// Its namespaces: user, and PID.
    namespaces: [OwnedFd; 2],
    /// The ids that the namespaces of its forks may have.
    ids: IdMap,
    /// The address of the forks' tape.
    fork: u64,
    has_request_socket: bool,
    /// For stems.
    places: Places,
    /// What its forks touch first, as far as one of them has taught it.
    learned: Learned,
}

impl Template {
    /// A sandbox with a fork that waits for its start. Takes milliseconds, and a CPU: not on the path of a start, if that can
    /// be helped. As many are built at a time for each demand as there are CPUs; further ones wait.
    ///
    /// # Errors
    /// The template is dead, or a sandbox cannot be built.
    pub async fn berth(&self, demand: Demand) -> Result<Berth, SlotError> {
        let frozen = Arc::clone(&self.0);
        let node = Arc::clone(frozen.living.sandbox.node());
        let permit = node.berths.permit(demand).await;
        let built = spawn_blocking(move || {
            let built = Berth::build(frozen, demand);
            drop(permit);
            built
        });
        built
            .await
            .map_err(|error| SlotError::Channel(io::Error::other(error)))?
    }

    /// Resolves when it has died. The same again and again.
    pub async fn died(&self) -> Exit {
        self.0.living.wait().await
    }

    /// Memory that it shares with nobody: not with what it was forked from, nor with its forks, in bytes. Blocks for as long
    /// as it takes to look through its page tables.
    ///
    /// # Errors
    /// It is dead.
    pub fn private_bytes(&self) -> io::Result<u64> {
        private_bytes(self.0.living.pid)
    }

    /// Its process id on the host.
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.0.living.pid
    }
}

impl Frozen {
    /// Has the leader carry out an order; returns the words of its answer. A leader that does not answer is killed: a late
    /// answer would be taken for that to the next order. Blocks.
    fn order(&self, order: &[u8], descriptors: &[OwnedFd]) -> io::Result<[u64; 4]> {
        let answer = self.ask(order, descriptors);
        answer.inspect_err(|_| self.kill())
    }

    fn ask(&self, order: &[u8], descriptors: &[OwnedFd]) -> io::Result<[u64; 4]> {
        let descriptors: Vec<_> = descriptors.iter().map(OwnedFd::as_fd).collect();
        let leader = self.leader.lock().unwrap_or_else(PoisonError::into_inner);
        leader.send(order, &descriptors)?;
        let mut answer = [0; ANSWER_BYTES];
        if leader.receive(&mut answer)?.length != ANSWER_BYTES {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut words = [0; 4];
        for (word, bytes) in words.iter_mut().zip(answer.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
        Ok(words)
    }

    /// From now on its forks are given ahead what that one has touched, if it has not learned as much before: the first to
    /// be asked is as good as any. Returns whether it has.
    pub(crate) fn learn_from(&self, pid: i32, lesson: Lesson) -> io::Result<bool> {
        if !self.learned.begin(lesson) {
            return Ok(false);
        }
        Ok(self.learned.put(lesson, Touches::of(pid)?))
    }

    /// Its init stays for as long as there are forks.
    fn kill(&self) {
        // It may have died already.
        let _ = pidfd_send_signal(&self.pidfd, Signal::KILL);
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        self.kill();
    }
}
