//! Which names a platform lets functions have, and what it answers to the others. Lambda tells apart what it
//! does not know and what it has retired, and so does this; what Lambda runs and nobody here can is a third.

use super::{Runtime, RuntimeName};

/// Names that Lambda lets new functions have, of languages that no image here is for.
pub(super) const FOREIGN: [&str; 7] = [
    "dotnet6", "dotnet8", "dotnet10", "ruby3.2", "ruby3.3", "ruby3.4", "ruby4.0",
];

/// Names that Lambda refuses to new functions, though it knows them; and what is here in their place.
pub(super) const RETIRED: [(&str, Option<Runtime>); 20] = [
    ("nodejs", Some(Runtime::Nodejs20x)),
    ("nodejs4.3", Some(Runtime::Nodejs20x)),
    ("nodejs4.3-edge", Some(Runtime::Nodejs20x)),
    ("nodejs6.10", Some(Runtime::Nodejs20x)),
    ("nodejs8.10", Some(Runtime::Nodejs20x)),
    ("nodejs10.x", Some(Runtime::Nodejs20x)),
    ("nodejs12.x", Some(Runtime::Nodejs20x)),
    ("nodejs14.x", Some(Runtime::Nodejs20x)),
    ("java8", Some(Runtime::Java17)),
    ("python2.7", Some(Runtime::Python311)),
    ("python3.6", Some(Runtime::Python311)),
    ("python3.7", Some(Runtime::Python311)),
    ("dotnetcore1.0", None),
    ("dotnetcore2.0", None),
    ("dotnetcore2.1", None),
    ("dotnetcore3.1", None),
    ("go1.x", Some(Runtime::ProvidedAl2023)),
    ("provided", Some(Runtime::ProvidedAl2023)),
    ("ruby2.5", None),
    ("ruby2.7", None),
];

/// What Lambda tells those who name a runtime that it does not know: its own list, in its own order.
pub(super) const TOLD: &str = "nodejs20.x, python3.14, provided.al2023, python3.12, python3.13, nodejs24.x, \
                    nodejs22.x, java17, nodejs16.x, java25, dotnet8, python3.10, java11, python3.11, \
                    dotnet6, java21, nodejs18.x, provided.al2, ruby3.3, ruby3.4, java8.al2, ruby3.2, \
                    python3.8, python3.9";

/// What a platform runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// The images that it has.
    pub images: Vec<Runtime>,
    /// Whether names of other versions run on the nearest of them.
    pub substitutes: bool,
}

/// Why a function cannot have a runtime. The first two in Lambda's own words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unavailable {
    /// Lambda does not know it either.
    #[error(
        "Value {name} at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: \
         [{TOLD}] or be a valid ARN"
    )]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// Lambda gives it to no function any more.
    #[error(
        "The runtime parameter of {name} is no longer supported for creating or updating AWS Lambda \
         functions. We recommend you use {} while creating or updating functions.",
        instead.map_or("a supported runtime".to_owned(), |it| format!("the new runtime ({it})"))
    )]
    Retired {
        /// What was asked for.
        name: &'static str,
        /// What is here in its place.
        instead: Option<Runtime>,
    },
    /// It would run on another image, which the platform has been told not to do.
    #[error(
        "The runtime {name} is not available on this platform: it would run on {}, which its \
         configuration does not allow (runtime_substitutes). Available runtimes: {}",
        name.image, names.join(", ")
    )]
    NotSubstituted {
        /// What was asked for.
        name: RuntimeName,
        /// What there is.
        names: Vec<&'static str>,
    },
    /// No image here is near it.
    #[error("The runtime {name} is not available on this platform. Available runtimes: {}", names.join(", "))]
    NoImage {
        /// What was asked for.
        name: &'static str,
        /// What there is.
        names: Vec<&'static str>,
    },
}

impl Offer {
    /// What a function is to have that is configured with `name`.
    pub fn judge(&self, name: &str) -> Result<RuntimeName, Unavailable> {
        if let Some(known) = RuntimeName::from_name(name) {
            return match self.images.contains(&known.image) {
                true if self.substitutes || !known.is_substituted() => Ok(known),
                true => Err(Unavailable::NotSubstituted {
                    name: known,
                    names: self.names(),
                }),
                false => Err(Unavailable::NoImage {
                    name: known.name,
                    names: self.names(),
                }),
            };
        }
        if let Some(&(name, instead)) = RETIRED.iter().find(|(retired, _)| *retired == name) {
            return Err(Unavailable::Retired { name, instead });
        }
        match FOREIGN.iter().find(|foreign| **foreign == name) {
            Some(name) => Err(Unavailable::NoImage {
                name,
                names: self.names(),
            }),
            None => Err(Unavailable::Unknown {
                name: name.to_owned(),
            }),
        }
    }

    /// Every name that a function may have.
    fn names(&self) -> Vec<&'static str> {
        RuntimeName::all()
            .filter(|it| self.images.contains(&it.image))
            .filter(|it| self.substitutes || !it.is_substituted())
            .map(RuntimeName::as_str)
            .collect()
    }
}
