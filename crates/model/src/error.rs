//! The errors of the AWS APIs: the one place that maps an error to a status, a type and a body. Lambda's
//! are here, those of the other services in [`services`].
//! Source: the service model of AWS Lambda (2015-03-31) as botocore publishes it.

mod kind;
mod services;

use std::fmt;

use serde_json::{Value, json};

use kind::MessageKey;

pub use kind::ErrorKind;

/// Why a request was throttled: `Reason` of `TooManyRequestsException`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ThrottleReason {
    /// The concurrency that the account's functions share is used up.
    ConcurrentInvocationLimitExceeded,
    /// The concurrency that is reserved for the function is used up.
    ReservedFunctionConcurrentInvocationLimitExceeded,
    /// The caller's rate is used up.
    CallerRateLimitExceeded,
}

impl ThrottleReason {
    fn as_str(self) -> &'static str {
        match self {
            Self::ConcurrentInvocationLimitExceeded => "ConcurrentInvocationLimitExceeded",
            Self::ReservedFunctionConcurrentInvocationLimitExceeded => {
                "ReservedFunctionConcurrentInvocationLimitExceeded"
            }
            Self::CallerRateLimitExceeded => "CallerRateLimitExceeded",
        }
    }
}

/// An error as an AWS API answers it; named after the first one here.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}: {message}", kind.type_name())]
pub struct LambdaError {
    /// Its type.
    pub kind: ErrorKind,
    /// What a person reads.
    pub message: String,
    /// Set on throttling.
    pub throttle: Option<ThrottleReason>,
    /// Whether Lambda's body says whose fault it is (`Type`).
    typed: bool,
}

impl LambdaError {
    /// An error of that type with that message.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            throttle: None,
            typed: true,
        }
    }

    /// Leaves `Type` out of Lambda's body: a few of AWS's errors come without it.
    pub fn without_type(self) -> Self {
        Self {
            typed: false,
            ..self
        }
    }

    /// 404 for a function or version, worded as AWS words it.
    pub fn function_not_found(arn: &str) -> Self {
        Self::new(
            ErrorKind::ResourceNotFound,
            format!("Function not found: {arn}"),
        )
    }

    /// 400 for an invocation that would go on with a loop.
    pub fn recursive() -> Self {
        Self::new(
            ErrorKind::RecursiveInvocation,
            "Lambda has detected your function being invoked in a recursive loop with other AWS resources \
             and stopped your function's invocation.",
        )
    }

    /// 400 for a function whose code is loaded from a folder that is not there.
    pub fn code_missing(folder: &std::path::Path) -> Self {
        Self::new(
            ErrorKind::InvalidParameterValue,
            format!(
                "The folder {} that the function's code is loaded from does not exist.",
                folder.display()
            ),
        )
    }

    /// 429 with AWS's own words.
    pub fn throttled(reason: ThrottleReason) -> Self {
        Self {
            throttle: Some(reason),
            ..Self::new(ErrorKind::TooManyRequests, "Rate Exceeded.")
        }
    }

    /// Lambda's JSON body.
    pub fn body(&self) -> Value {
        let (_, _, key) = self.kind.row();
        let side = if self.kind == ErrorKind::Service {
            "Service"
        } else {
            "User"
        };
        let mut body = match key {
            MessageKey::Upper => json!({ "Type": side, "Message": self.message }),
            MessageKey::Lower => json!({ "Type": side, "message": self.message }),
        };
        if let Some(reason) = self.throttle {
            body["Reason"] = json!(reason.as_str());
        }
        if !self.typed
            && let Some(body) = body.as_object_mut()
        {
            body.shift_remove("Type");
        }
        body
    }

    /// Lambda's whole answer: status, `x-amzn-ErrorType`, `Retry-After` where it applies, and the body.
    pub fn response(&self) -> http::Response<bytes::Bytes> {
        let mut builder = http::Response::builder()
            .status(self.kind.status())
            .header(http::header::CONTENT_TYPE, "application/json")
            .header("x-amzn-ErrorType", self.kind.type_name());
        // AWS tells no time where the function's own reservation is the limit.
        let reserved = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
        if self.throttle.is_some_and(|reason| reason != reserved) {
            builder = builder.header(http::header::RETRY_AFTER, "1");
        }
        builder
            .body(bytes::Bytes::from(self.body().to_string()))
            .expect("status and headers are constants and valid")
    }
}

/// Shows an error with all its causes, for logs: "cannot open x: permission denied".
#[derive(Debug, Clone, Copy)]
pub struct Causes<'a>(pub &'a (dyn std::error::Error + 'a));

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        std::iter::successors(self.0.source(), |error| error.source())
            .try_for_each(|cause| write!(f, ": {cause}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_are_shown_in_order() {
        #[derive(Debug, thiserror::Error)]
        #[error("cannot open x")]
        struct Outer(#[source] std::io::Error);
        let error = Outer(std::io::ErrorKind::StorageFull.into());
        assert_eq!(
            Causes(&error).to_string(),
            "cannot open x: no storage space"
        );
    }

    #[test]
    fn message_key_follows_the_shape() {
        let missing = LambdaError::function_not_found("arn:x").response();
        assert_eq!(missing.status(), 404);
        assert_eq!(
            missing.headers()["x-amzn-errortype"],
            "ResourceNotFoundException"
        );
        assert_eq!(
            missing.body().as_ref(),
            br#"{"Type":"User","Message":"Function not found: arn:x"}"#
        );
        let throttled = LambdaError::throttled(ThrottleReason::ConcurrentInvocationLimitExceeded);
        assert_eq!(throttled.response().headers()["retry-after"], "1");
        assert_eq!(
            throttled.body()["Reason"],
            "ConcurrentInvocationLimitExceeded"
        );
        let reserved = LambdaError::throttled(
            ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded,
        );
        assert!(!reserved.response().headers().contains_key("retry-after"));
    }
}
