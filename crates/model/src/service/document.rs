//! `lambda.json` as it stands in the file.

use std::collections::BTreeMap;

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Document {
    #[serde(rename = "source")]
    _source: String,
    pub(super) operations: BTreeMap<String, RawOperation>,
    pub(super) shapes: BTreeMap<String, RawShape>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawOperation {
    pub(super) method: String,
    pub(super) uri: String,
    pub(super) response_code: u16,
    pub(super) input: Option<String>,
    pub(super) output: Option<String>,
    pub(super) errors: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct RawShape {
    #[serde(rename = "type")]
    pub(super) kind: String,
    #[serde(default)]
    pub(super) required: Vec<String>,
    pub(super) min: Option<f64>,
    pub(super) max: Option<f64>,
    pub(super) pattern: Option<String>,
    #[serde(rename = "enum", default)]
    pub(super) values: Vec<String>,
    /// What the service takes besides, and does not tell of.
    #[serde(default)]
    pub(super) untold: Vec<String>,
    /// The service itself checks the enumeration.
    #[serde(default)]
    pub(super) open: bool,
    pub(super) payload: Option<String>,
    #[serde(default)]
    pub(super) sensitive: bool,
    /// In the order of the model, which is the order in which violations are named.
    #[serde(default)]
    pub(super) members: serde_json::Map<String, serde_json::Value>,
    pub(super) member: Option<RawMember>,
    pub(super) key: Option<RawMember>,
    pub(super) value: Option<RawMember>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct RawMember {
    pub(super) shape: String,
    pub(super) location: Option<String>,
    pub(super) location_name: Option<String>,
}
