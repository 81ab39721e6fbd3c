//! An instance alone, where the order of things can be chosen.

use pilotlight_model::ids::{AccountId, Region};
use pilotlight_model::logging::LogFormat;

use super::*;
use crate::launcher::Exit;
use crate::logs::{LogGroup, LogLimits, LogStore};
use crate::tests::{request, spec};

/// An instance whose runtime has asked for its first event.
fn ready(folder: &tempfile::TempDir) -> (Instance, oneshot::Receiver<Event>) {
    let limits = LogLimits {
        group: 1 << 20,
        account: 1 << 30,
    };
    let store = LogStore::open(folder.path(), limits).unwrap();
    let group = LogGroup {
        account: AccountId::default(),
        region: Region::default(),
        name: "g".to_owned(),
    };
    let log = Arc::new(InstanceLog::new(
        store,
        group,
        "stream".to_owned(),
        LogFormat::Text,
    ));
    let trace = StartTrace::admitted(clock::now());
    let instance = Instance::new(InstanceId(1), Arc::new(spec()), log, Arc::default(), trace);
    match instance.ask(InitMarks::default()) {
        Ok(Next::Wait { event, .. }) => (instance, event),
        _ => panic!("there is no event yet"),
    }
}

fn killed() -> Option<Failure> {
    Some(Failure::Exited {
        exit: Exit::Signal(9),
        out_of_memory: false,
    })
}

#[tokio::test]
async fn an_event_that_the_runtime_never_saw_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (instance, waiting) = ready(&folder);
    let wanted = request(&Arc::new(spec()), "1");
    let id = wanted.request_id;
    let ended = instance.deliver(wanted, StartKind::Warm).unwrap();
    // The event was on its way when the process died.
    drop(waiting);
    instance.end(killed());
    match ended.await.unwrap() {
        Ended::Undelivered(request) => assert_eq!(request.request_id, id),
        Ended::Answered(reply) => panic!("{reply:?}"),
    }
}

#[tokio::test]
async fn an_event_that_the_runtime_may_have_seen_is_not_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (instance, waiting) = ready(&folder);
    let ended = instance
        .deliver(request(&Arc::new(spec()), "1"), StartKind::Warm)
        .unwrap();
    waiting.await.unwrap();
    instance.fetched();
    instance.end(killed());
    match ended.await.unwrap() {
        Ended::Answered(reply) => assert_eq!(reply.function_error, Some("Unhandled")),
        Ended::Undelivered(_) => panic!("the function may have run"),
    }
}

#[tokio::test]
async fn an_event_whose_connection_broke_waits_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let (instance, waiting) = ready(&folder);
    drop(waiting);
    let wanted = request(&Arc::new(spec()), "1");
    let id = wanted.request_id;
    let _ended = instance.deliver(wanted, StartKind::Warm).unwrap();
    match instance.ask(InitMarks::default()) {
        Ok(Next::Event(event)) => assert_eq!(event.request_id, id),
        _ => panic!("the event was waiting"),
    }
}

#[tokio::test]
async fn a_second_request_is_given_back() {
    let folder = tempfile::tempdir().unwrap();
    let (instance, _waiting) = ready(&folder);
    let first = request(&Arc::new(spec()), "1");
    let _ended = instance.deliver(first, StartKind::Warm).unwrap();
    let second = request(&Arc::new(spec()), "2");
    let id = second.request_id;
    let given_back = instance.deliver(second, StartKind::Warm).unwrap_err();
    assert_eq!(given_back.request_id, id);
}

#[tokio::test]
async fn an_ended_instance_takes_no_request() {
    let folder = tempfile::tempdir().unwrap();
    let (instance, _waiting) = ready(&folder);
    instance.end(killed());
    let wanted = request(&Arc::new(spec()), "1");
    let id = wanted.request_id;
    assert_eq!(
        instance
            .deliver(wanted, StartKind::Warm)
            .unwrap_err()
            .request_id,
        id
    );
}
