//! Tells on its standard output of every event and of all telemetry that it gets.

use lambda_extension::{
    Error, Extension, LambdaEvent, LambdaTelemetry, LambdaTelemetryRecord, NextEvent,
    SharedService, service_fn,
};

async fn event(event: LambdaEvent) -> Result<(), Error> {
    match event.next {
        NextEvent::Invoke(invoke) => println!("rust INVOKE {}", invoke.request_id),
        NextEvent::Shutdown(shutdown) => println!("rust SHUTDOWN {}", shutdown.shutdown_reason),
    }
    Ok(())
}

async fn telemetry(events: Vec<LambdaTelemetry>) -> Result<(), Error> {
    for event in events {
        match event.record {
            LambdaTelemetryRecord::Function(line) => println!("rust function {}", line.trim_end()),
            LambdaTelemetryRecord::PlatformReport { request_id, metrics, .. } => {
                println!("rust report {request_id} {}", metrics.billed_duration_ms);
            }
            LambdaTelemetryRecord::PlatformRuntimeDone { request_id, status, .. } => {
                println!("rust runtimeDone {request_id} {status:?}");
            }
            LambdaTelemetryRecord::PlatformInitStart { .. } => println!("rust initStart"),
            _ => {}
        }
    }
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let telemetry = SharedService::new(service_fn(telemetry));
    let extension = Extension::new()
        .with_events_processor(service_fn(event))
        .with_telemetry_types(&["platform", "function"])
        .with_telemetry_processor(telemetry);
    extension.run().await
}
