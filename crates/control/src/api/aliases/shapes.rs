//! How the API shows an alias, and where it may send requests.

use std::collections::BTreeMap;

use pilotlight_model::{LambdaError, Routing, Version, VersionKey, Weight};
use serde::{Deserialize, Serialize};

use super::{arn, version};
use crate::api::invalid;
use crate::catalog::aliases::Alias;

/// As the API shows an alias.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct AliasConfiguration {
    alias_arn: String,
    name: String,
    function_version: String,
    description: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    routing_config: Option<RoutingConfig>,
    revision_id: String,
}

#[derive(Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct RoutingConfig {
    #[serde(default)]
    additional_version_weights: BTreeMap<String, f64>,
}

impl RoutingConfig {
    pub(super) fn of(routing: Routing) -> Self {
        let weighted = |(version, weight): (Version, _)| (version.to_string(), f64::from(weight));
        Self {
            additional_version_weights: routing.additional.into_iter().map(weighted).collect(),
        }
    }

    /// The second version that an alias may have beside `first`.
    pub(super) fn beside(
        &self,
        function: &VersionKey,
        first: Version,
    ) -> Result<Option<(Version, Weight)>, LambdaError> {
        let mut weights = self.additional_version_weights.iter();
        let Some((text, &share)) = weights.next() else {
            return Ok(None);
        };
        if weights.next().is_some() {
            return Err(invalid(
                "Number of items in AdditionalVersionWeights cannot be greater than 1",
            ));
        }
        let second = version(function, text)?;
        if second == first {
            return Err(invalid(format!(
                "Invalid function version {first}. Function version {first} is already included in \
                 routing configuration."
            )));
        }
        if first == Version::Latest {
            let error =
                invalid("$LATEST is not supported for an alias pointing to more than 1 version");
            return Err(error.without_type());
        }
        // The model has checked it.
        let weight = Weight::try_from(share).map_err(|error| invalid(error.to_string()))?;
        Ok(Some((second, weight)))
    }
}

impl AliasConfiguration {
    pub(super) fn of(function: &VersionKey, alias: Alias) -> Self {
        let config = RoutingConfig::of(alias.routing);
        Self {
            alias_arn: arn(function, &alias.name),
            name: alias.name.to_string(),
            function_version: alias.routing.version.to_string(),
            description: alias.description,
            routing_config: alias.routing.additional.is_some().then_some(config),
            revision_id: alias.revision_id.to_string(),
        }
    }
}
