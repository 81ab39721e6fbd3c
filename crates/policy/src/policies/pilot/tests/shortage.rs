//! Where memory is short: what gives way to a request, and to a template.

use super::*;

const MINUTES: u64 = 60 * S;

impl Small {
    fn press(&mut self, mib: u64, template: Option<u32>) {
        self.said.clear();
        self.tell(Event::Pressure {
            node: NODE,
            shortage: Shortage {
                memory: Bytes::mib(mib),
                instances: 0,
            },
            template: template.map(VersionId),
        });
    }

    fn said(&self) -> Vec<Action> {
        self.said.iter().map(|(_, action)| *action).collect()
    }

    fn has(&self, version: u32, rung: Rung) -> bool {
        self.held.contains_key(&(VersionId(version), rung))
    }

    /// Both versions are called as often, and no instance of theirs is idle.
    fn called_alike(&mut self) {
        for round in 0..10 {
            for version in 0..2 {
                self.request(round * 60 + u64::from(version), version, None);
            }
        }
        self.until(610);
        for instance in self.idle.keys().copied().collect::<Vec<_>>() {
            self.idle.remove(&instance);
            self.tell(Event::Gone(instance));
        }
    }
}

/// Two versions that are called as often, of which the second has lost its template.
fn one_without_its_template() -> Small {
    let mut small = Small::new(Budget::Node, 2);
    small.called_alike();
    small.tell(Event::Lost {
        version: VersionId(1),
        node: NODE,
        rung: Rung::Template,
    });
    small.held.retain(|(version, _), ()| version.0 == 0);
    small
}

#[test]
fn a_spare_gives_way_before_any_template() {
    let mut small = Small::new(Budget::Node, 2);
    small.hold(0, Rung::Spare);
    small.hold(1, Rung::Spare);
    small.called_alike();
    small.press(3, None);
    for version in 0..2 {
        assert!(small.has(version, Rung::Template), "{:?}", small.said);
        assert!(!small.has(version, Rung::Spare), "{:?}", small.said);
    }
}

#[test]
fn a_template_does_not_take_the_room_of_one_that_saves_as_much() {
    let mut small = one_without_its_template();
    small.press(60, Some(1));
    assert_eq!(
        small.said(),
        [Action::Hold {
            version: VersionId(1),
            node: NODE,
            rung: Rung::Zygote,
            because: Because::Worth,
        }],
        "it is not wanted"
    );
    assert!(small.has(0, Rung::Template));
    // A request gets the same room.
    small.press(60, None);
    assert!(!small.has(0, Rung::Template));
}

#[test]
fn a_template_takes_the_room_of_instances_beside_their_own() {
    let mut small = one_without_its_template();
    // They are promised 100 MiB each.
    small.promised();
    small.promised();
    small.press(60, Some(1));
    let reclaims = |action: &Action| matches!(action, Action::Reclaim { .. });
    assert!(
        !small.said.is_empty() && small.said().iter().all(reclaims),
        "{:?}",
        small.said
    );
    assert!(small.has(0, Rung::Template));
}

#[test]
fn what_is_held_stays_where_it_is_not_enough() {
    let mut small = Small::new(Budget::Node, 2);
    small.called_alike();
    small.promised();
    small.press(1_000, None);
    assert_eq!(small.said.len(), 1, "{:?}", small.said);
    assert!(small.idle.is_empty() && small.has(0, Rung::Template) && small.has(1, Rung::Template));
}

#[test]
fn a_template_whose_memory_running_forks_share_gives_nothing_back() {
    let mut small = Small::new(Budget::Node, 1);
    small.hold(0, Rung::Template);
    small.request(0, 0, None);
    let instance = *small.idle.keys().next().expect("one serves");
    small.idle.remove(&instance);
    small.tell(Event::Busy(instance));
    small.press(30, None);
    assert!(small.has(0, Rung::Template), "{:?}", small.said);
    small.tell(Event::Gone(instance));
    small.press(30, None);
    assert!(!small.has(0, Rung::Template));
}

#[test]
fn want_of_room_is_not_taken_for_a_refusal() {
    let mut small = Small::new(Budget::Node, 1);
    small.request(0, 0, None);
    for minute in 1..20 {
        small.held.clear();
        let rung = Rung::Template;
        let (version, node) = (VersionId(0), NODE);
        small.tell(Event::Lost {
            version,
            node,
            rung,
        });
        small.now = minute * MINUTES;
        small.press(1_000, None);
        let mut events = Vec::new();
        small.start(VersionId(0), None, &mut events);
        for event in events {
            small.tell(event);
        }
    }
    assert!(!small.pilot.minds.get(0).expect("it is known").no_template);
}

/// A version whose requests do not cease is not looked at for each of them; what it has is worth what they are.
#[test]
fn what_is_in_use_all_the_time_is_worth_more_than_an_idle_instance() {
    let mut small = Small::new(Budget::Node, 3);
    for version in 0..3 {
        small.hold(version, Rung::Template);
    }
    for second in 0..20 {
        small.request(second, 0, None);
        small.request(second, 1, None);
    }
    for instance in small.idle.keys().copied().collect::<Vec<_>>() {
        small.idle.remove(&instance);
        small.tell(Event::Gone(instance));
    }
    // Of one that has been looked at.
    small.promised();
    let (now, mut said) = (Instant(small.now), Vec::new());
    small.pilot.review(now, VersionId(0), &mut said);
    small.press(30, None);
    assert!(small.has(1, Rung::Template), "{:?}", small.said);
    // Nor does what has been deployed, and has not been called yet.
    assert!(small.has(2, Rung::Template), "{:?}", small.said);
    assert!(small.idle.is_empty());
}
