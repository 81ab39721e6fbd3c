//! The log of an instance: what it has written reaches the store, whoever has taken it from the pipes.

use pilotlight_model::logging::LogFormat;

use super::*;
use crate::environment::Initialization;
use crate::platform_events::{PlatformEvent, Status};

#[tokio::test]
async fn what_is_read_for_an_event_without_lines_is_not_held_back() {
    let folder = tempfile::tempdir().unwrap();
    let store = LogStore::open(folder.path(), LIMITS).unwrap();
    let log = InstanceLog::new(store.clone(), group(), "stream".to_owned(), LogFormat::Text);
    let log = Arc::new(log);
    let (stdout, mut function) = std::io::pipe().unwrap();
    let (stderr, _function) = std::io::pipe().unwrap();
    log.open_telemetry();
    // The task that reads is never polled: the event comes before it has its turn.
    let _reading = log.attach(stdout.into(), stderr.into()).unwrap();
    let mut expected = Vec::new();
    let done = PlatformEvent::InitRuntimeDone {
        kind: Initialization::OnDemand,
        status: Status::Success,
    };
    let told: [&dyn Fn(); 2] = [&|| log.event(&done), &|| log.flush_telemetry()];
    for (number, tell) in told.iter().enumerate() {
        writeln!(function, "line {number}").unwrap();
        tell();
        expected.push(format!("line {number}"));
        store.written().await;
        let lines = store.read(group(), 0, 10).await.unwrap();
        assert_eq!(messages(&lines), expected);
    }
}
