//! With the budget `node`: what memory that is free, warm-ups and weighed instances come to.

use super::*;
use crate::event::Measured;
use crate::explain::Counters;

const V: VersionId = VersionId(0);
/// What an instance is promised, and takes.
const PROMISED: Bytes = WHOLE;
const TAKEN: Bytes = Bytes::mib(5);

impl Small {
    pub(super) fn hold(&mut self, version: u32, rung: Rung) {
        for (kept, memory) in [(Rung::Template, TEMPLATE), (Rung::Spare, SPARE)] {
            if kept <= rung {
                self.held.insert((VersionId(version), kept), ());
                self.tell(Event::Held(Held {
                    version: VersionId(version),
                    node: NODE,
                    rung: kept,
                    memory,
                    took: Duration::from_millis(100),
                }));
            }
        }
    }

    /// As a warm-up does: idle instances first, then the word that requests may come.
    fn warm_up(&mut self, instances: u32) {
        let mut events = Vec::new();
        for _ in 0..instances {
            self.start(V, None, &mut events);
        }
        for event in events {
            self.tell(event);
        }
        self.tell(Event::Announced(Announced {
            version: V,
            requests: instances,
            at: Instant(self.now),
        }));
    }

    /// An instance as a node tells of it, whose room is what it may use.
    pub(super) fn promised(&mut self) -> InstanceId {
        self.numbers += 1;
        let instance = InstanceId(self.numbers);
        self.idle.insert(instance, (V, PROMISED));
        self.tell(Event::Starting(Starting {
            instance,
            version: V,
            node: NODE,
            ticket: None,
        }));
        self.tell(Event::Started(Started {
            instance,
            kind: StartKind::Forked,
            took: Duration::from_millis(1),
        }));
        let memory = PROMISED;
        self.tell(Event::Idle(Idle { instance, memory }));
        let memory = TAKEN;
        self.tell(Event::Measured(Measured { instance, memory }));
        instance
    }

    fn counters(&self) -> Counters {
        let explained = self.pilot.explain(V, Instant(self.now)).unwrap();
        let totals = self.pilot.counters().unwrap();
        let its = explained.record.counters;
        assert_eq!(
            (its.forecasts, its.hits, its.misses, its.wasted_mb_s),
            (
                totals.forecasts,
                totals.hits,
                totals.misses,
                totals.wasted_mb_s
            ),
        );
        its
    }
}

#[test]
fn a_template_that_nobody_asks_for_stays_where_memory_is_free() {
    let mut small = Small::new(Budget::Node, 2);
    small.hold(0, Rung::Spare);
    small.hold(1, Rung::Spare);
    small.request(60, 1, None);
    small.until(20 * 86_400);
    assert_eq!(small.held.len(), 4, "{:?}", small.said);
    assert!(
        small.idle.is_empty(),
        "beside its template it has had its time"
    );
}

/// Templates and spares of so many versions on a node that has 10,000 MiB, each asked for once, after a day; and what a
/// version that is asked for every hour has idle a minute after.
fn a_day_of(versions: u32) -> (usize, usize) {
    let mut small = Small::new(Budget::Node, versions);
    for version in 0..versions {
        small.hold(version, Rung::Spare);
        small.request(u64::from(version), version, None);
    }
    for hour in 1..24 {
        small.request(hour * 3_600, 0, None);
    }
    small.until(23 * 3_600 + 60);
    let templates = small.held.keys().filter(|(_, it)| *it == Rung::Template);
    (templates.count(), small.idle.len())
}

#[test]
fn idle_instances_leave_room_on_a_full_node_and_templates_only_when_it_is_needed() {
    // Each takes 60 MiB, and its spare 2.
    assert_eq!(a_day_of(140), (140, 1), "87 % of the node");
    assert_eq!(a_day_of(165), (165, 0), "99 %, and spares are gone too");
}

#[test]
fn idle_instances_go_before_the_template_that_they_share_memory_with() {
    let mut small = Small::new(Budget::TEN_MINUTES, 1);
    small.hold(0, Rung::Template);
    small.request(0, 0, None);
    for _ in 0..5 {
        let mut events = Vec::new();
        small.start(V, None, &mut events);
        for event in events {
            small.tell(event);
        }
    }
    small.until(86_400);
    let at = |is: fn(&Action) -> bool| small.said.iter().rposition(|(_, action)| is(action));
    let ended = at(|action| matches!(action, Action::Reclaim { .. }));
    let let_go = at(|action| matches!(action, Action::Hold { rung, .. } if *rung < Rung::Template));
    assert!(ended.is_some() && ended < let_go, "{:?}", small.said);
}

#[test]
fn idle_instances_are_kept_for_ten_minutes_and_without_a_template_one_for_good() {
    let mut small = Small::new(Budget::Node, 1);
    small.hold(0, Rung::Template);
    small.request(0, 0, None);
    small.until(599);
    assert_eq!(small.idle.len(), 1);
    small.until(602);
    assert_eq!(small.idle.len(), 0);
    assert!(small.said.iter().all(|(_, action)| !matches!(
        action,
        Action::Reclaim { because, .. } if *because != Because::Expired
    )));
    // No template can be made: a start of it, long after one was ordered, comes from none.
    small.held.clear();
    for rung in [Rung::Spare, Rung::Template] {
        small.tell(Event::Lost {
            version: V,
            node: NODE,
            rung,
        });
    }
    small.pilot.minds.entry(0).unwrap().no_template = true;
    let mut events = Vec::new();
    for _ in 0..3 {
        small.start(V, None, &mut events);
    }
    for event in events {
        small.tell(event);
    }
    small.until(10 * 3_600);
    assert_eq!(small.idle.len(), 1);
}

#[test]
fn a_callee_that_can_have_no_template_has_an_instance_from_the_first_call_on() {
    let refused = Event::Refused {
        version: VersionId(1),
        node: NODE,
        rung: Rung::Template,
    };
    let mut small = Small::new(Budget::Node, 2);
    small.tell(refused);
    small.tell(Event::Calls(Calls {
        caller: V,
        callee: VersionId(1),
        part: 1.0,
        after: Some(Duration::from_secs(3)),
    }));
    small.request(100, 0, None);
    assert!(!small.request(103, 1, None), "{:?}", small.said);
    let of_callee = |action: &Action| match *action {
        Action::Hold { version, rung, .. } => version.0 == 1 && rung >= Rung::Template,
        _ => false,
    };
    assert!(!small.said.iter().any(|(_, action)| of_callee(action)));
    let ahead = small.said.iter().filter(|(_, action)| {
        matches!(action, Action::PreStart { version: VersionId(1), because: Because::Forecast(forecast), .. }
            if forecast.by == Source::Call(V))
    });
    assert_eq!(ahead.count(), 1);

    // Other code may be frozen, and what was refused of a template that is there has been found out anew.
    let mut small = Small::new(Budget::Node, 2);
    small.tell(refused);
    small.hold(1, Rung::Template);
    small.request(100, 1, None);
    assert!(small.is_ready(1));
    small.until(2_000);
    assert!(
        small.idle.is_empty() && small.is_ready(1),
        "{:?}",
        small.said
    );
}

#[test]
fn the_owner_says_for_how_long_idle_instances_are_kept() {
    let mut small = Small::new(Budget::Node, 1);
    small.tell(Event::Deployed(Deployed {
        version: V,
        runtime: Runtime::Python,
        memory: WHOLE,
        keep_alive: Some(Duration::from_secs(60)),
        after: None,
        weight: 1.0,
    }));
    small.hold(0, Rung::Spare);
    small.request(0, 0, None);
    small.warm_up(2);
    small.until(59);
    assert_eq!(small.idle.len(), 3);
    small.until(62);
    assert_eq!((small.idle.len(), small.held.len()), (0, 2));
}

#[test]
fn warmed_instances_go_after_their_time_and_a_template_does_not_go_before_them() {
    for budget in [
        Budget::Node,
        Budget::TEN_MINUTES,
        Budget::Bytes(Bytes::mib(5_000)),
    ] {
        let mut small = Small::new(budget, 1);
        small.hold(0, Rung::Spare);
        small.warm_up(3);
        small.until(590);
        let template = small.held.contains_key(&(V, Rung::Template));
        assert_eq!((small.idle.len(), template), (3, true), "{budget:?}");
        small.until(700);
        let held = if budget == Budget::TEN_MINUTES { 0 } else { 2 };
        assert_eq!(
            (small.idle.len(), small.held.len()),
            (0, held),
            "{budget:?}"
        );
    }
}

#[test]
fn what_was_announced_is_a_hit_once_or_a_miss_with_what_it_took() {
    let mut small = Small::new(Budget::Node, 1);
    small.hold(0, Rung::Spare);
    small.warm_up(2);
    assert_eq!((small.counters().forecasts, small.counters().hits), (1, 0));
    for second in [10, 20, 30] {
        small.request(second, 0, None);
    }
    assert_eq!(small.counters().hits, 1);
    small.until(3_600);
    let counters = small.counters();
    assert_eq!(
        (counters.forecasts, counters.hits, counters.misses),
        (1, 1, 0)
    );
    assert_eq!(counters.wasted_mb_s, 0.0);

    // Two instances of 10 MiB for ten minutes, beside a template that is there in any case.
    small.warm_up(2);
    small.until(7_200);
    let counters = small.counters();
    assert_eq!(
        (counters.forecasts, counters.hits, counters.misses),
        (2, 1, 1)
    );
    let wasted = 2.0 * FORK.0 as f64 / 1e6 * 600.0;
    assert!((counters.wasted_mb_s - wasted).abs() < 0.01, "{counters:?}");

    // Said again before anything has come of it, it is the same forecast, for longer.
    small.warm_up(2);
    small.until(7_500);
    small.tell(Event::Announced(Announced {
        version: V,
        requests: 2,
        at: Instant(7_500 * S),
    }));
    small.until(8_050);
    assert_eq!(small.counters().misses, 1);
    small.until(9_000);
    let counters = small.counters();
    assert_eq!(
        (counters.forecasts, counters.hits, counters.misses),
        (3, 1, 2)
    );
}

#[test]
fn what_was_announced_for_later_is_made_and_counted() {
    let mut small = Small::new(Budget::TEN_MINUTES, 1);
    let announced = |at: u64| {
        Event::Announced(Announced {
            version: V,
            requests: 2,
            at: Instant(at * S),
        })
    };
    small.tell(announced(600));
    small.until(600);
    assert_eq!(small.idle.len(), 2);
    assert!(!small.request(600, 0, None));
    let counters = small.counters();
    assert_eq!(
        (counters.forecasts, counters.hits, counters.misses),
        (1, 1, 0)
    );
    small.until(5_000);
    small.tell(announced(5_600));
    small.until(6_000);
    let counters = small.counters();
    assert_eq!(
        (counters.forecasts, counters.hits, counters.misses),
        (2, 1, 1)
    );
    assert!(counters.wasted_mb_s > 0.0);
}

#[test]
fn what_gives_way_is_counted_by_the_room_that_it_gives_back() {
    let mut small = Small::new(Budget::Node, 1);
    small.hold(0, Rung::Spare);
    for _ in 0..10 {
        small.promised();
    }
    // Of a template, a spare and ten instances of five MiB.
    let taken = TEMPLATE.0 + SPARE.0 + 10 * TAKEN.0;
    assert_eq!(small.pilot.ledger().bytes(), taken as f64);
    small.said.clear();
    small.tell(Event::Pressure {
        node: NODE,
        shortage: Shortage {
            memory: Bytes::mib(150),
            instances: 0,
        },
        template: None,
    });
    let reclaimed = |(_, action): &&(u64, Action)| matches!(action, Action::Reclaim { .. });
    assert_eq!(
        small.said.iter().filter(reclaimed).count(),
        2,
        "{:?}",
        small.said
    );
    assert_eq!((small.said.len(), small.idle.len()), (2, 8));
}

#[test]
fn what_gave_way_is_not_made_again_at_once_and_is_when_it_is_asked_for() {
    let mut small = Small::new(Budget::Node, 1);
    for hour in 0..3 {
        small.request(hour * 3_600, 0, None);
    }
    small.until(86_400);
    assert!(small.is_ready(0));
    small.tell(Event::Pressure {
        node: NODE,
        shortage: Shortage {
            memory: Bytes::mib(50),
            instances: 0,
        },
        template: None,
    });
    small.until(86_400 + 1_800);
    assert!(
        !small.is_ready(0),
        "memory is free, and nothing is expected"
    );
    assert!(small.request(86_400 + 1_800, 0, None), "it pays for it");
    small.until(86_400 + 1_860);
    assert!(small.held.contains_key(&(V, Rung::Template)));
}

/// Starts that nobody waited for, and such as the policy did not hear a request for, are no request's.
#[test]
fn a_request_is_told_by_what_it_got() {
    let mut small = Small::new(Budget::Node, 1);
    small.warm_up(2);
    let mut starts = Vec::new();
    small.start(V, None, &mut starts);
    for event in starts {
        small.tell(event);
    }
    small.request(10, 0, None);
    let explained = small.pilot.explain(V, Instant(small.now)).unwrap();
    let [told] = explained.record.told() else {
        panic!("{:?}", explained.record.told());
    };
    assert_eq!(told.kind, Some(StartKind::Warm));
    assert!(matches!(told.why, Why::Foreseen(forecast) if forecast.by == Source::Announced));
    assert_eq!(explained.record.counters.cold, 0);
}
