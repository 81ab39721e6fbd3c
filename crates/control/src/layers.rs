//! The images of a function's layers, made ready like its code: with byte code for its runtime, once for
//! all functions that have the layer.

use pilotlight_model::node::{Folder, NodeError};
use pilotlight_model::{Digest, LambdaError, Runtime};

use crate::catalog::record::{AttachedLayer, Record};
use crate::control::Parts;
use crate::deploy::Failure;

/// The images that instances of the function mount, lowest first. They have byte code either all or none:
/// that of a lower layer would be taken for the source of an upper one that has none of its own.
pub(crate) async fn images(parts: &Parts, record: &Record) -> Result<Vec<Digest>, Failure> {
    let layers = &record.settings.layers;
    let mut images = Vec::with_capacity(layers.len());
    for layer in layers {
        images.extend(compiled(parts, record.settings.runtime.image(), layer).await?);
    }
    if images.len() < layers.len() {
        images = layers.iter().map(|layer| layer.draft.clone()).collect();
    }
    Ok(images)
}

/// The image with byte code, made now if need be; none where no whole byte code is to be had.
async fn compiled(
    parts: &Parts,
    runtime: Runtime,
    layer: &AttachedLayer,
) -> Result<Option<Digest>, Failure> {
    let draft = layer.draft.clone();
    let known = parts
        .catalog
        .read(move |session| Ok::<_, LambdaError>(session.layer_image(&draft, runtime)?))
        .await?;
    if let Some(image) = known {
        return Ok(image);
    }
    let compiled = match parts
        .node
        .compile(runtime, layer.draft.clone(), Folder::Layers)
        .await
    {
        Ok(compiled) => compiled,
        Err(NodeError::Draining) => return Err(Failure::Later),
        Err(error) => {
            tracing::warn!(%error, layer = %layer.key, "layer stays uncompiled");
            return Ok(None);
        }
    };
    let held = parts.packages.hold().await;
    let image = match compiled.whole {
        false => None,
        true if compiled.files.is_empty() => Some(layer.draft.clone()),
        true => Some(
            parts
                .packages
                .publish(&layer.package, compiled.files, &held)
                .await?,
        ),
    };
    let (draft, kept) = (layer.draft.clone(), image.clone());
    parts
        .catalog
        .write(move |session| {
            Ok::<_, LambdaError>(session.set_layer_image(&draft, runtime, kept.as_ref())?)
        })
        .await?;
    drop(held);
    Ok(image)
}
