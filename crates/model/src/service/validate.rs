//! The constraints of the model (presence, range, length, pattern, enumeration) and the words in which
//! AWS says that one does not hold. Members are named in lower camel case with dots; elements of a list
//! that are structures as `name.1.member.part`; the elements of lists and maps of plain values are
//! judged together, at the list or map itself, with all that an element must satisfy.

use std::fmt::Write;

use serde_json::Value;

use super::shape::{Member, Shape, Type};
use crate::error::{ErrorKind, LambdaError};

/// Violations that one error names; a request can hold any number.
const NAMED: usize = 50;
/// Characters of a value that an error repeats; a request can hold megabytes.
const SHOWN: usize = 2_048;

/// Checks a whole input.
pub(super) fn check(shape: &Shape, input: &Value) -> Result<(), LambdaError> {
    let mut violations = Vec::new();
    walk(shape, input, "", &mut violations);
    if violations.is_empty() {
        return Ok(());
    }
    let count = violations.len();
    let plural = if count == 1 { "" } else { "s" };
    Err(LambdaError::new(
        ErrorKind::Validation,
        format!(
            "{count} validation error{plural} detected: {}",
            violations.join("; ")
        ),
    ))
}

fn walk(shape: &Shape, value: &Value, path: &str, out: &mut Vec<String>) {
    if out.len() >= NAMED {
        return;
    }
    match (&shape.kind, value) {
        (Type::Structure { members, .. }, Value::Object(fields)) => {
            for member in members {
                let path = join(path, member);
                match fields.get(&member.name) {
                    Some(value) => walk(&member.shape, value, &path, out),
                    None if member.required => {
                        out.push(violation(None, &path, "Member must not be null"))
                    }
                    None => {}
                }
            }
        }
        (Type::List(element), Value::Array(values)) => {
            own(shape, value, path, out);
            elements(
                "Member",
                element,
                values.iter(),
                Some(shown(shape, value)),
                path,
                out,
            );
            for (index, value) in values.iter().enumerate() {
                inner(element, value, &format!("{path}.{}.member", index + 1), out);
            }
        }
        (Type::Map(key, element), Value::Object(fields)) => {
            own(shape, value, path, out);
            let keys: Vec<Value> = fields.keys().cloned().map(Value::String).collect();
            let whole = shown(shape, value);
            elements("Map keys", key, keys.iter(), Some(whole.clone()), path, out);
            elements(
                "Map value",
                element,
                fields.values(),
                Some(whole),
                path,
                out,
            );
            for (key, value) in fields {
                inner(element, value, &format!("{path}.{key}.member"), out);
            }
        }
        _ => own(shape, value, path, out),
    }
}

/// What the value itself breaks.
fn own(shape: &Shape, value: &Value, path: &str, out: &mut Vec<String>) {
    for constraint in constraints(shape) {
        if !constraint.holds(value) {
            out.push(violation(
                Some(shown(shape, value)),
                path,
                &constraint.words(),
            ));
        }
    }
}

/// Elements that are structures, lists or maps are judged one by one.
fn inner(element: &Shape, value: &Value, path: &str, out: &mut Vec<String>) {
    if matches!(
        element.kind,
        Type::Structure { .. } | Type::List(_) | Type::Map(..)
    ) {
        walk(element, value, path, out);
    }
}

/// Elements that are plain values are judged together.
fn elements<'a>(
    subject: &str,
    element: &Shape,
    mut values: impl Iterator<Item = &'a Value>,
    whole: Option<Shown>,
    path: &str,
    out: &mut Vec<String>,
) {
    let constraints: Vec<Constraint<'_>> = constraints(element).collect();
    let holds = |value: &Value| {
        !value.is_null() && constraints.iter().all(|constraint| constraint.holds(value))
    };
    if values.all(holds) {
        return;
    }
    let mut words: Vec<String> = constraints.iter().map(Constraint::words).collect();
    words.push("Member must not be null".to_owned());
    let words = format!("{subject} must satisfy constraint: [{}]", words.join(", "));
    out.push(violation(whole, path, &words));
}

/// One thing that a shape asks of its value.
enum Constraint<'a> {
    OneOf(&'a Shape),
    AtMost(Bound),
    AtLeast(Bound),
    LengthAtMost(f64),
    LengthAtLeast(f64),
    Matches(&'a super::shape::Pattern),
}

/// A number, and whether it bounds a fraction: Java prints those with their point.
#[derive(Clone, Copy)]
struct Bound {
    value: f64,
    fraction: bool,
}

impl std::fmt::Display for Bound {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.fraction {
            true => write!(f, "{:?}", self.value),
            false => write!(f, "{}", self.value),
        }
    }
}

fn constraints(shape: &Shape) -> impl Iterator<Item = Constraint<'_>> {
    let number = matches!(shape.kind, Type::Integer | Type::Long | Type::Double);
    let fraction = matches!(shape.kind, Type::Double);
    let bound = |of: Option<f64>,
                 bound: fn(Bound) -> Constraint<'static>,
                 length: fn(f64) -> Constraint<'static>| {
        of.map(|value| match number {
            true => bound(Bound { value, fraction }),
            false => length(value),
        })
    };
    let closed = !shape.values.is_empty() && !shape.open;
    closed
        .then_some(Constraint::OneOf(shape))
        .into_iter()
        .chain(bound(
            shape.max,
            Constraint::AtMost,
            Constraint::LengthAtMost,
        ))
        .chain(bound(
            shape.min,
            Constraint::AtLeast,
            Constraint::LengthAtLeast,
        ))
        .chain(shape.pattern.as_ref().map(Constraint::Matches))
}

impl Constraint<'_> {
    fn holds(&self, value: &Value) -> bool {
        let number = || value.as_f64().unwrap_or_default();
        match self {
            // Of a list, all its elements.
            Constraint::OneOf(shape) => match value {
                Value::Array(elements) => elements.iter().all(|it| self.holds(it)),
                _ => value.as_str().is_some_and(|it| {
                    let mut all = shape.values.iter().chain(&shape.untold);
                    all.any(|one| one == it)
                }),
            },
            Constraint::AtMost(max) => number() <= max.value,
            Constraint::AtLeast(min) => number() >= min.value,
            Constraint::LengthAtMost(max) => length(value) <= *max,
            Constraint::LengthAtLeast(min) => length(value) >= *min,
            Constraint::Matches(pattern) => value.as_str().is_some_and(|it| pattern.matches(it)),
        }
    }

    fn words(&self) -> String {
        match self {
            Constraint::OneOf(shape) => {
                format!(
                    "Member must satisfy enum value set: [{}]",
                    shape.values.join(", ")
                )
            }
            Constraint::AtMost(max) => {
                format!("Member must have value less than or equal to {max}")
            }
            Constraint::AtLeast(min) => {
                format!("Member must have value greater than or equal to {min}")
            }
            Constraint::LengthAtMost(max) => {
                format!("Member must have length less than or equal to {max}")
            }
            Constraint::LengthAtLeast(min) => {
                format!("Member must have length greater than or equal to {min}")
            }
            Constraint::Matches(pattern) => {
                format!(
                    "Member must satisfy regular expression pattern: {}",
                    pattern.as_str()
                )
            }
        }
    }
}

/// Lengths as Java counts them: UTF-16 units of a text, elements of a collection. (A blob is judged by its
/// base64: no operation that is served bounds one here.)
fn length(value: &Value) -> f64 {
    let length = match value {
        Value::String(text) => text.encode_utf16().count(),
        Value::Array(values) => values.len(),
        Value::Object(fields) => fields.len(),
        _ => 0,
    };
    length as f64
}

/// A value as an error repeats it; `None` where it is sensitive.
type Shown = Option<String>;

fn shown(shape: &Shape, value: &Value) -> Shown {
    (!sensitive(shape)).then(|| {
        let mut text = show(shape, value);
        if let Some((end, _)) = text.char_indices().nth(SHOWN) {
            text.truncate(end);
            text.push('…');
        }
        text
    })
}

fn sensitive(shape: &Shape) -> bool {
    shape.sensitive
        || match &shape.kind {
            Type::List(element) => sensitive(element),
            Type::Map(key, element) => sensitive(key) || sensitive(element),
            _ => false,
        }
}

/// As Java prints texts, fractions, lists and maps.
fn show(shape: &Shape, value: &Value) -> String {
    match (&shape.kind, value) {
        (_, Value::String(text)) => text.clone(),
        (Type::Double, Value::Number(number)) => {
            format!("{:?}", number.as_f64().unwrap_or_default())
        }
        (Type::List(element), Value::Array(values)) => {
            let values: Vec<String> = values.iter().map(|value| show(element, value)).collect();
            format!("[{}]", values.join(", "))
        }
        (Type::Map(_, element), Value::Object(fields)) => shown_fields(
            fields
                .iter()
                .map(|(key, value)| (key, show(element, value))),
        ),
        (Type::Structure { members, .. }, Value::Object(fields)) => {
            let text = |name: &str, value| {
                let member = members.iter().find(|member| member.name == name);
                member.map_or(String::new(), |member| show(&member.shape, value))
            };
            shown_fields(fields.iter().map(|(name, value)| (name, text(name, value))))
        }
        (_, other) => other.to_string(),
    }
}

fn shown_fields<'a>(fields: impl Iterator<Item = (&'a String, String)>) -> String {
    let fields: Vec<String> = fields.map(|(key, text)| format!("{key}={text}")).collect();
    format!("{{{}}}", fields.join(", "))
}

/// `value` is `None` for a member that is missing, and holds `None` for one that is not to be shown.
fn violation(value: Option<Shown>, path: &str, words: &str) -> String {
    let mut text = String::from("Value ");
    match value {
        None => text.push_str("null "),
        Some(None) => {}
        Some(Some(value)) => write!(text, "'{value}' ").expect("writing to a String cannot fail"),
    }
    text.push_str("at '");
    text.push_str(path);
    text.push_str("' failed to satisfy constraint: ");
    text.push_str(words);
    text
}

fn join(path: &str, member: &Member) -> String {
    let mut name = String::with_capacity(path.len() + 1 + member.name.len());
    if !path.is_empty() {
        name.push_str(path);
        name.push('.');
    }
    let mut letters = member.name.chars();
    name.extend(letters.next().map(|first| first.to_ascii_lowercase()));
    name.push_str(letters.as_str());
    name
}
