//! Fixed keep-alive: an idle instance is kept for as long as its version's owner wants, or else for one
//! time that is the same for all.
//!
//! What AWS Lambda and Azure Functions are reported to do, with 10 and 20 minutes: Shahrad et al.,
//! "Serverless in the Wild", USENIX ATC 2020, section 2. When a node needs room, the longest idle go first.

use std::time::Duration;

use pilotlight_model::start::Instant;

use super::Entry;
use super::time_to_live::{Rule, TimeToLive};
use crate::action::Action;
use crate::books::{Books, Instance, Seen};
use crate::event::Event;
use crate::{Policy, later};

/// How long idle instances are kept unless something else is said.
pub const KEEP_ALIVE: Duration = Duration::from_secs(10 * 60);

pub(super) const ENTRY: Entry = Entry {
    name: "fixed",
    usage: "fixed[:KEEP_ALIVE]",
    summary: "keeps each idle instance for the same time, 10m unless said otherwise",
    on_node: None,
    make: |parameters| Ok(Box::new(fixed(parameters.time("")?.unwrap_or(KEEP_ALIVE)))),
};

/// The policy, with what it keeps those instances for whose owner says nothing.
pub fn fixed(keep_alive: Duration) -> impl Policy {
    TimeToLive::new(Fixed { keep_alive })
}

#[derive(Debug)]
struct Fixed {
    keep_alive: Duration,
}

impl Rule for Fixed {
    fn observe(&mut self, _: Instant, _: &Event, _: &Seen, _: &Books, _: &mut Vec<Action>) {}

    fn keep_until(&mut self, now: Instant, at: &Instance, _: bool, books: &Books) -> Instant {
        let version = books.version(at.version);
        later(now, version.keep_alive.unwrap_or(self.keep_alive))
    }
}

#[cfg(test)]
mod tests {
    use super::super::trial::{MEMORY, Served, Trial};
    use crate::Bytes;

    /// By hand: 10 minutes from the end of each request; the third request finds nothing.
    #[test]
    fn keeps_each_instance_from_the_end_of_its_request() {
        let mut trial = Trial::named("fixed");
        trial.request(0, 0, 30);
        trial.request(629, 0, 1);
        trial.request(1_231, 0, 0);
        trial.until(5_000);
        assert_eq!(trial.served, [Served::Cold, Served::Warm, Served::Cold]);
        assert_eq!(trial.ended(), [1_230.0, 1_831.0]);
    }

    #[test]
    fn an_owner_has_the_last_word() {
        let mut trial = Trial::named("fixed:1m");
        trial.deploy(0, MEMORY, Some(300));
        trial.deploy(1, MEMORY, Some(0));
        (0..3).for_each(|version| trial.request(0, version, 1));
        trial.until(5_000);
        assert_eq!(trial.ended(), [1.0, 61.0, 301.0]);
    }

    #[test]
    fn the_longest_idle_give_way_to_a_start_that_needs_room() {
        let mut trial = Trial::named("fixed");
        (0..3).for_each(|number| trial.request(u64::from(number), number, 0));
        trial.request(10, 2, 100);
        trial.until(20);
        trial.pressure(0, Bytes::mib(50));
        assert_eq!((trial.idle(0), trial.idle(1)), (0, 1));
        trial.pressure(0, Bytes::mib(500));
        assert_eq!(trial.idle(1), 0);
        trial.until(111);
        assert_eq!(trial.idle(2), 1, "what ran was left alone");
    }
}
