//! `LoggingConfig`: what of it makes sense together, and how it is shown.

use pilotlight_model::LambdaError;
use pilotlight_model::logging::{LogFormat, LogLevel};
use serde::{Deserialize, Serialize};

use super::invalid;
use crate::catalog::record::Settings;

/// As a request gives it. The service model has checked the values.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct LoggingChanges {
    log_format: Option<String>,
    application_log_level: Option<LogLevel>,
    system_log_level: Option<LogLevel>,
    log_group: Option<String>,
}

impl LoggingChanges {
    /// The format after the change. A format that is given starts with AWS's default levels; levels alone
    /// change those of a JSON format that is there.
    pub(super) fn format(&self, before: LogFormat) -> Result<LogFormat, LambdaError> {
        let base = match self.log_format.as_deref() {
            Some("JSON") => LogFormat::Json {
                application: LogLevel::default(),
                system: LogLevel::default(),
            },
            Some(_) => LogFormat::Text,
            None => before,
        };
        match base {
            LogFormat::Text
                if self.application_log_level.is_some() || self.system_log_level.is_some() =>
            {
                Err(invalid(
                    "LogLevel is not supported when LogFormat is set to \"Text\". Remove LogLevel \
                     from your request or change the LogFormat to \"JSON\" and try again.",
                ))
            }
            LogFormat::Text => Ok(LogFormat::Text),
            LogFormat::Json {
                application,
                system,
            } => Ok(LogFormat::Json {
                application: self.application_log_level.unwrap_or(application),
                system: self.system_log_level.unwrap_or(system),
            }),
        }
    }

    /// The log group, where one is given.
    pub(super) fn log_group(&self) -> Option<&str> {
        self.log_group.as_deref()
    }
}

/// As a configuration shows it. Text has no levels.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Logging {
    log_format: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    application_log_level: Option<LogLevel>,
    #[serde(skip_serializing_if = "Option::is_none")]
    system_log_level: Option<LogLevel>,
    log_group: String,
}

impl Logging {
    pub(super) fn of(settings: &Settings) -> Self {
        let (application_log_level, system_log_level) = match settings.log_format {
            LogFormat::Text => (None, None),
            LogFormat::Json {
                application,
                system,
            } => (Some(application), Some(system)),
        };
        Self {
            log_format: settings.log_format.as_str(),
            application_log_level,
            system_log_level,
            log_group: settings.log_group.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(before: LogFormat, request: &str) -> Result<LogFormat, LambdaError> {
        serde_json::from_str::<LoggingChanges>(request)
            .unwrap()
            .format(before)
    }

    fn json(application: LogLevel, system: LogLevel) -> LogFormat {
        LogFormat::Json {
            application,
            system,
        }
    }

    #[test]
    fn levels_are_those_of_json() {
        use LogLevel::{Debug, Fatal, Info, Warn};
        let text = LogFormat::Text;
        let cases = [
            (text, r#"{}"#, text),
            (text, r#"{"LogFormat": "JSON"}"#, json(Info, Info)),
            (
                text,
                r#"{"LogFormat": "JSON", "ApplicationLogLevel": "FATAL"}"#,
                json(Fatal, Info),
            ),
            (
                json(Warn, Debug),
                r#"{"SystemLogLevel": "WARN"}"#,
                json(Warn, Warn),
            ),
            (
                json(Warn, Debug),
                r#"{"LogFormat": "JSON", "SystemLogLevel": "WARN"}"#,
                json(Info, Warn),
            ),
            (json(Warn, Debug), r#"{"LogGroup": "g"}"#, json(Warn, Debug)),
            (json(Warn, Debug), r#"{"LogFormat": "Text"}"#, text),
        ];
        for (before, request, after) in cases {
            assert_eq!(changed(before, request).unwrap(), after, "{request}");
        }
        for (before, request) in [
            (text, r#"{"ApplicationLogLevel": "INFO"}"#),
            (text, r#"{"LogFormat": "Text", "SystemLogLevel": "INFO"}"#),
            (
                json(Info, Info),
                r#"{"LogFormat": "Text", "SystemLogLevel": "INFO"}"#,
            ),
        ] {
            let error = changed(before, request).unwrap_err();
            assert!(error.message.starts_with("LogLevel is not supported"));
        }
    }
}
