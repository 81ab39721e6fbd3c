//! When each step of an instance's start ended, to be written on the waterfall of its first request.

use std::time::Duration;

use pilotlight_model::start::{Instant, Phase, Timeline};

use crate::launcher::Marks;

/// What a runtime says about its own init, in CLOCK_MONOTONIC; absent from runtimes that are not
/// ours.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct InitMarks {
    /// It was about to run the first line of the user's code.
    pub(crate) ready: Option<Instant>,
    /// The user's code was done.
    pub(crate) user_done: Option<Instant>,
    /// It had restored itself after a fork.
    pub(crate) restored: Option<Instant>,
}

/// The start of an instance in the making.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StartTrace {
    ends: Vec<(Phase, Instant)>,
    spawned: Option<Instant>,
    /// When extensions were started, before the program.
    accompanied: Option<Instant>,
    /// When a fork was begun.
    forking: Option<Instant>,
    user_init: Duration,
}

impl StartTrace {
    /// A start that was admitted (its turn came) at that time.
    pub(crate) fn admitted(at: Instant) -> Self {
        Self {
            ends: vec![(Phase::Queue, at)],
            spawned: None,
            accompanied: None,
            forking: None,
            user_init: Duration::ZERO,
        }
    }

    /// A process is about to be made, the first or another.
    pub(crate) fn begin_process(&mut self) {
        self.accompanied = None;
    }

    /// Extensions are started, before the program is.
    pub(crate) fn accompanied(&mut self, at: Instant) {
        self.accompanied = Some(at);
    }

    /// A phase ended.
    pub(crate) fn end(&mut self, phase: Phase, at: Instant) {
        self.ends.push((phase, at));
    }

    /// The program was executed.
    pub(crate) fn launched(&mut self, marks: Marks) {
        // Of an accompanied process these are over.
        if self.accompanied.is_none() {
            self.furnished(marks);
        }
        self.end(Phase::Spawn, marks.spawn);
        self.spawned = Some(marks.spawn);
    }

    /// The sandbox was filled, before its program was executed.
    pub(crate) fn furnished(&mut self, marks: Marks) {
        self.end(Phase::Cgroup, marks.cgroup);
        self.end(Phase::Mounts, marks.mounts);
        self.end(Phase::Network, marks.network);
    }

    /// A process was forked, between these times, instead of being executed.
    pub(crate) fn forked(&mut self, from: Instant, to: Instant) {
        self.end(Phase::Fork, to);
        self.spawned = Some(to);
        self.forking = Some(from);
    }

    /// A fork of a template asked for its first event. Returns how long it took since it was begun. What it
    /// says of itself is held within what we saw.
    pub(crate) fn end_restore(&mut self, marks: InitMarks, now: Instant) -> Duration {
        let spawned = self.spawned.unwrap_or(now).min(now);
        let done = marks.restored.map_or(now, |at| at.clamp(spawned, now));
        self.end(Phase::Restore, done);
        done.since(self.forking.unwrap_or(spawned))
    }

    /// The restore took too long or failed at that time. Returns how long it took since it was begun.
    pub(crate) fn give_up_restore(&mut self, now: Instant) -> Duration {
        self.end_restore(InitMarks::default(), now)
    }

    /// The runtime asked for its first event. What it says of itself is held within what we saw, so
    /// that a runtime that lies shifts time between its own two phases and nothing else. A runtime
    /// that says nothing has the user's code for its own start too.
    pub(crate) fn end_init(&mut self, marks: InitMarks, now: Instant) {
        let spawned = self.spawned.unwrap_or(now).min(now);
        let ready = marks.ready.map_or(spawned, |at| at.clamp(spawned, now));
        let done = marks.user_done.map_or(now, |at| at.clamp(ready, now));
        if marks.ready.is_some() {
            self.end(Phase::RuntimeInit, ready);
        }
        self.end(Phase::UserInit, done);
        self.user_init = done.since(ready);
    }

    /// The init took too long or failed at that time.
    pub(crate) fn give_up_init(&mut self, now: Instant) {
        self.end(Phase::UserInit, now);
        self.user_init = self.since_spawn(now);
    }

    /// How long the user's code ran before it could serve.
    pub(crate) fn user_init(&self) -> Duration {
        self.user_init
    }

    /// Time from the program's start, or from that of its extensions.
    pub(crate) fn since_spawn(&self, now: Instant) -> Duration {
        self.accompanied
            .or(self.spawned)
            .map_or(Duration::ZERO, |spawned| now.since(spawned))
    }

    /// Puts the start on a request's waterfall. Steps from before the request's own time (an instance
    /// that another request had ordered) have no length there.
    pub(crate) fn write(&self, timeline: &mut Timeline) {
        for &(phase, at) in &self.ends {
            timeline.end(phase, at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn started() -> StartTrace {
        let mut trace = StartTrace::admitted(Instant(10));
        trace.launched(Marks {
            cgroup: Instant(20),
            mounts: Instant(30),
            network: Instant(40),
            spawn: Instant(50),
        });
        trace
    }

    #[test]
    fn a_runtime_that_lies_stays_within_its_own_time() {
        for (ready, user_done) in [(0, u64::MAX), (u64::MAX, 0), (u64::MAX, u64::MAX), (0, 0)] {
            let mut trace = started();
            let marks = InitMarks {
                ready: Some(Instant(ready)),
                user_done: Some(Instant(user_done)),
                restored: None,
            };
            trace.end_init(marks, Instant(100));
            let mut timeline = Timeline::begin(Instant(0));
            trace.write(&mut timeline);
            assert!(timeline.last() <= Instant(100));
            assert!(trace.user_init() <= Duration::from_nanos(50));
        }
    }

    #[test]
    fn a_fork_s_restore_is_within_what_we_saw() {
        for (said, length) in [(0, 0), (70, 20), (u64::MAX, 50)] {
            let mut trace = StartTrace::admitted(Instant(10));
            trace.forked(Instant(40), Instant(50));
            let marks = InitMarks {
                restored: Some(Instant(said)),
                ..InitMarks::default()
            };
            let whole = trace.end_restore(marks, Instant(100));
            assert_eq!(whole, Duration::from_nanos(10 + length));
            let mut timeline = Timeline::begin(Instant(0));
            trace.write(&mut timeline);
            let restore = (Phase::Restore, Duration::from_nanos(length));
            assert!(timeline.phases().contains(&restore));
        }
    }

    #[test]
    fn an_honest_runtime_s_phases_are_told_apart() {
        let mut trace = started();
        let marks = InitMarks {
            ready: Some(Instant(70)),
            user_done: Some(Instant(90)),
            restored: None,
        };
        trace.end_init(marks, Instant(95));
        let mut timeline = Timeline::begin(Instant(0));
        trace.write(&mut timeline);
        let phases = timeline.phases();
        assert!(phases.contains(&(Phase::RuntimeInit, Duration::from_nanos(20))));
        assert!(phases.contains(&(Phase::UserInit, Duration::from_nanos(20))));
        assert_eq!(trace.user_init(), Duration::from_nanos(20));
    }
}
