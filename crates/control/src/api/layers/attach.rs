//! `Layers` of a function: which versions of layers it may have.

use std::collections::HashMap;

use pilotlight_model::limits::{CODE_UNPACKED_BYTES, LAYERS};
use pilotlight_model::node::Caller;
use pilotlight_model::{LambdaError, LayerKey, LayerVersionKey, VersionKey};

use super::policy;
use crate::api::invalid;
use crate::catalog::Session;
use crate::catalog::record::{AttachedLayer, Settings};

/// The layers of those ARNs, in their order, as `function` gets them.
pub(in crate::api) fn resolve(
    session: &Session<'_>,
    function: &VersionKey,
    arns: &[String],
) -> Result<Vec<AttachedLayer>, LambdaError> {
    if arns.len() > LAYERS {
        return Err(invalid(format!(
            "Cannot reference more than {LAYERS} layers."
        )));
    }
    let owner = Caller {
        account: function.account.clone(),
        region: function.region.clone(),
        function: None,
    };
    let mut seen: HashMap<LayerKey, &str> = HashMap::new();
    let mut found = Vec::with_capacity(arns.len());
    for arn in arns {
        // AWS's own layers have another form, and are not here.
        let absent = || invalid(format!("Layer version {arn} does not exist."));
        let key: LayerVersionKey = arn.parse().map_err(|_| absent())?;
        if key.layer.region != function.region {
            return Err(invalid(format!(
                "Layers are not in the same region as the function. Layers are expected to be in \
                 region {}.",
                function.region
            )));
        }
        let record = session.layer(&key)?;
        policy::allow(&owner, &key, record.as_ref())?;
        let record = record.ok_or_else(absent)?;
        if let Some(before) = seen.insert(key.layer.clone(), arn) {
            return Err(invalid(format!(
                "Two different versions of the same layer are not allowed to be referenced in the \
                 same function. {before} and {arn} are versions of the same layer."
            )));
        }
        found.push(AttachedLayer {
            key: record.key,
            code_size: record.details.code_size,
            unpacked_bytes: record.details.unpacked_bytes,
            package: record.package,
            draft: record.draft,
        });
    }
    Ok(found)
}

/// Whether code and layers together are as small as they must be.
pub(in crate::api) fn fits(settings: &Settings) -> Result<(), LambdaError> {
    let layers = settings.layers.iter().map(|layer| layer.unpacked_bytes);
    let size = settings.code_unpacked_bytes + layers.sum::<u64>();
    if size <= CODE_UNPACKED_BYTES {
        return Ok(());
    }
    Err(invalid(format!(
        "Function code combined with layers exceeds the maximum allowed size of \
         {CODE_UNPACKED_BYTES} bytes. The actual size is {size} bytes."
    )))
}
