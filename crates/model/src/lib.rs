//! What the parts of Pilotlight say to each other: ids, function configuration, limits, errors and
//! wire types. Nothing here does IO or reads a clock.
#![forbid(unsafe_code)]

pub mod client_context;
pub mod concurrency;
pub mod error;
pub mod function;
pub mod function_policy;
pub mod ids;
pub mod ladder;
pub mod layers;
pub mod limits;
pub mod lineage;
pub mod logging;
pub mod logs;
pub mod names;
pub mod node;
pub mod provisioned;
pub mod routing;
pub mod runtime;
pub mod service;
pub mod start;
pub mod url;
pub mod workflow;

pub use error::{ErrorKind, LambdaError};
pub use function::{FunctionSpec, SnapStart, VersionKey};
pub use ids::{AccountId, AliasName, Digest, FunctionName, Region, RequestId, UrlId, Version};
pub use ladder::{Refusal, Rung};
pub use layers::{LayerKey, LayerVersionKey};
pub use limits::Limits;
pub use routing::{Move, Routing, Weight};
pub use runtime::{Runtime, RuntimeName};
pub use start::{Phase, StartKind, StartRecord};
