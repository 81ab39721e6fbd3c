//! The rules of who may register and who is told what, over all orders of events.

use proptest::prelude::*;

use super::*;
use pilotlight_model::ids::RequestId;

const BOTH: Events = Events {
    invoke: true,
    shutdown: true,
};
const INVOKE: Events = Events {
    invoke: true,
    shutdown: false,
};

fn invoke(number: u128) -> Event {
    Event::Invoke {
        request: RequestId(Uuid::from_u128(number)),
        deadline_ms: 1,
        invoked_arn: "arn".to_owned(),
        trace_id: String::new(),
    }
}

fn with(names: &[&str]) -> Registry {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    Registry::new(&names)
}

#[test]
fn an_extension_s_life_in_order() {
    let mut registry = with(&["a", "b"]);
    assert!(!registry.all_registered());
    let a = registry.register("a", BOTH).unwrap();
    assert!(matches!(
        registry.register("a", BOTH),
        Err(Refusal::Transition { .. })
    ));
    let b = registry.register("b", Events::default()).unwrap();
    assert!(registry.all_registered() && !registry.all_ready());
    let mut first = registry.ask(a).unwrap();
    registry.ask(b).unwrap();
    registry.close();
    assert!(registry.all_ready());

    registry.tell(&invoke(1));
    assert_eq!(first.try_recv(), Ok(invoke(1)));
    // Who wants no requests is not waited for.
    assert!(!registry.all_ready());
    let mut second = registry.ask(a).unwrap();
    assert!(registry.all_ready() && second.try_recv().is_err());
    // Asked again on another connection, it has what it was told only once.
    let mut third = registry.ask(a).unwrap();
    registry.tell(&invoke(2));
    assert!(second.try_recv().is_err());
    assert_eq!(third.try_recv(), Ok(invoke(2)));

    let shutdown = Event::Shutdown {
        reason: "SPINDOWN",
        deadline_ms: 2,
    };
    assert_eq!(registry.hear_of_shutdown(), [true, false]);
    registry.tell(&shutdown);
    assert_eq!(registry.ask(a).unwrap().try_recv(), Ok(shutdown));
    assert_eq!(registry.ended(0), Some("Extension.Crash"));
    assert_eq!(registry.ended(0), None);
}

#[test]
fn internal_extensions_come_during_init_and_hear_of_requests_only() {
    let mut registry = with(&["external"]);
    assert_eq!(
        registry.register("inner", BOTH),
        Err(Refusal::Event("SHUTDOWN".to_owned()))
    );
    registry.register("inner", INVOKE).unwrap();
    assert_eq!(registry.register("inner", INVOKE), Err(Refusal::Name));
    for number in 2..MAX_EXTENSIONS {
        registry.register(&number.to_string(), INVOKE).unwrap();
    }
    let refusal = registry.register("more", INVOKE).unwrap_err();
    assert_eq!(refusal.error_type(), "Extension.TooManyExtensions");
    assert_eq!(refusal.to_string(), "Extension limit (10) reached");
    registry.close();
    assert_eq!(registry.register("late", INVOKE), Err(Refusal::Closed));
    // Its process was started in time.
    registry.register("external", BOTH).unwrap();
}

#[test]
fn what_an_extension_says_of_its_end_is_what_it_ended_with() {
    let mut registry = with(&["a", "b", "c"]);
    let [a, b] = ["a", "b"].map(|name| registry.register(name, BOTH).unwrap());
    registry.fail_init(a, "Extension.Own".to_owned()).unwrap();
    assert_eq!(registry.ended(0), Some("Extension.InitError"));
    registry.ask(b).unwrap();
    assert!(registry.fail_init(b, String::new()).is_err());
    registry.fail(b, "Extension.Other".to_owned()).unwrap();
    assert!(registry.ask(b).is_err());
    assert_eq!(registry.ended(1), Some("Extension.ExitError"));
    registry.not_launched(2, "PermissionDenied");
    assert_eq!(registry.ended(2), None);
    let told = registry.summary();
    assert_eq!(told[0].error_type.as_deref(), Some("Extension.Own"));
    assert_eq!(
        (told[2].state, told[2].events.len()),
        (State::LaunchError, 0)
    );
}

proptest! {
    /// However extensions order their requests, and however long they flood: there are never more than there may be, a
    /// refused request changes nothing, and nobody is told what it did not ask for.
    #[test]
    fn no_order_breaks_a_registry(steps in proptest::collection::vec((0..6u8, 0..14usize), 0..200)) {
        let mut registry = with(&["0", "1"]);
        let mut ids = vec![Uuid::nil()];
        for (step, number) in steps {
            let before = registry.summary();
            let id = ids[number % ids.len()];
            let refused = match step {
                0 => match registry.register(&number.to_string(), INVOKE) {
                    Ok(id) => { ids.push(id); false }
                    Err(_) => true,
                },
                1 => registry.ask(id).is_err(),
                2 => registry.fail_init(id, "E".to_owned()).is_err(),
                3 => registry.fail(id, "E".to_owned()).is_err(),
                4 => { registry.tell(&invoke(number as u128)); false }
                _ => { registry.ended(number); false }
            };
            prop_assert!(!refused || registry.summary() == before);
            prop_assert!(registry.all.len() <= MAX_EXTENSIONS);
            prop_assert!(registry.summary().iter().all(|it| it.state != State::Started || it.events.is_empty()));
        }
    }
}
