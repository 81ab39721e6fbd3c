//! How the services besides Lambda write an error. Sources: the service models of EventBridge Scheduler
//! (2021-06-30), CloudWatch Logs (2014-03-28) and the Security Token Service (2011-06-15) as botocore publishes
//! them; "AWS JSON 1.1 protocol", "AWS restJson1 protocol" and "AWS query protocol" of Smithy; "Common errors" of the
//! reference of the Security Token Service.

use bytes::Bytes;
use http::{Response, StatusCode, header};
use serde_json::json;

use super::{ErrorKind, LambdaError};
use crate::service::{ApiId, STS_NAMESPACE};

impl LambdaError {
    /// The whole answer as that API writes it.
    pub fn response_of(&self, api: ApiId) -> Response<Bytes> {
        let message = &self.message;
        let ((status, name), kind, body) = match api {
            ApiId::Lambda => return self.response(),
            ApiId::Scheduler => (
                scheduler(self.kind),
                "application/json",
                json!({ "Message": message }).to_string(),
            ),
            ApiId::Logs => {
                let (status, name) = logs(self.kind);
                (
                    (status, name),
                    "application/x-amz-json-1.1",
                    json!({ "__type": name, "message": message }).to_string(),
                )
            }
            ApiId::Sts => {
                let (status, name) = sts(self.kind);
                ((status, name), "text/xml", xml(status, name, message))
            }
        };
        Response::builder()
            .status(status)
            .header(header::CONTENT_TYPE, kind)
            .header("x-amzn-ErrorType", name)
            .body(body.into())
            .expect("status and headers are constants and valid")
    }
}

fn scheduler(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::InvalidParameterValue | ErrorKind::InvalidRequestContent => {
            (StatusCode::BAD_REQUEST, "ValidationException")
        }
        ErrorKind::ResourceConflict | ErrorKind::PreconditionFailed => {
            (StatusCode::CONFLICT, "ConflictException")
        }
        ErrorKind::QuotaExceeded | ErrorKind::CodeStorageExceeded => (
            StatusCode::PAYMENT_REQUIRED,
            "ServiceQuotaExceededException",
        ),
        ErrorKind::TooManyRequests => (StatusCode::TOO_MANY_REQUESTS, "ThrottlingException"),
        ErrorKind::Service => (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerException"),
        other => (other.status(), other.type_name()),
    }
}

/// Every fault of the client is a 400 in this protocol.
fn logs(kind: ErrorKind) -> (StatusCode, &'static str) {
    let name = match kind {
        ErrorKind::Validation | ErrorKind::InvalidParameterValue => "InvalidParameterException",
        // Members that exclude each other.
        ErrorKind::InvalidRequestContent => "ValidationException",
        ErrorKind::ResourceConflict => "ResourceAlreadyExistsException",
        ErrorKind::QuotaExceeded | ErrorKind::CodeStorageExceeded => "LimitExceededException",
        ErrorKind::TooManyRequests => "ThrottlingException",
        ErrorKind::Service => {
            return (
                StatusCode::INTERNAL_SERVER_ERROR,
                "ServiceUnavailableException",
            );
        }
        other => other.type_name(),
    };
    (StatusCode::BAD_REQUEST, name)
}

fn sts(kind: ErrorKind) -> (StatusCode, &'static str) {
    match kind {
        ErrorKind::UnknownOperation => (StatusCode::BAD_REQUEST, "InvalidAction"),
        ErrorKind::MissingAuthenticationToken => {
            (StatusCode::FORBIDDEN, "MissingAuthenticationToken")
        }
        ErrorKind::InvalidSignature => (StatusCode::FORBIDDEN, "SignatureDoesNotMatch"),
        ErrorKind::IncompleteSignature => (StatusCode::BAD_REQUEST, "IncompleteSignature"),
        ErrorKind::UnrecognizedClient => (StatusCode::FORBIDDEN, "InvalidClientTokenId"),
        ErrorKind::TooManyRequests => (StatusCode::BAD_REQUEST, "Throttling"),
        ErrorKind::Service => (StatusCode::INTERNAL_SERVER_ERROR, "InternalFailure"),
        other => (other.status(), other.type_name()),
    }
}

fn xml(status: StatusCode, code: &str, message: &str) -> String {
    let fault = match status.is_server_error() {
        true => "Receiver",
        false => "Sender",
    };
    let message = message
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;");
    format!(
        "<ErrorResponse xmlns=\"{STS_NAMESPACE}\">\n  <Error>\n    <Type>{fault}</Type>\n    <Code>{code}</Code>\n    \
         <Message>{message}</Message>\n  </Error>\n</ErrorResponse>\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_own_words() {
        let error = LambdaError::new(ErrorKind::ResourceConflict, "There is one.");
        let shown = |api| {
            let response = error.response_of(api);
            let name = response.headers()["x-amzn-errortype"]
                .to_str()
                .unwrap()
                .to_owned();
            let body = String::from_utf8(response.body().to_vec()).unwrap();
            (response.status().as_u16(), name, body)
        };
        let expect = |status, name: &str, body: &str| (status, name.to_owned(), body.to_owned());
        assert_eq!(
            shown(ApiId::Lambda),
            expect(
                409,
                "ResourceConflictException",
                r#"{"Type":"User","message":"There is one."}"#
            )
        );
        assert_eq!(
            shown(ApiId::Scheduler),
            expect(409, "ConflictException", r#"{"Message":"There is one."}"#)
        );
        assert_eq!(
            shown(ApiId::Logs),
            expect(
                400,
                "ResourceAlreadyExistsException",
                r#"{"__type":"ResourceAlreadyExistsException","message":"There is one."}"#
            )
        );
        let unknown = LambdaError::new(ErrorKind::UnknownOperation, "No <Action> & such.");
        let response = unknown.response_of(ApiId::Sts);
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        let body = String::from_utf8(response.body().to_vec()).unwrap();
        assert!(body.contains("<Code>InvalidAction</Code>"), "{body}");
        assert!(body.contains("No &lt;Action&gt; &amp; such."), "{body}");
    }
}
