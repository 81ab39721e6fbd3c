//! CloudWatch Logs' filter patterns: terms, JSON conditions and space-delimited fields.
//! Source: "Filter pattern syntax for metric filters, subscription filters, filter log events, and Live
//! Tail" of the CloudWatch Logs user guide.
//!
//! A pattern is at most 1,024 characters long, as the service model says. Matching takes time in proportion
//! to the message, whatever the pattern: there is no backtracking.

mod condition;
mod fields;
mod json;
mod reader;
mod terms;
mod value;

use self::condition::Condition;
use self::fields::Fields;
use self::json::Selector;
use self::terms::Terms;

/// Why a pattern is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Invalid filter pattern")]
pub(super) struct Invalid;

/// A filter pattern.
#[derive(Debug)]
pub(super) enum Pattern {
    /// Matches everything.
    All,
    /// Words that a message must have, must not have, or may have.
    Terms(Terms),
    /// What must be true of a message that is JSON.
    Json(Condition<Selector>),
    /// What must be true of the words of a message, by their place.
    Fields(Fields),
}

impl Pattern {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        let text = text.trim();
        match text.as_bytes() {
            [] | b"\"\"" => Ok(Pattern::All),
            [b'{', ..] => json::parse(text).map(Pattern::Json),
            [b'[', ..] => fields::parse(text).map(Pattern::Fields),
            _ => terms::parse(text).map(Pattern::Terms),
        }
    }

    pub(super) fn matches(&self, message: &str) -> bool {
        match self {
            Pattern::All => true,
            Pattern::Terms(terms) => terms.match_message(message),
            Pattern::Json(condition) => json::matches(condition, message),
            Pattern::Fields(fields) => fields.match_message(message),
        }
    }
}

#[cfg(test)]
mod tests;
