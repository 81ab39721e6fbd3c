//! Conditions: tests joined by `&&`, `||` and parentheses. `&&` binds closer.

use super::Invalid;
use super::reader::Reader;
use super::value::{Operand, Wildcard, regex};

/// Parentheses within each other.
const DEPTH: usize = 32;

/// What must be true.
#[derive(Debug)]
pub(in crate::logs) enum Condition<S> {
    All(Vec<Condition<S>>),
    Any(Vec<Condition<S>>),
    Test(S, Test),
}

/// What must be true of one thing.
#[derive(Debug)]
pub(in crate::logs) enum Test {
    Equal(Operand),
    Unequal(Operand),
    Less(f64),
    LessOrEqual(f64),
    Greater(f64),
    GreaterOrEqual(f64),
    Null,
    True,
    False,
    Missing,
}

impl Test {
    /// What the order of numbers says, if this test is about it.
    pub(super) fn of_number(&self, value: f64) -> Option<bool> {
        match self {
            Test::Less(bound) => Some(value < *bound),
            Test::LessOrEqual(bound) => Some(value <= *bound),
            Test::Greater(bound) => Some(value > *bound),
            Test::GreaterOrEqual(bound) => Some(value >= *bound),
            _ => None,
        }
    }
}

impl<S> Condition<S> {
    /// Whether it is true, given what is true of each test.
    pub(super) fn holds(&self, test: &impl Fn(&S, &Test) -> bool) -> bool {
        match self {
            Condition::All(parts) => parts.iter().all(|part| part.holds(test)),
            Condition::Any(parts) => parts.iter().any(|part| part.holds(test)),
            Condition::Test(subject, kind) => test(subject, kind),
        }
    }
}

/// Reads the thing that a test is about.
pub(super) type Subject<S> = fn(&mut Reader<'_>) -> Result<S, Invalid>;

/// Reads a condition about things that `subject` reads.
pub(super) fn parse<S>(
    reader: &mut Reader<'_>,
    subject: Subject<S>,
) -> Result<Condition<S>, Invalid> {
    any_of(reader, subject, 0)
}

/// Reads on where the thing that the first test is about has been read already.
pub(super) fn parse_behind<S>(
    reader: &mut Reader<'_>,
    first: S,
    subject: Subject<S>,
) -> Result<Condition<S>, Invalid> {
    let first = Condition::Test(first, test(reader)?);
    let all = chain(reader, first, "&&", |reader| one(reader, subject, 0))?;
    let any = chain(reader, Condition::All(all), "||", |reader| {
        all_of(reader, subject, 0)
    })?;
    Ok(Condition::Any(any))
}

fn any_of<S>(
    reader: &mut Reader<'_>,
    subject: Subject<S>,
    depth: usize,
) -> Result<Condition<S>, Invalid> {
    let first = all_of(reader, subject, depth)?;
    let parts = chain(reader, first, "||", |reader| all_of(reader, subject, depth))?;
    Ok(Condition::Any(parts))
}

fn all_of<S>(
    reader: &mut Reader<'_>,
    subject: Subject<S>,
    depth: usize,
) -> Result<Condition<S>, Invalid> {
    let first = one(reader, subject, depth)?;
    let parts = chain(reader, first, "&&", |reader| one(reader, subject, depth))?;
    Ok(Condition::All(parts))
}

/// That part, and those that the operator joins to it.
fn chain<S>(
    reader: &mut Reader<'_>,
    first: Condition<S>,
    operator: &str,
    next: impl Fn(&mut Reader<'_>) -> Result<Condition<S>, Invalid>,
) -> Result<Vec<Condition<S>>, Invalid> {
    let mut parts = vec![first];
    while joined(reader, operator) {
        parts.push(next(reader)?);
    }
    Ok(parts)
}

fn one<S>(
    reader: &mut Reader<'_>,
    subject: Subject<S>,
    depth: usize,
) -> Result<Condition<S>, Invalid> {
    reader.skip_space();
    if reader.take("(") {
        if depth >= DEPTH {
            return Err(Invalid);
        }
        let inner = any_of(reader, subject, depth + 1)?;
        reader.expect(")")?;
        return Ok(inner);
    }
    let subject = subject(reader)?;
    Ok(Condition::Test(subject, test(reader)?))
}

fn joined(reader: &mut Reader<'_>, by: &str) -> bool {
    reader.skip_space();
    reader.take(by)
}

fn test(reader: &mut Reader<'_>) -> Result<Test, Invalid> {
    reader.skip_space();
    if reader.take_word("IS") {
        reader.skip_space();
        let known = [
            ("NULL", Test::Null),
            ("TRUE", Test::True),
            ("FALSE", Test::False),
        ];
        let mut known = known.into_iter();
        return known
            .find_map(|(word, test)| reader.take_word(word).then_some(test))
            .ok_or(Invalid);
    }
    if reader.take_word("NOT") {
        reader.skip_space();
        return reader
            .take_word("EXISTS")
            .then_some(Test::Missing)
            .ok_or(Invalid);
    }
    if reader.take("!=") {
        return operand(reader).map(Test::Unequal);
    }
    if reader.take("<=") {
        return bound(reader).map(Test::LessOrEqual);
    }
    if reader.take(">=") {
        return bound(reader).map(Test::GreaterOrEqual);
    }
    if reader.take("<") {
        return bound(reader).map(Test::Less);
    }
    if reader.take(">") {
        return bound(reader).map(Test::Greater);
    }
    if reader.take("=") {
        return operand(reader).map(Test::Equal);
    }
    Err(Invalid)
}

fn bound(reader: &mut Reader<'_>) -> Result<f64, Invalid> {
    match operand(reader)? {
        Operand::Number(value, _) => Ok(value),
        _ => Err(Invalid),
    }
}

fn operand(reader: &mut Reader<'_>) -> Result<Operand, Invalid> {
    reader.skip_space();
    if let Some(text) = reader.take_regex()? {
        return regex(text).map(Operand::Regex);
    }
    if let Some(text) = reader.take_quoted('"')? {
        return Ok(Operand::Quoted(Wildcard::new(&text)));
    }
    let word = reader.take_while(|c| !c.is_whitespace() && !"&|(){}[],\"<>=!".contains(c));
    if word.is_empty() {
        return Err(Invalid);
    }
    Ok(Operand::bare(word))
}
