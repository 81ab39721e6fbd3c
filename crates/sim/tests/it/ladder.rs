//! What a policy orders of the ladder, with its memory; and the ledger of forecasts.

use pilotlight_model::ladder::Rung;
use pilotlight_model::start::Instant;
use pilotlight_policy::action::{Because, Forecast, Source};
use pilotlight_policy::{Action, Event, NodeId, Policy, VersionId};
use pilotlight_sim::report::{Report, by_edge};
use pilotlight_sim::{Model, Named, Options, Trace, run};

use crate::support::{by_minute, by_request, profile};

const MINUTE: u64 = 60_000_000_000;

/// Orders what it was given, at given times, and ends instances as soon as they are idle.
struct Script {
    /// Latest first.
    orders: Vec<(u64, Action)>,
}

impl Policy for Script {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Idle(idle) => actions.push(Action::Reclaim {
                instance: idle.instance,
                because: Because::Expired,
            }),
            Event::Waits(waits) => actions.push(Action::Start {
                ticket: waits.ticket,
                node: NodeId(0),
            }),
            Event::Tick => {
                while self.orders.last().is_some_and(|(at, _)| *at <= now.0) {
                    actions.extend(self.orders.pop().map(|(_, action)| action));
                }
            }
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        self.orders.last().map(|(at, _)| Instant(*at))
    }
}

fn hold(rung: Rung, because: Because) -> Action {
    Action::Hold {
        version: VersionId(0),
        node: NodeId(0),
        rung,
        because,
    }
}

fn expects(from: u64, until: u64) -> Because {
    Because::Forecast(Forecast {
        by: Source::Period,
        confidence: 0.9,
        from: Instant(from),
        until: Instant(until),
    })
}

fn play(trace: &Trace, model: Model, orders: &[(u64, Action)]) -> Report {
    let orders = orders.iter().rev().copied().collect();
    let policy = Named {
        name: "script".to_owned(),
        policy: Box::new(Script { orders }),
    };
    let options = Options {
        model,
        ..Options::default()
    };
    run(trace, &profile(), &options, vec![policy], 1, &|_| {}).expect("it runs")
}

#[test]
fn rungs_give_starts_and_take_memory() {
    let trace = by_minute(&[&[(0, 1), (10, 1), (20, 1), (30, 1)]], 40);
    // A template from 5 to 25, beside it a spare from 15 on; then neither.
    let orders = [
        (5 * MINUTE, hold(Rung::Template, Because::Worth)),
        (15 * MINUTE, hold(Rung::Spare, Because::Worth)),
        (25 * MINUTE, hold(Rung::Cached, Because::Worth)),
    ];
    let report = play(&trace, Model::Single, &orders);
    let function = report.runs[0].outcome.functions[0];
    assert_eq!(function.kinds, [0, 1, 1, 2, 0]);
    assert_eq!(function.cold_arrivals, 2);
    // Of 100 MB: a template is half, a spare 2.
    assert!((function.held.template - 20.0 * 60.0 * 50.0).abs() < 1e-6);
    assert!((function.held.spare - 10.0 * 60.0 * 2.0).abs() < 1e-6);
    assert_eq!(function.held.idle, 0.0);
}

/// Wants a template and a spare of what is deployed, and notes what it hears of them.
struct Listens(std::sync::mpsc::Sender<Rung>);

impl Policy for Listens {
    fn observe(&mut self, _: Instant, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Deployed(_) => actions.push(hold(Rung::Spare, Because::Worth)),
            Event::Held(held) => self.0.send(held.rung).expect("the test listens"),
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        None
    }
}

#[test]
fn a_template_is_told_of_before_the_spare_that_is_forked_from_it() {
    for model in [Model::Single, Model::Concurrent] {
        let (told, heard) = std::sync::mpsc::channel();
        let policy = Named {
            name: "listens".to_owned(),
            policy: Box::new(Listens(told)),
        };
        let options = Options {
            model,
            ..Options::default()
        };
        let trace = by_minute(&[&[(5, 1)]], 10);
        run(&trace, &profile(), &options, vec![policy], 1, &|_| {}).expect("it runs");
        let heard: Vec<Rung> = heard.iter().take(2).collect();
        assert_eq!(heard, [Rung::Template, Rung::Spare], "{model:?}");
    }
}

#[test]
fn zygotes_are_held_where_nodes_have_none() {
    // The instance is stripped at once; the version holds its zygote until 5, and 10 MB with it. The start at 2
    // comes from it and uses it up, and is stripped again.
    let trace = by_minute(&[&[(0, 1), (2, 1), (6, 1)]], 10);
    let strip = Named {
        name: "strip".to_owned(),
        policy: Box::<Strip>::default(),
    };
    let options = Options {
        zygotes: false,
        ..Options::default()
    };
    let report = run(&trace, &profile(), &options, vec![strip], 1, &|_| {}).expect("it runs");
    assert_eq!(report.runs[0].outcome.functions[0].kinds, [0, 0, 0, 1, 2]);
    assert_eq!(report.policies[0].memory_mb_s.zygote, 600.0 * 5.0);
    assert_eq!(report.policies[0].wasted_mb_s, 600.0 * 5.0);
}

/// Strips instances as soon as they are idle, and lets go of what is left at 5 minutes, if it ever was there.
#[derive(Default)]
struct Strip {
    is_done: bool,
}

impl Policy for Strip {
    fn observe(&mut self, now: Instant, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Idle(idle) if now.0 < 5 * MINUTE => actions.push(Action::Strip {
                instance: idle.instance,
                rung: Rung::Zygote,
            }),
            Event::Idle(idle) => actions.push(Action::Reclaim {
                instance: idle.instance,
                because: Because::Expired,
            }),
            Event::Tick => {
                self.is_done = true;
                actions.push(hold(Rung::Cached, Because::Expired));
            }
            _ => {}
        }
    }

    fn wake_at(&self) -> Option<Instant> {
        (!self.is_done).then_some(Instant(5 * MINUTE))
    }
}

#[test]
fn making_takes_its_time_and_forks_share_with_their_template() {
    // A request while the template is being made is cold; one after it is forked, and takes a tenth.
    let second = MINUTE / 60;
    let trace = by_request(1, &[(1_050, 0, 1_000), (10_000, 0, 1_000)], 1);
    let orders = [(second, hold(Rung::Template, Because::Worth))];
    let report = play(&trace, Model::Concurrent, &orders);
    let function = report.runs[0].outcome.functions[0];
    assert_eq!(function.kinds, [0, 0, 1, 1, 0]);
    assert!((function.held.template - 59.0 * 50.0).abs() < 1e-6);
    assert!((function.held.busy - (100.0 + 10.0)).abs() < 1e-6);
    // Starting: 100 ms of a whole instance, 10 ms of a fork.
    assert!((function.held.idle - (10.0 + 0.1)).abs() < 1e-6);
}

#[test]
fn starts_ahead_are_ready_in_time_and_forecasts_are_judged() {
    let trace = by_minute(&[&[(0, 1), (10, 1), (30, 1)]], 40);
    let ahead = |by: u64, because| Action::PreStart {
        version: VersionId(0),
        node: NodeId(0),
        instances: 1,
        by: Instant(by * MINUTE),
        because,
    };
    // Right: ordered at 5 for 10, in the window from 9 to 11. Wrong: from 14 to 16 nothing comes. That one was
    // held in vain, as is what is held for 20 to 25. Nothing speaks of 30.
    let orders = [
        (5 * MINUTE, ahead(10, expects(9 * MINUTE, 11 * MINUTE))),
        (
            12 * MINUTE,
            hold(Rung::Template, expects(14 * MINUTE, 16 * MINUTE)),
        ),
        (16 * MINUTE, hold(Rung::Cached, Because::Worth)),
    ];
    let report = play(&trace, Model::Single, &orders);
    let forecasts = &report.policies[0].forecasts;
    // This script ends the instance as soon as it is idle, before its request comes.
    assert_eq!(report.policies[0].started_ahead, 1);
    assert_eq!((forecasts.made, forecasts.precision), (2, Some(0.5)));
    assert_eq!(forecasts.recall, Some(1.0 / 3.0));
    assert_eq!(forecasts.lead_s, Some(300.0));
    assert!((forecasts.wasted_mb_s - 4.0 * 60.0 * 50.0).abs() < 1e-6);
    assert_eq!(forecasts.by_source.len(), 1);
}

#[test]
fn calls_are_judged_by_edge() {
    // 1 is expected to call 0 twice, and does so once; its instance of the second time waits in vain.
    let trace = by_minute(&[&[(4, 1)], &[(3, 1), (7, 1)]], 10);
    let ahead = |at: u64| {
        let because = Because::Forecast(Forecast {
            by: Source::Call(VersionId(1)),
            confidence: 0.5,
            from: Instant(at * MINUTE),
            until: Instant((at + 1) * MINUTE),
        });
        (at * MINUTE, hold(Rung::Template, because))
    };
    let drop = (9 * MINUTE, hold(Rung::Cached, Because::Worth));
    let report = play(&trace, Model::Single, &[ahead(3), ahead(7), drop]);
    let edges = &report.runs[0].outcome.ledger.by_edge;
    let entry = edges[&(VersionId(1), VersionId(0))];
    assert_eq!(
        (edges.len(), entry.made, entry.hit, entry.lead_s),
        (1, 2, 1, 60.0)
    );
    // A template of 50 MB from 3 to 4, until its request came, and from 7 to 9.
    assert!((entry.wasted_mb_s - 3.0 * 60.0 * 50.0).abs() < 1e-6);
    let mut rows = Vec::new();
    by_edge(&report, &mut rows).expect("there is room");
    let rows = String::from_utf8(rows).expect("it is text");
    assert_eq!(rows.lines().nth(1), Some("script,f1,f0,2,1,0.5,60,9000"));
}

#[test]
fn what_makes_no_sense_is_left() {
    let trace = by_minute(&[&[(1, 1)]], 3);
    let nowhere = Action::Hold {
        version: VersionId(0),
        node: NodeId(7),
        rung: Rung::Template,
        because: Because::Worth,
    };
    let nobody = Action::PreStart {
        version: VersionId(9),
        node: NodeId(0),
        instances: u32::MAX,
        by: Instant(0),
        because: Because::Worth,
    };
    let unknown = Action::Reclaim {
        instance: pilotlight_model::ids::InstanceId(5),
        because: Because::Expired,
    };
    let orders = [nowhere, nobody, unknown, hold(Rung::Busy, Because::Worth)];
    let orders = orders.map(|action| (MINUTE / 2, action));
    for model in [Model::Single, Model::Concurrent] {
        let report = play(&trace, model, &orders);
        assert_eq!(report.runs[0].outcome.functions[0].kinds, [0, 0, 0, 1, 0]);
        assert_eq!(report.policies[0].run.ignored, 4);
    }
}
