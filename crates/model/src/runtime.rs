//! Runtimes: those that this platform has an image of, and the names of the Lambda API that run on one. A
//! function may be configured with any version of a language that Lambda lets new functions have; it runs on
//! the nearest image, and keeps the name that its owner gave it.

mod offer;

use std::fmt;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::InvalidId;

pub use offer::{Offer, Unavailable};

/// A runtime that this platform has an image for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Runtime {
    /// CPython 3.11 with Pilotlight's own bootstrap.
    #[serde(rename = "python3.11")]
    Python311,
    /// Node.js 20 with Pilotlight's own bootstrap.
    #[serde(rename = "nodejs20.x")]
    Nodejs20x,
    /// OpenJDK 17 with Pilotlight's own bootstrap.
    #[serde(rename = "java17")]
    Java17,
    /// The user's own `bootstrap` executable, which speaks the Runtime API.
    #[serde(rename = "provided.al2023")]
    ProvidedAl2023,
}

impl Runtime {
    /// Every runtime, in the order in which they are shown.
    pub const ALL: [Runtime; 4] = [
        Runtime::Python311,
        Runtime::Nodejs20x,
        Runtime::Java17,
        Runtime::ProvidedAl2023,
    ];

    /// The name in the Lambda API.
    pub fn as_str(self) -> &'static str {
        match self {
            Runtime::Python311 => "python3.11",
            Runtime::Nodejs20x => "nodejs20.x",
            Runtime::Java17 => "java17",
            Runtime::ProvidedAl2023 => "provided.al2023",
        }
    }

    /// The runtime of that very name, if this platform has it.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|runtime| runtime.as_str() == name)
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A runtime as a function's owner names it, of those that run here. In JSON, the name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RuntimeName {
    name: &'static str,
    image: Runtime,
}

/// Names that run on an image of another name. Of each language, what Lambda lets new functions have, oldest
/// first.
const SUBSTITUTED: [(&str, Runtime); 20] = [
    ("python3.8", Runtime::Python311),
    ("python3.9", Runtime::Python311),
    ("python3.10", Runtime::Python311),
    ("python3.12", Runtime::Python311),
    ("python3.13", Runtime::Python311),
    ("python3.14", Runtime::Python311),
    ("python3.15", Runtime::Python311),
    ("nodejs16.x", Runtime::Nodejs20x),
    ("nodejs18.x", Runtime::Nodejs20x),
    ("nodejs22.x", Runtime::Nodejs20x),
    ("nodejs24.x", Runtime::Nodejs20x),
    ("nodejs26.x", Runtime::Nodejs20x),
    ("java8.al2", Runtime::Java17),
    ("java8.al2023", Runtime::Java17),
    ("java11", Runtime::Java17),
    ("java11.al2023", Runtime::Java17),
    ("java17.al2023", Runtime::Java17),
    ("java21", Runtime::Java17),
    ("java25", Runtime::Java17),
    ("provided.al2", Runtime::ProvidedAl2023),
];

/// Of Python's, those from before Lambda's SnapStart.
const OLD_PYTHONS: [&str; 4] = ["python3.8", "python3.9", "python3.10", "python3.11"];

impl RuntimeName {
    /// The runtime of that name, if an image of this platform runs it: its own, or the nearest.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|it| it.name == name)
    }

    /// Every name: those of the images first.
    pub fn all() -> impl Iterator<Item = Self> {
        let substituted = SUBSTITUTED.map(|(name, image)| Self { name, image });
        Runtime::ALL.map(Self::from).into_iter().chain(substituted)
    }

    /// The name in the Lambda API.
    pub fn as_str(self) -> &'static str {
        self.name
    }

    /// What it runs on.
    pub fn image(self) -> Runtime {
        self.image
    }

    /// Whether Lambda has SnapStart for it.
    pub fn has_snap_start(self) -> bool {
        match self.image {
            Runtime::Python311 => !OLD_PYTHONS.contains(&self.name),
            Runtime::Java17 => !self.name.starts_with("java8"),
            Runtime::Nodejs20x | Runtime::ProvidedAl2023 => false,
        }
    }

    /// Whether it runs on an image of another name.
    pub fn is_substituted(self) -> bool {
        self.name != self.image.as_str()
    }
}

impl From<Runtime> for RuntimeName {
    fn from(image: Runtime) -> Self {
        Self {
            name: image.as_str(),
            image,
        }
    }
}

impl Serialize for RuntimeName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name)
    }
}

impl<'de> Deserialize<'de> for RuntimeName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::from_name(&text).ok_or_else(|| {
            let what = "runtime";
            D::Error::custom(InvalidId { what, text })
        })
    }
}

impl fmt::Display for RuntimeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

#[cfg(test)]
mod tests;
