//! The types of API errors, and what Lambda answers for each.

use http::StatusCode;

/// Which member of the error body carries the message; AWS differs by shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MessageKey {
    Upper,
    Lower,
}

/// The type of an API error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorKind {
    /// A member breaks a constraint of its shape (pattern, range, enumeration, presence).
    Validation,
    /// A member's meaning is wrong.
    InvalidParameterValue,
    /// The named thing is not there.
    ResourceNotFound,
    /// The named thing is there already, or is being changed.
    ResourceConflict,
    /// Nothing is provisioned for the named thing.
    ProvisionedConcurrencyConfigNotFound,
    /// RevisionId does not match.
    PreconditionFailed,
    /// Throttled; may be tried again.
    TooManyRequests,
    /// Body or code package over the limit.
    RequestEntityTooLarge,
    /// The function calls itself without end, through whatever.
    RecursiveInvocation,
    /// Invocation body is not JSON.
    InvalidRequestContent,
    /// Body is not JSON at all.
    Serialization,
    /// More code than the account may store.
    CodeStorageExceeded,
    /// More aliases than a function may have.
    AliasLimitExceeded,
    /// A function is to have a code signing configuration that is not there.
    CodeSigningConfigNotFound,
    /// Code without a signature, where one is asked for.
    CodeVerificationFailed,
    /// A resource policy over the limit.
    PolicyLengthExceeded,
    /// More of something than the account may have.
    QuotaExceeded,
    /// The operation is one that Pilotlight does not have.
    UnknownOperation,
    /// The caller may not.
    AccessDenied,
    /// Signature is missing.
    MissingAuthenticationToken,
    /// Signature does not match.
    InvalidSignature,
    /// Parts of the signature are missing or malformed.
    IncompleteSignature,
    /// The access key is not known.
    UnrecognizedClient,
    /// The fault is ours; may be tried again.
    Service,
}

impl ErrorKind {
    pub(super) fn row(self) -> (StatusCode, &'static str, MessageKey) {
        use MessageKey::{Lower, Upper};
        match self {
            ErrorKind::Validation => (StatusCode::BAD_REQUEST, "ValidationException", Lower),
            ErrorKind::InvalidParameterValue => (
                StatusCode::BAD_REQUEST,
                "InvalidParameterValueException",
                Lower,
            ),
            ErrorKind::ResourceNotFound => {
                (StatusCode::NOT_FOUND, "ResourceNotFoundException", Upper)
            }
            ErrorKind::ResourceConflict => {
                (StatusCode::CONFLICT, "ResourceConflictException", Lower)
            }
            ErrorKind::ProvisionedConcurrencyConfigNotFound => (
                StatusCode::NOT_FOUND,
                "ProvisionedConcurrencyConfigNotFoundException",
                Lower,
            ),
            ErrorKind::PreconditionFailed => (
                StatusCode::PRECONDITION_FAILED,
                "PreconditionFailedException",
                Lower,
            ),
            ErrorKind::TooManyRequests => (
                StatusCode::TOO_MANY_REQUESTS,
                "TooManyRequestsException",
                Lower,
            ),
            ErrorKind::RequestEntityTooLarge => (
                StatusCode::PAYLOAD_TOO_LARGE,
                "RequestEntityTooLargeException",
                Lower,
            ),
            ErrorKind::RecursiveInvocation => (
                StatusCode::BAD_REQUEST,
                "RecursiveInvocationException",
                Upper,
            ),
            ErrorKind::InvalidRequestContent => (
                StatusCode::BAD_REQUEST,
                "InvalidRequestContentException",
                Lower,
            ),
            ErrorKind::Serialization => (StatusCode::BAD_REQUEST, "SerializationException", Upper),
            ErrorKind::CodeStorageExceeded => (
                StatusCode::BAD_REQUEST,
                "CodeStorageExceededException",
                Lower,
            ),
            ErrorKind::AliasLimitExceeded => (
                StatusCode::BAD_REQUEST,
                "AliasLimitExceededException",
                Lower,
            ),
            ErrorKind::CodeSigningConfigNotFound => (
                StatusCode::NOT_FOUND,
                "CodeSigningConfigNotFoundException",
                Upper,
            ),
            ErrorKind::CodeVerificationFailed => (
                StatusCode::BAD_REQUEST,
                "CodeVerificationFailedException",
                Upper,
            ),
            ErrorKind::PolicyLengthExceeded => (
                StatusCode::BAD_REQUEST,
                "PolicyLengthExceededException",
                Lower,
            ),
            ErrorKind::QuotaExceeded => (
                StatusCode::BAD_REQUEST,
                "ServiceQuotaExceededException",
                Upper,
            ),
            ErrorKind::UnknownOperation => {
                (StatusCode::NOT_FOUND, "UnknownOperationException", Upper)
            }
            ErrorKind::AccessDenied => (StatusCode::FORBIDDEN, "AccessDeniedException", Upper),
            ErrorKind::MissingAuthenticationToken => (
                StatusCode::FORBIDDEN,
                "MissingAuthenticationTokenException",
                Lower,
            ),
            ErrorKind::InvalidSignature => {
                (StatusCode::FORBIDDEN, "InvalidSignatureException", Lower)
            }
            ErrorKind::IncompleteSignature => {
                (StatusCode::FORBIDDEN, "IncompleteSignatureException", Lower)
            }
            ErrorKind::UnrecognizedClient => {
                (StatusCode::FORBIDDEN, "UnrecognizedClientException", Lower)
            }
            ErrorKind::Service => (StatusCode::INTERNAL_SERVER_ERROR, "ServiceException", Upper),
        }
    }

    /// HTTP status of Lambda's answer.
    pub fn status(self) -> StatusCode {
        self.row().0
    }

    /// Value of `x-amzn-ErrorType` of Lambda's answer.
    pub fn type_name(self) -> &'static str {
        self.row().1
    }
}
