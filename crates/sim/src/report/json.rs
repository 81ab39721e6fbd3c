//! The report as JSON.

use serde::Serialize;

use super::{Report, Setting, Summary};

/// Name and version of the form.
const FORMAT: (&str, u32) = ("pilotlight-simulation", 1);

#[derive(Serialize)]
struct Whole<'a> {
    format: &'static str,
    version: u32,
    setting: &'a Setting,
    policies: &'a [Summary],
}

impl Report {
    /// The report as one JSON object, on several lines.
    pub fn json(&self) -> String {
        let whole = Whole {
            format: FORMAT.0,
            version: FORMAT.1,
            setting: &self.setting,
            policies: &self.policies,
        };
        let mut text = serde_json::to_string_pretty(&whole).expect("plain values are JSON");
        text.push('\n');
        text
    }
}
