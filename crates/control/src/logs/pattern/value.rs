//! What a value is compared with: texts with wildcards, numbers and regular expressions.

use regex::{Regex, RegexBuilder};

use super::Invalid;

/// Bytes that a compiled regular expression may take. Where its states are too many to be kept as they are met, every
/// byte of a message costs as much as it has parts: they have to be few.
const REGEX_BYTES: usize = 64 * 1024;
/// Bytes of states that are kept as they are met.
const STATES_BYTES: usize = 1 << 20;

/// A text in which `*` stands for anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::logs) struct Wildcard(Vec<String>);

impl Wildcard {
    pub(super) fn new(text: &str) -> Self {
        Self(text.split('*').map(str::to_owned).collect())
    }

    /// Whether all of `text` is of this form. Each part is looked for once, behind the one before it.
    pub(super) fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.0.as_slice() else {
            // There is no wildcard.
            return self.0.first().is_some_and(|whole| whole == text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()) else {
            return false;
        };
        for part in middle {
            match rest.find(part.as_str()) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last.as_str())
    }
}

/// What a value is compared with.
#[derive(Debug)]
pub(in crate::logs) enum Operand {
    /// A number, and how it was written.
    Number(f64, String),
    /// A text that was in quotation marks: only texts are equal to it.
    Quoted(Wildcard),
    /// A text that was not: whatever reads so is equal to it.
    Bare(Wildcard),
    /// A regular expression.
    Regex(Regex),
}

impl Operand {
    /// What an unquoted word means.
    pub(super) fn bare(word: &str) -> Self {
        match number(word) {
            Some(value) => Operand::Number(value, word.to_owned()),
            None => Operand::Bare(Wildcard::new(word)),
        }
    }

    /// Whether a text is equal to it.
    pub(super) fn equals_text(&self, text: &str) -> bool {
        match self {
            Operand::Number(_, written) => written == text,
            Operand::Quoted(wildcard) | Operand::Bare(wildcard) => wildcard.matches(text),
            Operand::Regex(regex) => regex.is_match(text),
        }
    }

    /// Whether what reads as `text` and is no text itself is equal to it.
    pub(super) fn equals_literal(&self, text: &str) -> bool {
        match self {
            Operand::Number(value, _) => number(text) == Some(*value),
            Operand::Quoted(_) => false,
            Operand::Bare(wildcard) => wildcard.matches(text),
            Operand::Regex(regex) => regex.is_match(text),
        }
    }
}

/// A finite decimal number, with a fraction and an exponent or without.
pub(super) fn number(text: &str) -> Option<f64> {
    let looks = text
        .bytes()
        .all(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.' | b'e' | b'E'));
    text.parse().ok().filter(|it: &f64| looks && it.is_finite())
}

/// A regular expression of the kind that AWS documents: without groups, and of ASCII alone.
pub(super) fn regex(text: &str) -> Result<Regex, Invalid> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_#=@/;,-:^$?[]{}|\\*+.".contains(c);
    if text.is_empty() || !text.chars().all(allowed) {
        return Err(Invalid);
    }
    RegexBuilder::new(&of_ascii(text))
        .size_limit(REGEX_BYTES)
        .dfa_size_limit(STATES_BYTES)
        .build()
        .map_err(|_| Invalid)
}

/// Classes as AWS documents them: `\d` is a digit from 0 to 9, and of no other script.
fn of_ascii(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        let class = match (c, chars.clone().next()) {
            ('\\', Some('d')) => "[0-9]",
            ('\\', Some('D')) => "[^0-9]",
            ('\\', Some('w')) => "[0-9A-Za-z_]",
            ('\\', Some('W')) => "[^0-9A-Za-z_]",
            ('\\', Some('s')) => r"[\t\n\x0B\f\r ]",
            ('\\', Some('S')) => r"[^\t\n\x0B\f\r ]",
            _ => {
                out.push(c);
                if c == '\\' {
                    // What is behind it stands for itself, another backslash too.
                    out.extend(chars.next());
                }
                continue;
            }
        };
        chars.next();
        out.push_str(class);
    }
    out
}
