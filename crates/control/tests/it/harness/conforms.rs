//! Answers against the service model.

use pilotlight_model::service::{Location, Shape, Type};
use serde_json::Value;

/// An answer has no member that the model does not know, and those of the right types.
pub(super) fn conforms(shape: &Shape, value: &Value, path: &str) {
    match (&shape.kind, value) {
        (Type::Structure { members, .. }, Value::Object(fields)) => {
            for (name, value) in fields {
                let member = members
                    .iter()
                    .find(|member| {
                        member.location == Location::Body && member.location_name == *name
                    })
                    .unwrap_or_else(|| panic!("{path} has no {name}"));
                conforms(&member.shape, value, &format!("{path}.{name}"));
            }
        }
        (Type::List(element), Value::Array(values)) => {
            values
                .iter()
                .for_each(|value| conforms(element, value, path));
        }
        (Type::Map(_, element), Value::Object(fields)) => {
            fields
                .values()
                .for_each(|value| conforms(element, value, path));
        }
        (Type::String, Value::String(text)) => {
            // AWS answers a code here that its own model does not list.
            let unlisted = path.ends_with(".LastUpdateStatusReasonCode") && text == "Creating";
            let listed = shape.values.is_empty() || shape.values.contains(text);
            assert!(listed || unlisted, "{path}: {text}");
        }
        (Type::Integer | Type::Long | Type::Double | Type::Timestamp, Value::Number(_))
        | (Type::Boolean, Value::Bool(_))
        | (Type::Structure { .. }, Value::Null) => {}
        (kind, value) => panic!("{path} is {kind:?}, not {value}"),
    }
}
