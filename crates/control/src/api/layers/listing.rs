//! ListLayers and ListLayerVersions.

use std::sync::Arc;

use pilotlight_model::LambdaError;
use pilotlight_model::node::Caller;
use serde::{Deserialize, Serialize};

use super::Shown;
use crate::api::markers::{not_a_marker, page, seen};
use crate::catalog::layers::{LayerFilter, LayerRecord};
use crate::control::Parts;
use crate::paging::cut;

/// Which page of which list.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct ListRequest {
    layer_name: Option<String>,
    compatible_runtime: Option<String>,
    compatible_architecture: Option<String>,
    marker: Option<String>,
    max_items: Option<usize>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Layers {
    layers: Vec<Layer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// A layer with the newest version that matches what was asked for.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Layer {
    layer_name: String,
    layer_arn: String,
    latest_matching_version: Shown,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Versions {
    layer_versions: Vec<Shown>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_marker: Option<String>,
}

/// The layers of the caller's account and region, by name.
pub(in crate::api) async fn layers(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListRequest,
) -> Result<Layers, LambdaError> {
    let page = page(request.max_items);
    let filter = request.filter();
    let after = seen(request.marker.as_deref())?.unwrap_or_default();
    let Caller {
        account, region, ..
    } = caller.clone();
    let mut records = parts
        .catalog
        .read(move |session| {
            Ok::<_, LambdaError>(session.layers(&account, &region, &filter, &after, page + 1)?)
        })
        .await?;
    let next_marker = cut(&mut records, page, |last| last.key.layer.name.clone());
    let shown = |record: LayerRecord| Layer {
        layer_name: record.key.layer.name.clone(),
        layer_arn: record.key.layer.to_string(),
        latest_matching_version: Shown::listed(record),
    };
    Ok(Layers {
        layers: records.into_iter().map(shown).collect(),
        next_marker,
    })
}

/// The versions of a layer, newest first: none of one that was never there.
pub(in crate::api) async fn versions(
    parts: &Arc<Parts>,
    caller: &Caller,
    request: ListRequest,
) -> Result<Versions, LambdaError> {
    let layer = super::layer(caller, request.layer_name.as_deref().unwrap_or_default())?;
    super::owned(caller, &layer, "lambda:ListLayerVersions", &layer)?;
    let page = page(request.max_items);
    let filter = request.filter();
    let before = seen(request.marker.as_deref())?
        .map(|text| text.parse().map_err(|_| not_a_marker()))
        .transpose()?;
    let mut records = parts
        .catalog
        .read(move |session| {
            Ok::<_, LambdaError>(session.layer_versions(&layer, &filter, before, page + 1)?)
        })
        .await?;
    let next_marker = cut(&mut records, page, |last| last.key.number.to_string());
    Ok(Versions {
        layer_versions: records.into_iter().map(Shown::listed).collect(),
        next_marker,
    })
}

impl ListRequest {
    fn filter(&self) -> LayerFilter {
        LayerFilter {
            runtime: self.compatible_runtime.clone(),
            architecture: self.compatible_architecture.clone(),
        }
    }
}
