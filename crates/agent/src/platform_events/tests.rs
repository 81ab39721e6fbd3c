//! What events say, as text and as JSON.

use super::*;

fn report() -> Report {
    Report {
        request: RequestId(uuid::Uuid::nil()),
        duration: Duration::from_micros(3_010),
        init: Some(Duration::from_micros(110_100)),
        restore: None,
        memory_mb: 128,
        peak_bytes: 36 * 1024 * 1024,
        failure: None,
        error: false,
        overhead: None,
        trace: String::new(),
    }
}

fn line(report: &Report) -> String {
    PlatformEvent::Report(report.clone()).lines().remove(1)
}

#[test]
fn report_reads_as_lambda_s_does() {
    let mut report = report();
    assert_eq!(
        PlatformEvent::Report(report.clone()).lines(),
        [
            "END RequestId: 00000000-0000-0000-0000-000000000000",
            "REPORT RequestId: 00000000-0000-0000-0000-000000000000\tDuration: 3.01 ms\tBilled Duration: 114 ms\tMemory Size: 128 MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t",
        ]
    );
    report.init = None;
    report.restore = Some(Duration::from_micros(2_350));
    assert!(line(&report).contains("\tBilled Duration: 4 ms\t"));
    assert!(line(&report).ends_with(
        "Max Memory Used: 36 MB\tRestore Duration: 2.35 ms\tBilled Restore Duration: 0 ms\t"
    ));
    report.restore = None;
    report.failure = Some(Failure::TimedOut(Duration::from_secs(1)));
    assert!(line(&report).ends_with("Max Memory Used: 36 MB\tStatus: timeout\t"));
    report.failure = Some(Failure::InvalidEntrypoint(String::new()));
    assert!(line(&report).ends_with("\tStatus: error\tError Type: Runtime.InvalidEntrypoint\t"));
}

#[test]
fn a_timeout_s_line_carries_the_time() {
    let at = time::macros::datetime!(2026-03-04 05:06:07.089 UTC);
    assert_eq!(
        task_timed_out(at, RequestId(uuid::Uuid::nil()), Duration::from_secs(3)),
        "2026-03-04T05:06:07.089Z 00000000-0000-0000-0000-000000000000 Task timed out after 3.00 seconds"
    );
}

#[test]
fn a_report_is_the_same_in_json() {
    let event = PlatformEvent::Report(Report {
        error: true,
        trace: "Root=1".to_owned(),
        ..report()
    });
    let at = time::macros::datetime!(2026-03-04 05:06:07.089 UTC);
    assert_eq!(
        envelope(at, event.name(), event.record()).to_string(),
        r#"{"time":"2026-03-04T05:06:07.089Z","type":"platform.report","record":{"requestId":"00000000-0000-0000-0000-000000000000","metrics":{"durationMs":3.01,"billedDurationMs":114,"memorySizeMB":128,"maxMemoryUsedMB":36,"initDurationMs":110.1},"status":"error","errorType":"Function.Unknown","tracing":{"type":"X-Amzn-Trace-Id","value":"Root=1"}}}"#
    );
    assert_eq!(event.level(), LogLevel::Warn);
}

#[test]
fn the_spans_of_an_answer_follow_each_other() {
    let done = RuntimeDone {
        request: RequestId(uuid::Uuid::nil()),
        status: Status::Success,
        trace: String::new(),
        began: time::macros::datetime!(2026-03-04 05:06:07.089 UTC),
        duration: Duration::from_millis(30),
        answer: Some(AnswerTimes {
            latency: Duration::from_millis(11),
            duration: Duration::from_millis(4),
            bytes: 16,
        }),
    };
    let event = PlatformEvent::RuntimeDone(done);
    assert_eq!(
        event.record().to_string(),
        r#"{"requestId":"00000000-0000-0000-0000-000000000000","status":"success","spans":[{"name":"responseLatency","start":"2026-03-04T05:06:07.089Z","durationMs":11.0},{"name":"responseDuration","start":"2026-03-04T05:06:07.100Z","durationMs":4.0},{"name":"runtimeOverhead","start":"2026-03-04T05:06:07.104Z","durationMs":15.0}],"metrics":{"durationMs":30.0,"producedBytes":16}}"#
    );
    assert_eq!(event.level(), LogLevel::Debug);
    assert!(event.lines().is_empty());
}
