//! Terms of unstructured messages: `ERROR`, `"exact phrase"`, `-excluded`, `?optional`, `%regex%`.

use regex::Regex;

use super::Invalid;
use super::reader::Reader;
use super::value::regex;

/// Terms by what they are for.
#[derive(Debug, Default)]
pub(in crate::logs) struct Terms {
    required: Vec<Term>,
    excluded: Vec<Term>,
    /// One of them must be there, where no others are; beside others they say nothing, as on AWS.
    optional: Vec<Term>,
}

#[derive(Debug)]
enum Term {
    Text(String),
    Regex(Regex),
}

impl Term {
    fn is_in(&self, message: &str) -> bool {
        match self {
            Term::Text(text) => message.contains(text),
            Term::Regex(regex) => regex.is_match(message),
        }
    }
}

pub(super) fn parse(text: &str) -> Result<Terms, Invalid> {
    let mut terms = Terms::default();
    let mut reader = Reader::new(text);
    loop {
        reader.skip_space();
        if reader.is_at_end() {
            return Ok(terms);
        }
        let kind = if reader.take("-") {
            &mut terms.excluded
        } else if reader.take("?") {
            &mut terms.optional
        } else {
            &mut terms.required
        };
        kind.push(term(&mut reader)?);
    }
}

fn term(reader: &mut Reader<'_>) -> Result<Term, Invalid> {
    if let Some(text) = reader.take_quoted('"')? {
        return Ok(Term::Text(text));
    }
    if let Some(text) = reader.take_regex()? {
        return regex(text).map(Term::Regex);
    }
    let word = reader.take_while(|c| !c.is_whitespace() && c != '"');
    if word.is_empty() {
        return Err(Invalid);
    }
    Ok(Term::Text(word.to_owned()))
}

impl Terms {
    pub(super) fn match_message(&self, message: &str) -> bool {
        let is_in = |term: &Term| term.is_in(message);
        if self.excluded.iter().any(is_in) || !self.required.iter().all(is_in) {
            return false;
        }
        let alone = self.required.is_empty() && self.excluded.is_empty();
        !alone || self.optional.iter().any(is_in)
    }
}
