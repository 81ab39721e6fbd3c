//! Why a configuration cannot be used, and where it says so.

use std::path::{Path, PathBuf};

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InvalidConfig {
    /// The file is not there or cannot be read.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, a key that is not known, or a value of another type.
    #[error("{}: {message}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with its line.
        message: String,
    },
    /// A value that cannot be, and where it stands.
    #[error("{}, line {line}: {key}: {reason}", path.display())]
    Placed {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        reason: String,
    },
    /// A value that cannot be, from wherever it comes.
    #[error("{key}: {reason}")]
    Value {
        /// The key in the file.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
}

impl InvalidConfig {
    /// The same with its place in the file, where that has the value.
    pub(super) fn placed(self, path: &Path, text: &str) -> Self {
        match self {
            Self::Value { key, reason } => match line_of(text, key) {
                Some(line) => Self::Placed {
                    path: path.to_owned(),
                    line,
                    key,
                    reason,
                },
                None => Self::Value { key, reason },
            },
            other => other,
        }
    }
}

/// The line, counted from 1, on which a TOML file sets `table.key` or has that table.
fn line_of(text: &str, wanted: &str) -> Option<usize> {
    let mut table = "";
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if let Some(header) = line.strip_prefix('[') {
            table = header.trim_start_matches('[').split(']').next()?.trim();
            if table == wanted {
                return Some(index + 1);
            }
        } else if let Some((key, _)) = line.split_once('=') {
            let key = key.trim();
            let found = match table {
                "" => key == wanted,
                table => {
                    wanted
                        .strip_prefix(table)
                        .and_then(|rest| rest.strip_prefix('.'))
                        == Some(key)
                }
            };
            if found {
                return Some(index + 1);
            }
        }
    }
    None
}

pub(super) fn value(key: &'static str, reason: impl Into<String>) -> InvalidConfig {
    InvalidConfig::Value {
        key,
        reason: reason.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::line_of;

    #[test]
    fn keys_are_found_where_they_stand() {
        let text = "name = 1\npolicy.name = 2\n\n[policy]\n# name = 3\nname = 4\n[[access_keys]]\nid = 5\n";
        for (key, line) in [
            ("name", 1),
            ("policy.name", 2),
            ("access_keys", 7),
            ("policy", 4),
        ] {
            assert_eq!(line_of(text, key), Some(line), "{key}");
        }
        let text = "[policy]\nname = 1\n";
        assert_eq!(
            (line_of(text, "policy.name"), line_of(text, "name")),
            (Some(2), None)
        );
    }
}
