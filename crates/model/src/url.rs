//! Function URLs: HTTP addresses of functions, as they are configured.
//! Source: "Creating and managing Lambda function URLs" of the AWS Lambda developer guide.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, AliasName, FunctionName, Region, UrlId};

/// One function URL as a request to it sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct FunctionUrl {
    /// Its own name.
    pub id: UrlId,
    /// Account of the function.
    pub account: AccountId,
    /// Region of the function.
    pub region: Region,
    /// The function.
    pub name: FunctionName,
    /// The alias that it invokes; `$LATEST` without one.
    pub alias: Option<AliasName>,
    /// Who may call it.
    pub auth: AuthType,
    /// How its answers come.
    pub mode: InvokeMode,
    /// What browsers are told.
    pub cors: Option<Cors>,
}

/// `AuthType`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum AuthType {
    /// Everyone who can reach it.
    #[serde(rename = "NONE")]
    None,
    /// Who signs the request with an access key that may invoke the function.
    #[serde(rename = "AWS_IAM")]
    Iam,
}

/// `InvokeMode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InvokeMode {
    /// Whole, when the function has ended.
    #[default]
    #[serde(rename = "BUFFERED")]
    Buffered,
    /// As the function writes them.
    #[serde(rename = "RESPONSE_STREAM")]
    Stream,
}

/// Cross-origin resource sharing: what browsers are told of who may call the URL, and how. What is absent was not
/// configured.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Cors {
    /// Whether cookies and the like may come along.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_credentials: Option<bool>,
    /// Headers that requests may have.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_headers: Option<Vec<String>>,
    /// Methods that requests may use.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_methods: Option<Vec<String>>,
    /// Origins whose pages may call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allow_origins: Option<Vec<String>>,
    /// Headers of answers that pages may read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose_headers: Option<Vec<String>>,
    /// Seconds for which a browser may remember all this.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age: Option<u32>,
}
