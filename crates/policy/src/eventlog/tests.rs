use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::ladder::Rung;
use pilotlight_model::start::StartKind;
use proptest::prelude::*;

use super::*;
use crate::action::{Because, Forecast, Source};
use crate::event::{
    Announced, Arrived, Calls, Cause, Deployed, Held, Idle, Room, Runtime, Shift, Shortage,
    Started, Starting, Waits,
};
use crate::{Bytes, NodeId, Ticket};

/// One of every kind of event, made of numbers.
fn events(a: u64, b: u64, part: f32, flag: bool) -> Vec<Event> {
    let (version, node) = (VersionId(a as u32), NodeId(b as u32));
    let (ticket, instance) = (Ticket(a), InstanceId(b));
    let (memory, time) = (Bytes(b), Duration::from_nanos(a));
    let cause = Cause {
        version,
        request: b,
        after: time,
    };
    let rungs = Rung::ALL.map(|rung| {
        [
            Event::Held(Held {
                version,
                node,
                rung,
                memory,
                took: time,
            }),
            Event::Lost {
                version,
                node,
                rung,
            },
            Event::Refused {
                version,
                node,
                rung,
            },
        ]
    });
    let kinds = StartKind::ALL.map(|kind| {
        Event::Started(Started {
            instance,
            kind,
            took: time,
        })
    });
    let runtimes = [
        Runtime::Python,
        Runtime::Node,
        Runtime::Java,
        Runtime::Native,
    ]
    .map(|runtime| {
        Event::Deployed(Deployed {
            version,
            runtime,
            memory,
            keep_alive: flag.then_some(time),
            after: flag.then_some(version),
            weight: part,
        })
    });
    let mut events = vec![
        Event::Node(Room {
            node,
            memory,
            instances: b as u32,
        }),
        Event::Retired(version),
        Event::Arrived(Arrived {
            version,
            requests: b as u32,
            cause: flag.then_some(cause),
        }),
        Event::Waits(Waits { ticket, version }),
        Event::Left(ticket),
        Event::Starting(Starting {
            instance,
            version,
            node,
            ticket: flag.then_some(ticket),
        }),
        Event::Idle(Idle { instance, memory }),
        Event::Busy(instance),
        Event::Gone(instance),
        Event::Shift(Shift {
            from: version,
            to: VersionId(0),
            part,
            at: Instant(b),
        }),
        Event::Calls(Calls {
            caller: version,
            callee: version,
            part,
            after: flag.then_some(time),
        }),
        Event::Announced(Announced {
            version,
            requests: 1,
            at: Instant(a),
        }),
        Event::Pressure {
            node,
            shortage: Shortage {
                memory,
                instances: a as u32,
            },
            template: flag.then_some(version),
        },
        Event::Tick,
    ];
    events.extend(rungs.into_iter().flatten());
    events.extend(kinds);
    events.extend(runtimes);
    events
}

fn actions(a: u64, b: u64, confidence: f32) -> Vec<Action> {
    let (version, node, instance) = (VersionId(a as u32), NodeId(b as u32), InstanceId(a));
    let sources = [
        Source::Gaps,
        Source::Period,
        Source::Call(version),
        Source::Shift(version),
        Source::Announced,
    ];
    let forecast = |by| {
        Because::Forecast(Forecast {
            by,
            confidence,
            from: Instant(a),
            until: Instant(b),
        })
    };
    let reasons = [Because::Expired, Because::Pressure, Because::Worth];
    let reasons = reasons.into_iter().chain(sources.map(forecast));
    let mut actions: Vec<Action> = reasons
        .flat_map(|because| {
            [
                Action::Reclaim { instance, because },
                Action::Hold {
                    version,
                    node,
                    rung: Rung::Spare,
                    because,
                },
                Action::PreStart {
                    version,
                    node,
                    instances: b as u32,
                    by: Instant(b),
                    because,
                },
            ]
        })
        .collect();
    actions.push(Action::Strip {
        instance,
        rung: Rung::Zygote,
    });
    actions.push(Action::Start {
        ticket: Ticket(b),
        node,
    });
    actions
}

proptest! {
    #[test]
    fn what_goes_in_comes_out(
        a in any::<u64>(),
        b in any::<u64>(),
        at in any::<u64>(),
        part in -1e30f32..1e30,
        flag in any::<bool>(),
        name in ".{0,40}",
    ) {
        let mut lines = vec![Line::Name(VersionId(a as u32), name.clone())];
        lines.extend(events(a, b, part, flag).into_iter().map(|event| Line::Event(Instant(at), event)));
        lines.extend(actions(a, b, part).into_iter().map(Line::Action));
        for line in lines {
            let text = line.line();
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(Line::read(&text).map_err(|error| error.to_string()), Ok(line));
        }
        let header = Header::new(&name, a, Instant(b));
        prop_assert_eq!(Header::read(&header.line()).map_err(|error| error.to_string()), Ok(header));
    }

    #[test]
    fn nonsense_is_refused(text in "[{}\\[\\]a-z\":,0-9]{0,60}") {
        prop_assert!(Header::read(&text).is_err());
        let _ = Line::read(&text);
    }
}

#[test]
fn lines_are_as_documented() {
    let event = Event::Arrived(Arrived {
        version: VersionId(3),
        requests: 1,
        cause: None,
    });
    let line = Line::Event(Instant(12), event).line();
    let documented = r#"{"event":[12,{"arrived":{"version":3,"requests":1,"cause":null}}]}"#;
    assert_eq!(line, documented);
    assert_eq!(
        Line::Event(Instant(12), Event::Tick).line(),
        r#"{"event":[12,"tick"]}"#
    );
    let of_version = |version: u32| {
        let text =
            r#"{"format":"pilotlight-events","version":V,"policy":"","began_ms":0,"began":0}"#;
        Header::read(&text.replace('V', &version.to_string()))
    };
    assert!((1..=VERSION).all(|version| of_version(version).is_ok()));
    for version in [0, VERSION + 1] {
        assert!(matches!(
            of_version(version),
            Err(EventLogError::Format { version: it, .. }) if it == version
        ));
    }
    assert!(matches!(
        Line::read(&"x".repeat(MAX_LINE + 1)),
        Err(EventLogError::Long(_))
    ));
}
