//! From a request to an operation's input: collect the members from path, query, headers and body,
//! check the JSON types (`SerializationException`), then the constraints (`ValidationException`).

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use http::HeaderMap;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Number, Value};

use super::shape::{Location, Member, Shape, Type};
use super::{Operation, UriParams, validate};
use crate::error::{ErrorKind, LambdaError};

impl Operation {
    /// The input of a request that [`super::Service::route`] led here. Members that were not given, or
    /// given as null, are absent, and members that the model does not know are dropped. Blobs are left
    /// in base64; a body that is itself the payload becomes base64. The body is not looked at where no
    /// member travels in it.
    pub fn parse(
        &self,
        uri: &UriParams,
        query: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Result<Value, LambdaError> {
        let Some(shape) = self.input() else {
            return Ok(Value::Object(Map::new()));
        };
        let Type::Structure { members, payload } = &shape.kind else {
            unreachable!("inputs are structures: a test walks the model")
        };
        let query = pairs(query);
        let mut fields = match payload {
            None if members
                .iter()
                .any(|member| member.location == Location::Body) =>
            {
                json(body)?
            }
            _ => Map::new(),
        };
        let mut input = Map::new();
        for member in members {
            let value = match member.location {
                Location::Uri => uri
                    .get(&member.location_name)
                    .map(|it| scalar(it, &member.shape)),
                Location::Query => from_query(member, &query),
                Location::Header => headers
                    .get(&member.location_name)
                    .map(|it| scalar(&String::from_utf8_lossy(it.as_bytes()), &member.shape)),
                Location::Body if payload.as_ref() == Some(&member.name) => {
                    from_payload(body, &member.shape)
                }
                Location::Body => fields
                    .remove(&member.location_name)
                    .filter(|value| !value.is_null())
                    .map(|value| typed(value, &member.shape)),
                Location::Status => None,
            };
            if let Some(value) = value {
                input.insert(member.name.clone(), value?);
            }
        }
        let input = Value::Object(input);
        validate::check(shape, &input)?;
        Ok(input)
    }
}

/// The decoded pairs of a query string. A pair that is not UTF-8 after decoding is read lossily.
pub(super) fn pairs(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| {
        let spaced = text.replace('+', " ");
        percent_decode_str(&spaced).decode_utf8_lossy().into_owned()
    };
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
        .collect()
}

fn json(body: &[u8]) -> Result<Map<String, Value>, LambdaError> {
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Map::new());
    }
    match serde_json::from_slice(body) {
        Ok(Value::Object(fields)) => Ok(fields),
        Ok(Value::Null) => Ok(Map::new()),
        Ok(_) => Err(serialization("Unexpected field type")),
        Err(error) => Err(serialization(format!(
            "Could not parse request body into json: line {}, column {}",
            error.line(),
            error.column()
        ))),
    }
}

fn from_payload(body: &[u8], shape: &Shape) -> Option<Result<Value, LambdaError>> {
    match shape.kind {
        _ if body.is_empty() => None,
        Type::Blob => Some(Ok(Value::String(BASE64_STANDARD.encode(body)))),
        _ => Some(json(body).and_then(|fields| typed(Value::Object(fields), shape))),
    }
}

fn from_query(member: &Member, query: &[(String, String)]) -> Option<Result<Value, LambdaError>> {
    let mut given = query
        .iter()
        .filter(|(name, _)| *name == member.location_name)
        .map(|(_, value)| value);
    match &member.shape.kind {
        Type::List(element) => {
            let values: Vec<_> = given.map(|value| scalar(value, element)).collect();
            (!values.is_empty()).then(|| values.into_iter().collect())
        }
        _ => given.next().map(|value| scalar(value, &member.shape)),
    }
}

/// A member that travels as text.
fn scalar(text: &str, shape: &Shape) -> Result<Value, LambdaError> {
    let number = |number: Option<Number>| {
        number
            .map(Value::Number)
            .ok_or_else(|| mismatch("STRING_VALUE", shape))
    };
    match shape.kind {
        Type::Integer => number(text.parse::<i32>().ok().map(Number::from)),
        Type::Long => number(text.parse::<i64>().ok().map(Number::from)),
        Type::Double => number(text.parse().ok().and_then(Number::from_f64)),
        Type::Boolean => match text {
            "true" => Ok(Value::Bool(true)),
            "false" => Ok(Value::Bool(false)),
            _ => Err(mismatch("STRING_VALUE", shape)),
        },
        _ => Ok(Value::String(text.to_owned())),
    }
}

/// A JSON value, checked against its shape and rid of what the shape does not know.
fn typed(value: Value, shape: &Shape) -> Result<Value, LambdaError> {
    match (&shape.kind, value) {
        (Type::Structure { members, .. }, Value::Object(mut fields)) => {
            let mut out = Map::new();
            for member in members {
                match fields.remove(&member.location_name) {
                    None | Some(Value::Null) => {}
                    Some(value) => {
                        out.insert(member.name.clone(), typed(value, &member.shape)?);
                    }
                }
            }
            Ok(Value::Object(out))
        }
        (Type::List(element), Value::Array(values)) => values
            .into_iter()
            .map(|value| {
                if value.is_null() {
                    Ok(value)
                } else {
                    typed(value, element)
                }
            })
            .collect(),
        (Type::Map(_, element), Value::Object(fields)) => fields
            .into_iter()
            .map(|(key, value)| {
                let value = if value.is_null() {
                    value
                } else {
                    typed(value, element)?
                };
                Ok((key, value))
            })
            .collect::<Result<Map<_, _>, _>>()
            .map(Value::Object),
        (Type::String | Type::Blob, value @ Value::String(_))
        | (Type::Boolean, value @ Value::Bool(_))
        | (Type::Double | Type::Timestamp, value @ Value::Number(_)) => Ok(value),
        (Type::Integer | Type::Long, Value::Number(number)) => whole(&number, shape),
        (_, value) => Err(unexpected(&value, shape)),
    }
}

/// AWS cuts a fraction off; what does not fit the type is refused.
fn whole(number: &Number, shape: &Shape) -> Result<Value, LambdaError> {
    let cut = number.as_i64().or_else(|| {
        let value = number.as_f64()?.trunc();
        (value.abs() < 9e15).then_some(value as i64)
    });
    let fits = |value: &i64| !matches!(shape.kind, Type::Integer) || i32::try_from(*value).is_ok();
    cut.filter(fits)
        .map(Value::from)
        .ok_or_else(|| mismatch("NUMBER_VALUE", shape))
}

fn unexpected(value: &Value, shape: &Shape) -> LambdaError {
    let found = match value {
        Value::Object(_) => {
            return serialization("Start of structure or map found where not expected.");
        }
        Value::Array(_) => return serialization("Start of list found where not expected"),
        Value::String(_) => "STRING_VALUE",
        Value::Number(_) => "NUMBER_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        Value::Null => "NULL_VALUE",
    };
    match shape.kind {
        Type::Structure { .. } => serialization("Unexpected field type"),
        Type::List(_) => serialization("Expected list or null"),
        Type::Map(..) => serialization("Expected map or null"),
        _ => mismatch(found, shape),
    }
}

fn mismatch(found: &str, shape: &Shape) -> LambdaError {
    let wanted = match shape.kind {
        Type::Integer => "an Integer",
        Type::Long => "a Long",
        Type::Double => "a Double",
        Type::Boolean => "a Boolean",
        Type::Blob => "a Blob",
        Type::Timestamp => "a Timestamp",
        _ => "a String",
    };
    serialization(format!("{found} can not be converted to {wanted}"))
}

fn serialization(message: impl Into<String>) -> LambdaError {
    LambdaError::new(ErrorKind::Serialization, message)
}
