//! The catalog's queries for layers.

use std::collections::HashSet;

use pilotlight_model::{AccountId, Digest, LayerKey, LayerVersionKey, Region, Runtime};
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::columns::{json, optional, parsed};
use super::{CatalogError, Session};

/// Columns of a layer's version, in the order in which [`record`] reads them.
const RECORD: &str = "layer.account, layer.region, layer.name, layer_version.number,
                      layer_version.package, layer_version.draft, layer_version.details,
                      layer_version.policy";

/// Whether a version is for the runtime ?3 and the architecture ?4, where those are asked for.
const MATCHES: &str = "(?3 IS NULL OR EXISTS (
                            SELECT 1 FROM json_each(details, '$.runtimes') WHERE value = ?3))
                       AND (?4 IS NULL OR EXISTS (
                            SELECT 1 FROM json_each(details, '$.architectures') WHERE value = ?4))";

/// One version of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LayerRecord {
    pub(crate) key: LayerVersionKey,
    /// The zip as it was uploaded, a blob of the store.
    pub(crate) package: Digest,
    /// The image of that zip alone.
    pub(crate) draft: Digest,
    pub(crate) details: LayerDetails,
    /// Who else may use it.
    pub(crate) policy: Option<LayerPolicy>,
}

/// What the publisher said of a version, and its sizes. Never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerDetails {
    pub(crate) description: String,
    pub(crate) license: Option<String>,
    /// Absent where none were given, not even an empty list.
    pub(crate) runtimes: Option<Vec<String>>,
    pub(crate) architectures: Option<Vec<String>>,
    pub(crate) code_sha256: String,
    pub(crate) code_size: u64,
    pub(crate) unpacked_bytes: u64,
    pub(crate) created_ms: u64,
}

/// The permissions of a version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerPolicy {
    /// New with every change.
    pub(crate) revision_id: Uuid,
    pub(crate) statements: Vec<LayerStatement>,
}

/// One permission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LayerStatement {
    pub(crate) sid: String,
    /// `*`, an account, or an account's root user.
    pub(crate) principal: String,
    pub(crate) organization: Option<String>,
}

/// Of which versions a list is.
#[derive(Debug, Clone, Default)]
pub(crate) struct LayerFilter {
    pub(crate) runtime: Option<String>,
    pub(crate) architecture: Option<String>,
}

impl Session<'_> {
    /// Adds a version to a layer, which is made if it is not there, under the next number.
    pub(crate) fn publish_layer(
        &self,
        layer: &LayerKey,
        package: &Digest,
        draft: &Digest,
        details: LayerDetails,
    ) -> Result<LayerRecord, CatalogError> {
        let mut next = self.connection.prepare_cached(
            "INSERT INTO layer (account, region, name, published) VALUES (?1, ?2, ?3, 1)
             ON CONFLICT (account, region, name) DO UPDATE SET published = published + 1
             RETURNING id, published",
        )?;
        let name = params![layer.account.as_str(), layer.region.as_str(), layer.name];
        let (id, number): (i64, u64) =
            next.query_row(name, |row| Ok((row.get(0)?, row.get(1)?)))?;
        self.connection
            .prepare_cached(
                "INSERT INTO layer_version (layer, number, package, draft, details)
                 VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute(params![
                id,
                number,
                package.as_str(),
                draft.as_str(),
                serde_json::to_string(&details)?
            ])?;
        Ok(LayerRecord {
            key: layer.version(number),
            package: package.clone(),
            draft: draft.clone(),
            details,
            policy: None,
        })
    }

    /// One version of a layer.
    pub(crate) fn layer(&self, key: &LayerVersionKey) -> Result<Option<LayerRecord>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM layer JOIN layer_version ON layer_version.layer = layer.id
             WHERE account = ?1 AND region = ?2 AND name = ?3 AND number = ?4"
        ))?;
        Ok(query.query_row(named(key), record).optional()?)
    }

    /// The newest matching version of up to `limit` layers of an account and region behind `after`, by name.
    pub(crate) fn layers(
        &self,
        account: &AccountId,
        region: &Region,
        filter: &LayerFilter,
        after: &str,
        limit: usize,
    ) -> Result<Vec<LayerRecord>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM layer JOIN layer_version ON layer_version.layer = layer.id
             WHERE account = ?1 AND region = ?2 AND name > ?5 AND number =
                 (SELECT max(number) FROM layer_version WHERE layer = layer.id AND {MATCHES})
             ORDER BY name LIMIT ?6"
        ))?;
        let rows = query.query_map(
            params![
                account.as_str(),
                region.as_str(),
                filter.runtime,
                filter.architecture,
                after,
                limit
            ],
            record,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` matching versions of a layer below `before`, newest first.
    pub(crate) fn layer_versions(
        &self,
        layer: &LayerKey,
        filter: &LayerFilter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<LayerRecord>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM layer JOIN layer_version ON layer_version.layer = layer.id
             WHERE account = ?1 AND region = ?2 AND {MATCHES} AND name = ?5
                 AND (?6 IS NULL OR number < ?6)
             ORDER BY number DESC LIMIT ?7"
        ))?;
        let rows = query.query_map(
            params![
                layer.account.as_str(),
                layer.region.as_str(),
                filter.runtime,
                filter.architecture,
                layer.name,
                before,
                limit
            ],
            record,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes a version, if it is there. Functions that have it keep it.
    pub(crate) fn delete_layer(&self, key: &LayerVersionKey) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "DELETE FROM layer_version WHERE number = ?4 AND layer =
                     (SELECT id FROM layer WHERE account = ?1 AND region = ?2 AND name = ?3)",
            )?
            .execute(named(key))?;
        Ok(())
    }

    /// Writes a policy over the one that is there.
    pub(crate) fn set_layer_policy(
        &self,
        key: &LayerVersionKey,
        policy: &LayerPolicy,
    ) -> Result<(), CatalogError> {
        let LayerVersionKey { layer, number } = key;
        self.connection
            .prepare_cached(
                "UPDATE layer_version SET policy = ?5 WHERE number = ?4 AND layer =
                     (SELECT id FROM layer WHERE account = ?1 AND region = ?2 AND name = ?3)",
            )?
            .execute(params![
                layer.account.as_str(),
                layer.region.as_str(),
                layer.name,
                number,
                serde_json::to_string(policy)?
            ])?;
        Ok(())
    }

    /// Bytes of all layers of an account and region.
    pub(crate) fn layer_usage(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<u64, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT coalesce(sum(details ->> 'code_size'), 0)
             FROM layer JOIN layer_version ON layer_version.layer = layer.id
             WHERE account = ?1 AND region = ?2",
        )?;
        Ok(query.query_row([account.as_str(), region.as_str()], |row| row.get(0))?)
    }

    /// The image of a layer with byte code for a runtime, once it is known; none within where there is none.
    pub(crate) fn layer_image(
        &self,
        draft: &Digest,
        runtime: Runtime,
    ) -> Result<Option<Option<Digest>>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT image FROM layer_image WHERE draft = ?1 AND runtime = ?2")?;
        let key = params![draft.as_str(), runtime.as_str()];
        Ok(query.query_row(key, image).optional()?)
    }

    /// Keeps the image of a layer with byte code for a runtime.
    pub(crate) fn set_layer_image(
        &self,
        draft: &Digest,
        runtime: Runtime,
        image: Option<&Digest>,
    ) -> Result<(), CatalogError> {
        let image = image.map(Digest::as_str);
        self.connection
            .prepare_cached("INSERT OR REPLACE INTO layer_image VALUES (?1, ?2, ?3)")?
            .execute(params![draft.as_str(), runtime.as_str(), image])?;
        Ok(())
    }

    /// Forgets images with byte code whose layer is neither there nor any function's.
    pub(crate) fn forget_layer_images(&self) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "DELETE FROM layer_image WHERE draft NOT IN (
                     SELECT draft FROM layer_version
                     UNION SELECT value ->> 'draft' FROM version, json_each(settings, '$.layers'))",
            )?
            .execute([])?;
        Ok(())
    }

    /// Images and packages of layers: of those that are there and of those that functions have.
    pub(super) fn layer_artifacts(&self, found: &mut HashSet<Digest>) -> Result<(), CatalogError> {
        for query in [
            "SELECT package, draft FROM layer_version",
            "SELECT value ->> 'package', value ->> 'draft'
             FROM version, json_each(settings, '$.layers')",
        ] {
            let mut query = self.connection.prepare_cached(query)?;
            let mut rows = query.query([])?;
            while let Some(row) = rows.next()? {
                found.insert(parsed(row, 0)?);
                found.insert(parsed(row, 1)?);
            }
        }
        let mut query = self
            .connection
            .prepare_cached("SELECT image FROM layer_image")?;
        let mut rows = query.query([])?;
        while let Some(row) = rows.next()? {
            found.extend(image(row)?);
        }
        Ok(())
    }
}

/// An image in the first column, if there is one.
fn image(row: &Row<'_>) -> Result<Option<Digest>, rusqlite::Error> {
    optional(row, 0, parsed)
}

fn record(row: &Row<'_>) -> Result<LayerRecord, rusqlite::Error> {
    let layer = LayerKey {
        account: parsed(row, 0)?,
        region: parsed(row, 1)?,
        name: row.get(2)?,
    };
    Ok(LayerRecord {
        key: layer.version(row.get(3)?),
        package: parsed(row, 4)?,
        draft: parsed(row, 5)?,
        details: json(row, 6)?,
        policy: optional(row, 7, json)?,
    })
}

/// The first four parameters of a statement about one version.
fn named(key: &LayerVersionKey) -> impl rusqlite::Params + '_ {
    let LayerVersionKey { layer, number } = key;
    // SQLite's numbers end there, and so do those that were given.
    let number = i64::try_from(*number).unwrap_or(i64::MAX);
    (
        layer.account.as_str(),
        layer.region.as_str(),
        layer.name.as_str(),
        number,
    )
}
