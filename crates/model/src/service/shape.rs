//! Shapes: the types of the service model, as a tree. Lambda's shapes do not contain themselves.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use fancy_regex::Regex;

use super::document::{RawMember, RawShape};

/// A type of the service model with its constraints.
#[derive(Debug)]
pub struct Shape {
    /// What it is made of.
    pub kind: Type,
    /// Lower bound: of a number's value, else of a length.
    pub min: Option<f64>,
    /// Upper bound: of a number's value, else of a length.
    pub max: Option<f64>,
    /// What a text must match from end to end.
    pub pattern: Option<Pattern>,
    /// What a text must be one of; empty: anything.
    pub values: Vec<String>,
    /// What it may be besides, though errors do not tell so.
    pub untold: Vec<String>,
    /// The service checks `values` itself, and answers with another error than the others.
    pub open: bool,
    /// Its value must not be repeated in errors or logs.
    pub sensitive: bool,
}

/// What a shape is made of.
#[derive(Debug)]
pub enum Type {
    /// Named members.
    Structure {
        /// The members, in the order of the model.
        members: Vec<Member>,
        /// Name of the member that is the whole body, if one is.
        payload: Option<String>,
    },
    /// Elements of one shape.
    List(Arc<Shape>),
    /// Keys and values of one shape each.
    Map(Arc<Shape>, Arc<Shape>),
    /// Text.
    String,
    /// A whole number of 32 bits.
    Integer,
    /// A whole number of 64 bits.
    Long,
    /// A number.
    Double,
    /// True or false.
    Boolean,
    /// Bytes; base64 in JSON.
    Blob,
    /// A point in time; seconds since 1970 in JSON.
    Timestamp,
}

/// A member of a structure.
#[derive(Debug)]
pub struct Member {
    /// Its name, `FunctionName`.
    pub name: String,
    /// Where it travels.
    pub location: Location,
    /// Its name there.
    pub location_name: String,
    /// Whether it must be given.
    pub required: bool,
    /// Its type.
    pub shape: Arc<Shape>,
}

/// Where a member of an input or output travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Location {
    /// In the JSON body.
    Body,
    /// In the path.
    Uri,
    /// In the query string.
    Query,
    /// In a header.
    Header,
    /// As the answer's status.
    Status,
}

/// A regular expression of the model, compiled when it is first needed.
#[derive(Debug)]
pub struct Pattern {
    text: String,
    regex: OnceLock<Regex>,
}

impl Shape {
    /// The member of that name, of a structure.
    pub fn member(&self, name: &str) -> Option<&Member> {
        match &self.kind {
            Type::Structure { members, .. } => members.iter().find(|member| member.name == name),
            _ => None,
        }
    }
}

impl Pattern {
    /// The pattern as the model, and so the error, has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the whole of `text` matches. An expression that gives up counts as no match.
    pub fn matches(&self, text: &str) -> bool {
        let regex = self.regex.get_or_init(|| {
            self.compile()
                .expect("a test compiles every pattern of the model")
        });
        regex.is_match(text).unwrap_or(false)
    }

    /// The model's patterns are Java's: `\d` and `\s` are ASCII there.
    pub(super) fn compile(&self) -> Result<Regex, Box<fancy_regex::Error>> {
        let ascii = self
            .text
            .replace(r"\d", "[0-9]")
            .replace(r"\s", r"[ \t\n\x0B\f\r]");
        Regex::new(&format!(r"\A(?:{ascii})\z")).map_err(Box::new)
    }
}

/// Builds each shape once.
pub(super) struct Builder<'a> {
    raw: &'a BTreeMap<String, RawShape>,
    built: HashMap<&'a str, Arc<Shape>>,
}

impl<'a> Builder<'a> {
    pub(super) fn new(raw: &'a BTreeMap<String, RawShape>) -> Self {
        Self {
            raw,
            built: HashMap::new(),
        }
    }

    pub(super) fn build(&mut self, name: &str) -> Arc<Shape> {
        if let Some(shape) = self.built.get(name) {
            return Arc::clone(shape);
        }
        let (name, raw) = self
            .raw
            .get_key_value(name)
            .expect("the model names its own shapes");
        let shape = Arc::new(Shape {
            kind: self.kind(raw),
            min: raw.min,
            max: raw.max,
            pattern: raw.pattern.clone().map(|text| Pattern {
                text,
                regex: OnceLock::new(),
            }),
            values: raw.values.clone(),
            untold: raw.untold.clone(),
            open: raw.open,
            sensitive: raw.sensitive,
        });
        self.built.insert(name, Arc::clone(&shape));
        shape
    }

    fn kind(&mut self, raw: &RawShape) -> Type {
        let mut inner = |member: &Option<RawMember>| {
            let member = member
                .as_ref()
                .expect("lists have members, maps keys and values");
            self.build(&member.shape)
        };
        match raw.kind.as_str() {
            "list" => Type::List(inner(&raw.member)),
            "map" => Type::Map(inner(&raw.key), inner(&raw.value)),
            "structure" => Type::Structure {
                members: raw
                    .members
                    .iter()
                    .map(|(name, it)| self.member(name, it, raw))
                    .collect(),
                payload: raw.payload.clone(),
            },
            "string" => Type::String,
            "integer" => Type::Integer,
            "long" => Type::Long,
            "double" => Type::Double,
            "boolean" => Type::Boolean,
            "blob" => Type::Blob,
            "timestamp" => Type::Timestamp,
            other => panic!("the model has a type '{other}' that nothing here reads"),
        }
    }

    fn member(&mut self, name: &str, value: &serde_json::Value, of: &RawShape) -> Member {
        let raw: RawMember = serde_json::from_value(value.clone())
            .expect("the model's members are shape references");
        Member {
            name: name.to_owned(),
            location: match raw.location.as_deref() {
                None => Location::Body,
                Some("uri") => Location::Uri,
                Some("querystring") => Location::Query,
                Some("header") => Location::Header,
                Some("statusCode") => Location::Status,
                Some(other) => panic!("the model has a location '{other}' that nothing here reads"),
            },
            location_name: raw.location_name.unwrap_or_else(|| name.to_owned()),
            required: of.required.iter().any(|required| required == name),
            shape: self.build(&raw.shape),
        }
    }
}
