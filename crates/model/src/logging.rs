//! How a function's logs are written: as text, or as JSON from a level on.
//! Source: "Configuring advanced logging controls for Lambda functions" of the AWS Lambda developer guide.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::ids::InvalidId;

/// Importance of a log line, least first.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    /// The finest; applications only.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happens as it should. The default.
    #[default]
    Info,
    /// What should not have happened.
    Warn,
    /// What failed; applications only.
    Error,
    /// What ends the application; applications only.
    Fatal,
}

impl LogLevel {
    /// Every level, least first.
    pub const ALL: [LogLevel; 6] = [
        LogLevel::Trace,
        LogLevel::Debug,
        LogLevel::Info,
        LogLevel::Warn,
        LogLevel::Error,
        LogLevel::Fatal,
    ];

    /// The name in the Lambda API.
    pub fn as_str(self) -> &'static str {
        match self {
            LogLevel::Trace => "TRACE",
            LogLevel::Debug => "DEBUG",
            LogLevel::Info => "INFO",
            LogLevel::Warn => "WARN",
            LogLevel::Error => "ERROR",
            LogLevel::Fatal => "FATAL",
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for LogLevel {
    type Err = InvalidId;
    fn from_str(text: &str) -> Result<Self, InvalidId> {
        Self::ALL
            .into_iter()
            .find(|level| level.as_str() == text)
            .ok_or_else(|| InvalidId {
                what: "log level",
                text: text.to_owned(),
            })
    }
}

/// Format of a function's log. Only JSON lines have a level, so only they can be chosen by it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum LogFormat {
    /// Lines as the runtime and the platform have always written them.
    #[default]
    Text,
    /// One JSON object a line.
    #[serde(rename = "JSON")]
    Json {
        /// The least important lines of the function that are written.
        application: LogLevel,
        /// The least important lines of the platform that are written: DEBUG, INFO or WARN.
        system: LogLevel,
    },
}

impl LogFormat {
    /// The name in the Lambda API, which is also the value of `AWS_LAMBDA_LOG_FORMAT`.
    pub fn as_str(self) -> &'static str {
        match self {
            LogFormat::Text => "Text",
            LogFormat::Json { .. } => "JSON",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_keep_their_stored_form() {
        let json = LogFormat::Json {
            application: LogLevel::Warn,
            system: LogLevel::Debug,
        };
        let text = r#"{"JSON":{"application":"WARN","system":"DEBUG"}}"#;
        assert_eq!(serde_json::to_string(&json).unwrap(), text);
        assert_eq!(serde_json::from_str::<LogFormat>(text).unwrap(), json);
        assert_eq!(
            serde_json::from_str::<LogFormat>("\"Text\"").unwrap(),
            LogFormat::Text
        );
    }

    #[test]
    fn levels_are_in_order_and_read_as_they_print() {
        assert!(LogLevel::ALL.is_sorted());
        for level in LogLevel::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
        assert!("info".parse::<LogLevel>().is_err());
    }
}
