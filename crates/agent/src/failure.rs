//! The one place that words a failed invocation as Lambda does: error type, message, payload.

use std::time::Duration;

use bytes::Bytes;
use pilotlight_model::ids::RequestId;
use serde_json::json;

use crate::launcher::Exit;

/// Value of `X-Amz-Function-Error`; Lambda has no other any more.
pub(crate) const UNHANDLED: &str = "Unhandled";

/// Why a function has no answer of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The handler ran longer than the function may.
    TimedOut(Duration),
    /// The runtime ended before it answered.
    Exited { exit: Exit, out_of_memory: bool },
    /// There is no program to run, in words.
    InvalidEntrypoint(String),
    /// The answer has more bytes than one of its kind may have.
    TooLarge { limit: u64 },
    /// An extension ended, or could not be started, in words.
    Extension {
        error_type: &'static str,
        cause: String,
    },
    /// The runtime reported that it cannot start: error type and body as it gave them.
    Init { error_type: String, body: Bytes },
}

impl Failure {
    /// The error type, as REPORT and the payload show it.
    pub(crate) fn error_type(&self) -> &str {
        match self {
            Failure::TimedOut(_) => "Sandbox.Timedout",
            Failure::Exited {
                out_of_memory: true,
                ..
            } => "Runtime.OutOfMemory",
            Failure::Exited { .. } => "Runtime.ExitError",
            Failure::InvalidEntrypoint(_) => "Runtime.InvalidEntrypoint",
            Failure::TooLarge { .. } => "Function.ResponseSizeTooLarge",
            Failure::Extension { error_type, .. } => error_type,
            Failure::Init { error_type, .. } => error_type,
        }
    }

    /// What the caller gets.
    pub(crate) fn payload(&self, request: RequestId) -> Bytes {
        if let Failure::Init { body, error_type } = self {
            return init_payload(body, error_type, request);
        }
        let message = match self.cause() {
            Some(cause) => format!("RequestId: {request} Error: {cause}"),
            None => self.message(),
        };
        object(self.error_type(), &message)
    }

    /// The part of the message behind `Error: `, for failures of the environment.
    fn cause(&self) -> Option<String> {
        match self {
            Failure::TooLarge { .. } => None,
            other => Some(other.message()),
        }
    }

    fn message(&self) -> String {
        match self {
            Failure::TimedOut(limit) => timed_out(*limit),
            Failure::Exited {
                exit: Exit::Code(0),
                ..
            } => "Runtime exited without providing a reason".to_owned(),
            Failure::Exited { exit, .. } => format!("Runtime exited with error: {exit}"),
            Failure::InvalidEntrypoint(why) => why.clone(),
            Failure::Extension { cause, .. } => cause.clone(),
            Failure::TooLarge { limit } => format!(
                "Response payload size exceeded maximum allowed payload size ({limit} bytes)."
            ),
            Failure::Init { error_type, .. } => error_type.clone(),
        }
    }
}

/// `Task timed out after 1.00 seconds`.
pub(crate) fn timed_out(limit: Duration) -> String {
    format!("Task timed out after {:.2} seconds", limit.as_secs_f64())
}

fn object(error_type: &str, message: &str) -> Bytes {
    json!({ "errorType": error_type, "errorMessage": message })
        .to_string()
        .into()
}

/// The runtime's own words, as they are: its init knows of no request, and its `requestId` is empty.
fn init_payload(body: &Bytes, error_type: &str, request: RequestId) -> Bytes {
    if body.is_empty() {
        return object(
            error_type,
            &format!("RequestId: {request} Error: {error_type}"),
        );
    }
    body.clone()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn payload(failure: &Failure) -> Value {
        let id = RequestId(uuid::Uuid::nil());
        serde_json::from_slice(&failure.payload(id)).unwrap()
    }

    #[test]
    fn failures_are_worded_as_lambda_words_them() {
        let id = "00000000-0000-0000-0000-000000000000";
        let timeout = payload(&Failure::TimedOut(Duration::from_secs(1)));
        assert_eq!(
            timeout["errorMessage"],
            format!("RequestId: {id} Error: Task timed out after 1.00 seconds")
        );
        let silent = Failure::Exited {
            exit: Exit::Code(0),
            out_of_memory: false,
        };
        assert_eq!(
            payload(&silent)["errorMessage"],
            format!("RequestId: {id} Error: Runtime exited without providing a reason")
        );
        let code = Failure::Exited {
            exit: Exit::Code(1),
            out_of_memory: false,
        };
        assert_eq!(
            payload(&code)["errorMessage"],
            format!("RequestId: {id} Error: Runtime exited with error: exit status 1")
        );
        let oom = Failure::Exited {
            exit: Exit::Signal(9),
            out_of_memory: true,
        };
        assert_eq!(payload(&oom)["errorType"], "Runtime.OutOfMemory");
        assert_eq!(
            payload(&oom)["errorMessage"],
            format!("RequestId: {id} Error: Runtime exited with error: signal: killed")
        );
        assert_eq!(
            payload(&Failure::TooLarge { limit: 6_291_556 })["errorMessage"],
            "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
        );
    }

    #[test]
    fn an_init_error_keeps_the_runtime_s_words() {
        let failure = |body: &'static str| Failure::Init {
            error_type: "Runtime.ImportModuleError".to_owned(),
            body: Bytes::from_static(body.as_bytes()),
        };
        let told = payload(&failure(r#"{"errorMessage":"no","requestId":""}"#));
        assert_eq!(told["requestId"], "");
        assert_eq!(told["errorMessage"], "no");
        assert_eq!(
            payload(&failure(""))["errorType"],
            "Runtime.ImportModuleError"
        );
        let id = RequestId(uuid::Uuid::nil());
        assert_eq!(failure("garbage").payload(id), "garbage");
    }
}
