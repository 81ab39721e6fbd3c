use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::mind::Mind;
use super::{Parameters, Pilot};
use crate::action::{Action, Because, Source};
use crate::budget::Budget;
use crate::event::{
    Announced, Arrived, Calls, Cause, Deployed, Event, Held, Idle, Room, Runtime, Shift, Shortage,
    Started, Starting, Waits,
};
use crate::explain::Why;
use crate::predict::bins::MINUTE;
use crate::{Bytes, NodeId, Policy, Ticket, VersionId};
use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::{Instant, StartKind};

mod node;
mod queue;
mod shortage;

const NODE: NodeId = NodeId(0);
const WHOLE: Bytes = Bytes::mib(100);
const TEMPLATE: Bytes = Bytes::mib(60);
const FORK: Bytes = Bytes::mib(10);
const SPARE: Bytes = Bytes::mib(2);
const S: u64 = 1_000_000_000;

/// A node on which everything happens at once, and requests take no time.
struct Small {
    pilot: Pilot,
    now: u64,
    numbers: u64,
    idle: BTreeMap<InstanceId, (VersionId, Bytes)>,
    held: BTreeMap<(VersionId, Rung), ()>,
    said: Vec<(u64, Action)>,
    /// Byte-seconds of what the node really had.
    had: f64,
    cold: u32,
}

impl Small {
    fn new(budget: Budget, versions: u32) -> Self {
        let pilot = Pilot::new(Parameters {
            budget,
            ..Parameters::default()
        });
        let mut small = Self {
            pilot,
            now: 0,
            numbers: 0,
            idle: BTreeMap::new(),
            held: BTreeMap::new(),
            said: Vec::new(),
            had: 0.0,
            cold: 0,
        };
        small.tell(Event::Node(Room {
            node: NODE,
            memory: Bytes::mib(10_000),
            instances: 1_000,
        }));
        for version in 0..versions {
            small.tell(Event::Deployed(Deployed {
                version: VersionId(version),
                runtime: Runtime::Python,
                memory: WHOLE,
                keep_alive: None,
                after: None,
                weight: 1.0,
            }));
        }
        small
    }

    fn tell(&mut self, event: Event) {
        let mut events = vec![event];
        while !events.is_empty() {
            let event = events.remove(0);
            let mut actions = Vec::new();
            self.pilot.observe(Instant(self.now), event, &mut actions);
            for action in actions {
                self.said.push((self.now, action));
                self.act(action, &mut events);
            }
        }
    }

    fn act(&mut self, action: Action, events: &mut Vec<Event>) {
        match action {
            Action::Reclaim { instance, .. } => {
                assert!(self.idle.remove(&instance).is_some(), "{action:?}");
            }
            Action::Hold { version, rung, .. } => {
                for (kept, memory) in [(Rung::Template, TEMPLATE), (Rung::Spare, SPARE)] {
                    if kept <= rung && self.held.insert((version, kept), ()).is_none() {
                        events.push(Event::Held(Held {
                            version,
                            node: NODE,
                            rung: kept,
                            memory,
                            took: Duration::from_millis(100),
                        }));
                    } else if kept > rung && self.held.remove(&(version, kept)).is_some() {
                        events.push(Event::Lost {
                            version,
                            node: NODE,
                            rung: kept,
                        });
                    }
                }
            }
            Action::PreStart {
                version, instances, ..
            } => {
                for _ in 0..instances {
                    self.start(version, None, events);
                }
            }
            Action::Start { .. } | Action::Strip { .. } => {}
        }
    }

    fn start(
        &mut self,
        version: VersionId,
        ticket: Option<Ticket>,
        events: &mut Vec<Event>,
    ) -> InstanceId {
        self.numbers += 1;
        let instance = InstanceId(self.numbers);
        let ready = self.held.contains_key(&(version, Rung::Template));
        let (kind, took, memory) = if ready {
            (StartKind::Forked, 1, FORK)
        } else {
            self.cold += u32::from(ticket.is_some());
            (StartKind::Zygote, 300, WHOLE)
        };
        self.idle.insert(instance, (version, memory));
        events.push(Event::Starting(Starting {
            instance,
            version,
            node: NODE,
            ticket,
        }));
        events.push(Event::Started(Started {
            instance,
            kind,
            took: Duration::from_millis(took),
        }));
        if ticket.is_none() {
            events.push(Event::Idle(Idle { instance, memory }));
        }
        instance
    }

    /// Lets time pass up to a second.
    fn until(&mut self, second: u64) {
        let end = second * S;
        loop {
            let wake = self.pilot.wake_at().filter(|at| at.0 < end);
            let next = wake.map_or(end, |at| at.0.max(self.now));
            let instances: u64 = self.idle.values().map(|(_, memory)| memory.0).sum();
            let held = self.held.keys().map(|(_, rung)| {
                if *rung == Rung::Template {
                    TEMPLATE
                } else {
                    SPARE
                }
            });
            let bytes = instances + held.map(|memory| memory.0).sum::<u64>();
            self.had += bytes as f64 * (next - self.now) as f64 / 1e9;
            self.now = next;
            if wake.is_none() {
                return;
            }
            self.tell(Event::Tick);
            assert!(
                self.pilot.wake_at().is_none_or(|at| at.0 > self.now),
                "what is due is done"
            );
        }
    }

    /// A request; whether it paid an initialisation.
    fn request(&mut self, second: u64, version: u32, cause: Option<Cause>) -> bool {
        self.until(second);
        let version = VersionId(version);
        let before = self.cold;
        self.tell(Event::Arrived(Arrived {
            version,
            requests: 1,
            cause,
        }));
        let found = self
            .idle
            .iter()
            .rev()
            .find(|(_, (of, _))| *of == version)
            .map(|(id, _)| *id);
        let instance = found.unwrap_or_else(|| {
            self.numbers += 1;
            let ticket = Ticket(self.numbers);
            self.tell(Event::Waits(Waits { ticket, version }));
            let mut events = Vec::new();
            let instance = self.start(version, Some(ticket), &mut events);
            for event in events {
                self.tell(event);
            }
            self.tell(Event::Left(ticket));
            instance
        });
        let memory = self.idle[&instance].1;
        self.tell(Event::Busy(instance));
        self.tell(Event::Idle(Idle { instance, memory }));
        self.cold > before
    }

    fn is_ready(&self, version: u32) -> bool {
        let version = VersionId(version);
        self.held.contains_key(&(version, Rung::Template))
            || self.idle.values().any(|(of, _)| *of == version)
    }
}

#[test]
fn a_version_takes_a_bounded_room() {
    assert!(size_of::<Mind>() <= 1_024, "{}", size_of::<Mind>());
}

#[test]
fn an_hourly_version_is_ready_on_the_hour_alone() {
    let mut small = Small::new(Budget::TEN_MINUTES, 1);
    let cold: Vec<bool> = (0..24)
        .map(|hour| small.request(hour * 3_600, 0, None))
        .collect();
    // Alone, it has a budget of ten minutes in the hour, and learns what those are worth.
    assert!(cold[0] && cold[10..].iter().all(|cold| !cold), "{cold:?}");
    small.until(24 * 3_600 - 1_800);
    assert!(!small.is_ready(0), "nothing is kept in between");
    // Foreseen, and said so.
    let explained = small
        .pilot
        .explain(VersionId(0), Instant(small.now))
        .unwrap();
    assert_eq!(explained.period.unwrap().every, Duration::from_secs(3_600));
    let told = explained.record.told().last().unwrap();
    assert!(
        matches!(told.why, Why::Foreseen(forecast) if forecast.confidence > 0.5),
        "{told:?}"
    );
    assert!(
        explained.record.counters.hits >= 12,
        "{:?}",
        explained.record.counters
    );
}

/// 12 minutes and 34 seconds apart: as near to its time as one that keeps to whole minutes.
#[test]
fn a_version_that_keeps_to_other_seconds_is_ready_at_those() {
    let mut small = Small::new(Budget::TEN_MINUTES, 1);
    let gap = 754;
    let cold = (0..60).filter(|call| small.request(call * gap, 0, None) && *call > 30);
    assert_eq!(cold.count(), 0);
    for call in 60..80 {
        small.until(call * gap - 25);
        assert!(!small.is_ready(0), "{call}: half a minute before its time");
        assert!(!small.request(call * gap, 0, None), "{call}");
    }
}

#[test]
fn on_a_node_with_room_nothing_is_given_up() {
    let mut small = Small::new(Budget::Node, 2);
    small.request(0, 0, None);
    assert!(!small.request(20 * 3_600, 0, None));
    // What is worth least gives way when room is short: of two templates that of the version called once.
    for minute in 0..30 {
        small.request(20 * 3_600 + 60 * minute, 1, None);
    }
    small.until(24 * 3_600);
    let shortage = Shortage {
        memory: Bytes::mib(30),
        instances: 0,
    };
    small.said.clear();
    small.tell(Event::Pressure {
        node: NODE,
        shortage,
        template: None,
    });
    let given_up: u64 = small.said.len() as u64;
    assert!(
        given_up > 0
            && small.said.iter().all(|(_, action)| matches!(
                action,
                Action::Reclaim {
                    because: Because::Pressure,
                    ..
                } | Action::Hold {
                    because: Because::Pressure,
                    ..
                }
            ))
    );
    assert!(small.is_ready(0) || small.is_ready(1));
}

#[test]
fn a_budget_in_bytes_is_kept_and_spent_on_what_is_worth_most() {
    let most = Bytes::mib(200);
    let mut small = Small::new(Budget::Bytes(most), 8);
    for round in 0..200u64 {
        for version in 0..8u32 {
            // Each half as often as the one before.
            if round % (1 << version) == 0 {
                small.request(round * 120 + u64::from(version), version, None);
                let ledger = small.pilot.ledger();
                assert!(ledger.bytes() <= most.0 as f64, "{}", ledger.bytes() / 1e6);
            }
        }
    }
    assert!(small.is_ready(0) && (0..8).filter(|version| small.is_ready(*version)).count() < 8);
}

#[test]
fn a_callee_is_ready_while_its_caller_runs() {
    let mut small = Small::new(Budget::TEN_MINUTES, 3);
    let mut forewarned = 0;
    // At times that nothing else foretells.
    let comes = |day: u64| day * 7_200 + (day * day * 37) % 5_000;
    for day in 0..40u64 {
        let at = comes(day);
        small.request(at, 0, None);
        let cause = Cause {
            version: VersionId(0),
            request: day,
            after: Duration::from_secs(3),
        };
        forewarned += u32::from(!small.request(at + 3, 1, Some(cause)));
    }
    assert!(forewarned >= 36, "{forewarned}");
    let explained = small
        .pilot
        .explain(VersionId(0), Instant(small.now))
        .unwrap();
    let edge = explained.callees.edges()[0];
    assert_eq!(edge.callee, VersionId(1));
    assert!(
        edge.record.precision() > 0.95 && edge.record.recall() > 0.9,
        "{edge:?}"
    );
    let early = small.said.iter().filter(|(_, action)| {
        matches!(
            action,
            Action::Hold { version: VersionId(1), because: Because::Forecast(forecast), .. }
                if forecast.by == Source::Call(VersionId(0))
        )
    });
    let at = early.map(|(at, _)| *at).next_back().unwrap();
    let caller = (30..40).map(|day| comes(day) * S).rfind(|it| *it < at);
    assert!(
        caller.is_some_and(|it| at > it + S && at < it + 3 * S),
        "early enough and no earlier: {at} in {caller:?}"
    );
}

#[test]
fn no_template_is_made_for_a_call_that_comes_before_it() {
    // Its template takes 100 ms.
    let ordered = |after: Duration| {
        let mut small = Small::new(Budget::TEN_MINUTES, 2);
        small.tell(Event::Calls(Calls {
            caller: VersionId(0),
            callee: VersionId(1),
            part: 1.0,
            after: Some(after),
        }));
        small.request(3_600, 1, None);
        small.until(20_000);
        assert!(!small.is_ready(1));
        small.request(20_001, 0, None);
        small.until(20_003);
        let edge = small.pilot.explain(VersionId(0), Instant(small.now));
        edge.unwrap().callees.edges()[0].record.forecasts
    };
    assert_eq!(ordered(Duration::from_secs(1)), 1);
    assert_eq!(ordered(Duration::from_millis(10)), 0);
}

#[test]
fn a_declared_chain_is_followed_to_its_end() {
    let mut small = Small::new(Budget::TEN_MINUTES, 3);
    small.request(0, 9, None);
    for (caller, callee) in [(0, 1), (1, 2)] {
        small.tell(Event::Calls(Calls {
            caller: VersionId(caller),
            callee: VersionId(callee),
            part: 1.0,
            after: Some(Duration::from_secs(1)),
        }));
    }
    small.request(3_600, 0, None);
    small.until(3_601);
    assert!(small.is_ready(1));
    small.until(3_602);
    assert!(
        small.is_ready(2) && !small.is_ready(1),
        "each while it is expected"
    );
}

#[test]
fn a_declared_call_that_names_no_caller_is_ascribed_to_it() {
    let mut small = Small::new(Budget::TEN_MINUTES, 2);
    small.tell(Event::Calls(Calls {
        caller: VersionId(0),
        callee: VersionId(1),
        part: 1.0,
        after: None,
    }));
    // By an orchestrator that passes nothing on: two seconds after the caller's, each time.
    for call in 0..40 {
        small.request(call * 1_000, 0, None);
        small.request(call * 1_000 + 2, 1, None);
    }
    let at = Instant(40_000 * S);
    let callees = small
        .pilot
        .explain(VersionId(0), at)
        .unwrap()
        .callees
        .clone();
    let [edge] = callees.edges() else {
        panic!("{callees:?}")
    };
    assert!(edge.record.calls >= 39, "{edge:?}");
    let expected = callees.over(edge);
    assert!(expected.probability > 0.9, "it does not fade: {expected:?}");
    assert!(expected.from > Duration::from_secs(1) && expected.until < Duration::from_secs(5));
    small.tell(Event::Calls(Calls {
        caller: VersionId(0),
        callee: VersionId(1),
        part: 0.0,
        after: None,
    }));
    let callees = small.pilot.explain(VersionId(0), at).unwrap().callees;
    assert_eq!(callees.edges().len(), 1, "it was seen");
}

#[test]
fn a_shift_finds_the_new_version_warm() {
    let mut small = Small::new(Budget::TEN_MINUTES, 2);
    for minute in 0..30 {
        small.request(minute * 60, 0, None);
    }
    let at = Instant(1_800 * S);
    small.tell(Event::Shift(Shift {
        from: VersionId(0),
        to: VersionId(1),
        part: 0.5,
        at,
    }));
    assert!(!small.request(1_800, 1, None));
    small.until(4_000);
    assert!(
        !small.request(4_000, 1, None) || !small.is_ready(0),
        "it has the old one's past"
    );
}

#[test]
fn what_is_announced_is_there() {
    let mut small = Small::new(Budget::TEN_MINUTES, 1);
    small.tell(Event::Announced(Announced {
        version: VersionId(0),
        requests: 3,
        at: Instant(600 * S),
    }));
    small.until(600);
    assert!(small.idle.len() == 3, "{:?}", small.idle);
    assert!(!small.request(600, 0, None));
    small.until(3_000);
    assert!(small.idle.is_empty());
}

#[test]
fn what_is_taken_back_is_not_kept() {
    let mut small = Small::new(Budget::TEN_MINUTES, 1);
    for (requests, at) in [(3, 600 * S), (0, 600 * S + 2_000_000)] {
        small.tell(Event::Announced(Announced {
            version: VersionId(0),
            requests,
            at: Instant(at),
        }));
    }
    small.until(630);
    assert!(
        small.idle.is_empty() && !small.is_ready(0),
        "{:?}",
        small.idle
    );
}

#[test]
fn what_is_announced_beside_it_stays() {
    let announce = |small: &mut Small, requests, at: u64| {
        small.tell(Event::Announced(Announced {
            version: VersionId(0),
            requests,
            at: Instant(at * S),
        }));
    };
    for (taken_back, stays) in [(600, 630), (630, 600)] {
        let mut small = Small::new(Budget::TEN_MINUTES, 1);
        announce(&mut small, 1, 600);
        announce(&mut small, 1, 630);
        announce(&mut small, 0, taken_back);
        small.until(stays + 5);
        assert!(small.is_ready(0), "{taken_back} was taken back");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    /// Whatever comes, no more memory-time is kept than by ten minutes' keep-alive, and the account is right.
    #[test]
    fn the_shadow_is_never_outspent(
        calls in proptest::collection::vec((0u32..12, 1u64..2_500), 1..250),
        beats in proptest::collection::vec(2u64..90, 3),
    ) {
        let mut small = Small::new(Budget::TEN_MINUTES, 15);
        let mut requests: Vec<(u64, u32)> = Vec::new();
        let mut at = 0;
        for (version, wait) in calls {
            at += wait;
            requests.push((at, version));
        }
        for (place, beat) in beats.iter().enumerate() {
            requests.extend((1..=at / (beat * 60)).map(|n| (n * beat * 60, 12 + place as u32)));
        }
        requests.sort_unstable();
        for (second, version) in requests {
            small.request(second, version, None);
        }
        small.until(at + 7_200);
        let ledger = small.pilot.ledger();
        prop_assert!((ledger.spent() - small.had).abs() <= 1e-3 * small.had + 1.0, "{} {}", ledger.spent(), small.had);
        // But for what is kept up to the next look when requests stop.
        prop_assert!(ledger.spent() <= ledger.shadow() * 1.03, "{} {}", ledger.spent() / 1e9, ledger.shadow() / 1e9);
    }

    /// A gap is told from the next by minutes, so every look has an end.
    #[test]
    fn minutes_and_moments_agree(
        minute in 1u16..12_000,
        radius in MINUTE / 10..=MINUTE / 2,
        shift in -(MINUTE as i64) / 2..=MINUTE as i64 / 2,
    ) {
        let mut mind = Mind { last: Some(Instant(5 * MINUTE)), radius, ..Mind::default() };
        mind.past.gaps.end_at((shift / 1_000_000) as i16);
        prop_assert_eq!(mind.minute(mind.begins(minute)), minute);
        prop_assert_eq!(mind.minute(mind.is_over(minute + 1)), minute + 1);
        prop_assert_eq!(mind.minute(Instant(mind.is_over(minute + 1).0 - 1)), minute);
    }
}
