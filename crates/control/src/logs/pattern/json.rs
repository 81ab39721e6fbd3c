//! Conditions on messages that are JSON: `{ $.level = "ERROR" && $.items[0].price > 10 }`.

use serde_json::Value;

use super::Invalid;
use super::condition::{self, Condition, Test};
use super::reader::Reader;

/// A place in a JSON value.
#[derive(Debug, PartialEq, Eq)]
pub(in crate::logs) struct Selector(Vec<Step>);

#[derive(Debug, PartialEq, Eq)]
enum Step {
    Member(String),
    Element(usize),
    /// Every element, or every member.
    Each,
}

/// Values that one selector is taken to: wildcards within wildcards could be very many.
const VALUES: usize = 10_000;

pub(super) fn parse(text: &str) -> Result<Condition<Selector>, Invalid> {
    let mut reader = Reader::new(text);
    reader.expect("{")?;
    let condition = condition::parse(&mut reader, selector)?;
    reader.expect("}")?;
    reader.skip_space();
    reader.is_at_end().then_some(condition).ok_or(Invalid)
}

/// `$.a.b[0]['c d'][*]`.
fn selector(reader: &mut Reader<'_>) -> Result<Selector, Invalid> {
    reader.expect("$")?;
    let mut steps = Vec::new();
    loop {
        let dot = reader.take(".");
        if reader.take("[") {
            reader.skip_space();
            steps.push(bracketed(reader)?);
            reader.expect("]")?;
        } else if dot {
            steps.push(member(reader)?);
        } else {
            return Ok(Selector(steps));
        }
    }
}

fn bracketed(reader: &mut Reader<'_>) -> Result<Step, Invalid> {
    if reader.take("*") {
        return Ok(Step::Each);
    }
    for quote in ['\'', '"'] {
        if let Some(name) = reader.take_quoted(quote)? {
            return Ok(Step::Member(name));
        }
    }
    let digits = reader.take_while(|c| c.is_ascii_digit());
    digits.parse().map(Step::Element).map_err(|_| Invalid)
}

fn member(reader: &mut Reader<'_>) -> Result<Step, Invalid> {
    if reader.take("*") {
        return Ok(Step::Each);
    }
    let name = reader.take_while(|c| !c.is_whitespace() && !".[]=!<>&|(){},\"'".contains(c));
    match name {
        "" => Err(Invalid),
        name => Ok(Step::Member(name.to_owned())),
    }
}

pub(super) fn matches(condition: &Condition<Selector>, message: &str) -> bool {
    let message = message.trim();
    if !message.starts_with(['{', '[']) {
        return false;
    }
    let Ok(value) = serde_json::from_str::<Value>(message) else {
        return false;
    };
    condition.holds(&|selector, test| {
        let found = selector.values(&value);
        match test {
            Test::Missing => found.is_empty(),
            test => found.into_iter().any(|value| holds(test, value)),
        }
    })
}

impl Selector {
    fn values<'a>(&self, value: &'a Value) -> Vec<&'a Value> {
        let mut found = vec![value];
        for step in &self.0 {
            let mut next = Vec::new();
            for value in found {
                match (step, value) {
                    (Step::Member(name), Value::Object(members)) => next.extend(members.get(name)),
                    (Step::Element(index), Value::Array(elements)) => {
                        next.extend(elements.get(*index));
                    }
                    (Step::Each, Value::Array(elements)) => next.extend(elements),
                    (Step::Each, Value::Object(members)) => next.extend(members.values()),
                    _ => {}
                }
            }
            next.truncate(VALUES);
            found = next;
        }
        found
    }
}

fn holds(test: &Test, value: &Value) -> bool {
    match test {
        Test::Null => value.is_null(),
        Test::True => value == &Value::Bool(true),
        Test::False => value == &Value::Bool(false),
        Test::Missing => false,
        Test::Equal(operand) => equal(operand, value),
        Test::Unequal(operand) => !equal(operand, value),
        order => value
            .as_f64()
            .and_then(|value| order.of_number(value))
            .unwrap_or(false),
    }
}

fn equal(operand: &super::value::Operand, value: &Value) -> bool {
    match value {
        Value::String(text) => operand.equals_text(text),
        Value::Number(_) | Value::Bool(_) => operand.equals_literal(&value.to_string()),
        Value::Null | Value::Array(_) | Value::Object(_) => false,
    }
}
