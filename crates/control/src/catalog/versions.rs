//! The catalog's queries for published versions.

use std::sync::Arc;

use pilotlight_model::{AccountId, FunctionSpec, Region, SnapStart, Version, VersionKey};
use rusqlite::params;
use uuid::Uuid;

use super::columns::{key, number};
use super::functions::RECORD;
use super::record::{Record, Settings};
use super::{CatalogError, Session};
use crate::index::Change;
use crate::lifecycle::Lifecycle;

impl Session<'_> {
    /// Makes a version of `latest` as it is now, described as given; the last version where that was made
    /// of the very same and is still there. What is already made ready can be invoked at once.
    pub(crate) fn publish(
        &self,
        latest: &Record,
        description: Option<String>,
        now_ms: u64,
    ) -> Result<Record, CatalogError> {
        let mut find = self
            .connection
            .prepare_cached("SELECT published, published_from FROM function WHERE id = ?1")?;
        let function = self.row(&latest.key)?;
        let (last, from): (u64, String) =
            find.query_row([function], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let now = Settings {
            modified_ms: 0,
            ..latest.settings.clone()
        };
        if self.is_sealed(&latest.key, &from, &now)?
            && let Some(same) = self.find(&version(&latest.key, last))?
        {
            return Ok(same);
        }
        self.connection
            .prepare_cached(
                "UPDATE function SET published = ?2, published_from = ?3 WHERE id = ?1",
            )?
            .execute(params![function, last + 1, self.sealed(&latest.key, &now)?])?;
        let mut published = Record {
            key: version(&latest.key, last + 1),
            revision: self.next_revision()?,
            revision_id: Uuid::new_v4(),
            ..latest.clone()
        };
        published.settings.modified_ms = now_ms;
        if let Some(description) = description {
            published.settings.description = description;
        }
        match latest.serving.as_deref() {
            // One with SnapStart waits for its template.
            Some(ready)
                if latest.lifecycle.current()
                    && published.settings.snap_start != SnapStart::PublishedVersions =>
            {
                published.serving = Some(Arc::new(FunctionSpec {
                    key: published.key.clone(),
                    revision: published.revision,
                    ..ready.clone()
                }));
            }
            _ => (published.lifecycle, published.serving) = (Lifecycle::created(), None),
        }
        self.insert_version(function, &published)?;
        // To AWS this is a change of `$LATEST` too.
        self.renew(&latest.key)?;
        Ok(published)
    }

    /// Up to `limit` versions of a function behind `after`, by number; `$LATEST` comes first.
    pub(crate) fn versions(
        &self,
        function: &VersionKey,
        after: Option<Version>,
        limit: usize,
    ) -> Result<Vec<Record>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM function JOIN version ON version.function = function.id
             WHERE function.id = ?1 AND number > ?2
             ORDER BY number LIMIT ?3"
        ))?;
        let rows = query.query_map(
            params![self.row(function)?, after.map_or(-1, number), limit],
            |row| self.record(row),
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` versions of all functions of an account and region behind `after`, by name and number.
    pub(crate) fn list_versions(
        &self,
        account: &AccountId,
        region: &Region,
        after: (&str, Version),
        limit: usize,
    ) -> Result<Vec<Record>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM function JOIN version ON version.function = function.id
             WHERE account = ?1 AND region = ?2 AND (name, number) > (?3, ?4)
             ORDER BY name, number LIMIT ?5"
        ))?;
        let (name, last) = after;
        let rows = query.query_map(
            params![account.as_str(), region.as_str(), name, number(last), limit],
            |row| self.record(row),
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Keys of all versions of a function.
    pub(crate) fn numbers(&self, function: &VersionKey) -> Result<Vec<VersionKey>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT account, region, name, number
             FROM function JOIN version ON version.function = function.id
             WHERE function.id = ?1",
        )?;
        let rows = query.query_map([self.row(function)?], key)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Removes a published version with its policy and what is provisioned for it, if it is there.
    pub(crate) fn delete_version(&self, key: &VersionKey) -> Result<(), CatalogError> {
        self.settle_events(key, Some(&key.version.to_string()))?;
        self.connection
            .prepare_cached(
                "DELETE FROM version WHERE function = ?1 AND number = ?2 AND number != 0",
            )?
            .execute(params![self.row(key)?, number(key.version)])?;
        self.remove_event_invoke(key, &key.version.to_string())?;
        self.change(Change::Remove(key.clone()));
        self.unprovision(key, &key.version.to_string())?;
        self.remove_policy(key, &key.version.to_string())
    }
}

fn version(function: &VersionKey, number: u64) -> VersionKey {
    VersionKey {
        version: Version::Number(number),
        ..function.clone()
    }
}
