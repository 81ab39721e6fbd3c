//! The smallest Rust function: greets whom the event names.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Request {
    #[serde(default = "world")]
    name: String,
}

#[derive(Serialize)]
struct Response {
    message: String,
    request_id: String,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    lambda_runtime::run(service_fn(greet)).await
}

async fn greet(event: LambdaEvent<Request>) -> Result<Response, Error> {
    Ok(Response {
        message: format!("hello {}", event.payload.name),
        request_id: event.context.request_id,
    })
}

fn world() -> String {
    "world".to_owned()
}
