//! Conditions on the words of a message: `[ip, user, ..., status = 4*, bytes > 1000]`.

use super::Invalid;
use super::condition::{self, Condition, Test};
use super::reader::Reader;
use super::value::{Operand, number};

/// Fields in their order. What stands for any number of words is between the two lists.
#[derive(Debug)]
pub(in crate::logs) struct Fields {
    first: Vec<Field>,
    /// Those behind `...`; `None` where there is none.
    last: Option<Vec<Field>>,
}

/// One word of a message, and what must be true of it.
#[derive(Debug)]
enum Field {
    Any,
    When(Condition<()>),
}

pub(super) fn parse(text: &str) -> Result<Fields, Invalid> {
    let mut reader = Reader::new(text);
    reader.expect("[")?;
    let (mut first, mut last) = (Vec::new(), None);
    loop {
        reader.skip_space();
        if reader.take("...") {
            if last.is_some() {
                return Err(Invalid);
            }
            last = Some(Vec::new());
        } else {
            last.as_mut()
                .unwrap_or(&mut first)
                .push(field(&mut reader)?);
        }
        reader.skip_space();
        if reader.take("]") {
            break;
        }
        reader.expect(",")?;
    }
    reader.skip_space();
    let whole = reader.is_at_end().then_some(Fields { first, last });
    whole.ok_or(Invalid)
}

/// A name, or a condition on it.
fn field(reader: &mut Reader<'_>) -> Result<Field, Invalid> {
    if reader.peek() != Some('(') {
        name(reader)?;
        reader.skip_space();
        if matches!(reader.peek(), Some(',' | ']')) {
            return Ok(Field::Any);
        }
        // The name has been read; the first test goes on behind it.
        return condition::parse_behind(reader, (), name).map(Field::When);
    }
    condition::parse(reader, name).map(Field::When)
}

/// A name says nothing but where a test begins.
fn name(reader: &mut Reader<'_>) -> Result<(), Invalid> {
    match reader.take_while(is_of_name) {
        "" => Err(Invalid),
        _ => Ok(()),
    }
}

fn is_of_name(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '$' | '.')
}

impl Fields {
    pub(super) fn match_message(&self, message: &str) -> bool {
        let words = words(message);
        let Some(last) = &self.last else {
            return self.match_all(&words);
        };
        words.len() >= self.first.len() + last.len()
            && all(&self.first, &words)
            && all(last, &words[words.len() - last.len()..])
    }

    /// Without `...`, the last field has all the words that are left.
    fn match_all(&self, words: &[&str]) -> bool {
        let Some((last, before)) = self.first.split_last() else {
            return true;
        };
        if words.len() < self.first.len() {
            return false;
        }
        let rest = words[before.len()..].join(" ");
        all(before, words) && last.holds(&rest)
    }
}

fn all(fields: &[Field], words: &[&str]) -> bool {
    fields
        .iter()
        .zip(words)
        .all(|(field, word)| field.holds(word))
}

impl Field {
    fn holds(&self, word: &str) -> bool {
        match self {
            Field::Any => true,
            Field::When(condition) => condition.holds(&|(), test| test_word(test, word)),
        }
    }
}

fn test_word(test: &Test, word: &str) -> bool {
    match test {
        Test::Equal(operand) => equal(operand, word),
        Test::Unequal(operand) => !equal(operand, word),
        Test::Null | Test::True | Test::False | Test::Missing => false,
        order => number(word)
            .and_then(|value| order.of_number(value))
            .unwrap_or(false),
    }
}

fn equal(operand: &Operand, word: &str) -> bool {
    operand.equals_text(word) || operand.equals_literal(word)
}

/// The words of a message; what is in quotation marks or brackets is one.
fn words(message: &str) -> Vec<&str> {
    let mut words = Vec::new();
    let mut rest = message.trim_start();
    // What has no end once has none further on: it is not looked for at every word of a hostile message.
    let mut ends = vec![('"', '"'), ('[', ']')];
    while let Some(first) = rest.chars().next() {
        let end = ends.iter().find(|(begin, _)| *begin == first);
        let closed = end.and_then(|(_, end)| rest[1..].find(*end));
        if closed.is_none() {
            ends.retain(|(begin, _)| *begin != first);
        }
        let (word, behind) = match closed {
            Some(at) => (&rest[1..=at], &rest[at + 2..]),
            None => rest.split_at(rest.find(char::is_whitespace).unwrap_or(rest.len())),
        };
        words.push(word);
        rest = behind.trim_start();
    }
    words
}
