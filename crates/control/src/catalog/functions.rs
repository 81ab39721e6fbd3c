//! The catalog's queries for functions and their tags. What only published versions need is in `versions`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use pilotlight_model::{AccountId, Digest, FunctionSpec, Region, Runtime, VersionKey};
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::columns::{LATEST, json, key, number, optional, parsed};
use super::record::{Code, Record};
use super::row::FunctionRow;
use super::{CatalogError, Session};
use crate::index::{AliasKey, Change, Entry};
use crate::lifecycle::Lifecycle;

/// Columns of a record, in the order in which [`Session::record`] reads them.
pub(super) const RECORD: &str = "function.account, function.region, function.name, version.number, \
                      version.revision, version.revision_id, version.package, version.draft, \
                      version.image, version.compiled, version.settings, version.lifecycle, \
                      version.serving";

impl Session<'_> {
    /// One version of a function.
    pub(crate) fn find(&self, key: &VersionKey) -> Result<Option<Record>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM function JOIN version ON version.function = function.id
             WHERE function.id = ?1 AND number = ?2"
        ))?;
        let key = params![self.row(key)?, number(key.version)];
        Ok(query.query_row(key, |row| self.record(row)).optional()?)
    }

    /// Up to `limit` functions of an account and region behind `after`, by name.
    pub(crate) fn list(
        &self,
        account: &AccountId,
        region: &Region,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Record>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM function JOIN version ON version.function = function.id
             WHERE account = ?1 AND region = ?2 AND name > ?3 AND number = {LATEST}
             ORDER BY name LIMIT ?4"
        ))?;
        let rows = query.query_map(
            params![account.as_str(), region.as_str(), after, limit],
            |row| self.record(row),
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Up to `limit` versions that wait to be made ready, longest waiting first.
    pub(crate) fn unsettled(&self, limit: usize) -> Result<Vec<Record>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM version JOIN function ON version.function = function.id
             WHERE settled = 0 ORDER BY revision LIMIT ?1"
        ))?;
        let rows = query.query_map([limit], |row| self.record(row))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Functions and bytes of code, of all versions, of an account and region.
    pub(crate) fn usage(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<(u64, u64), CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT count(*) FILTER (WHERE number = {LATEST}),
                    coalesce(sum(settings ->> 'code_size'), 0)
             FROM function JOIN version ON version.function = function.id
             WHERE account = ?1 AND region = ?2"
        ))?;
        let account = params![account.as_str(), region.as_str()];
        Ok(query.query_row(account, |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    /// Adds a function that is not there yet.
    pub(crate) fn insert(&self, record: &Record) -> Result<(), CatalogError> {
        let function = self.add_row(&record.key)?;
        self.insert_version(function, record)
    }

    /// Adds a version to the function of that row.
    pub(super) fn insert_version(
        &self,
        function: FunctionRow,
        record: &Record,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO version (function, number, revision, revision_id, settled, package,
                                      draft, image, settings, lifecycle)
                 VALUES (?1, ?2, 0, '', 0, '', '', '', '', '')",
            )?
            .execute(params![function, number(record.key.version)])?;
        self.update(record)
    }

    /// Writes a record over the one that is there, and shows it to invocations.
    pub(crate) fn update(&self, record: &Record) -> Result<(), CatalogError> {
        let Record {
            key,
            revision,
            revision_id,
            code,
            settings,
            lifecycle,
            serving,
        } = record;
        let serving_json = serving
            .as_deref()
            .map(|spec| self.sealed(key, spec))
            .transpose()?;
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE version
                 SET revision = ?3, revision_id = ?4, settled = ?5, package = ?6, draft = ?7,
                     image = ?8, compiled = ?9, settings = ?10, lifecycle = ?11, serving = ?12
                 WHERE function = ?1 AND number = ?2",
            )?
            .execute(params![
                self.row(key)?,
                number(key.version),
                revision,
                revision_id.to_string(),
                lifecycle.settled(),
                code.package.as_str(),
                code.draft.as_str(),
                code.image.as_str(),
                code.compiled.map(Runtime::as_str),
                self.sealed(key, settings)?,
                serde_json::to_string(lifecycle)?,
                serving_json,
            ])?;
        if changed != 1 {
            return Err(rusqlite::Error::QueryReturnedNoRows.into());
        }
        self.change(Change::Put(key.clone(), record.entry()));
        Ok(())
    }

    /// Gives `$LATEST` a new `RevisionId`: to AWS something has changed of the function, though nothing
    /// that a record holds.
    pub(crate) fn renew(&self, function: &VersionKey) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(&format!(
                "UPDATE version SET revision_id = ?2 WHERE function = ?1 AND number = {LATEST}"
            ))?
            .execute(params![self.row(function)?, Uuid::new_v4().to_string()])?;
        Ok(())
    }

    /// Removes a function with all that belongs to it; answers its versions, none when it is not there.
    pub(crate) fn delete(&self, key: &VersionKey) -> Result<Vec<VersionKey>, CatalogError> {
        let versions = self.numbers(key)?;
        self.hide_policies(key)?;
        self.settle_events(key, None)?;
        for alias in self.aliases(key, None, "", None)? {
            self.change(Change::RemoveAlias(AliasKey::of(key, &alias.name)));
        }
        for record in self.urls(key, None, None)? {
            self.change(Change::RemoveUrl(record.url.id));
        }
        self.connection
            .prepare_cached("DELETE FROM function WHERE id = ?1")?
            .execute([self.row(key)?])?;
        for version in &versions {
            self.change(Change::Remove(version.clone()));
        }
        Ok(versions)
    }

    /// Tags of a function, by name.
    pub(crate) fn tags(&self, key: &VersionKey) -> Result<BTreeMap<String, String>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT name, value FROM tag WHERE function = ?1")?;
        let rows = query.query_map([self.row(key)?], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Makes `tags` the tags of a function.
    pub(crate) fn set_tags(
        &self,
        key: &VersionKey,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CatalogError> {
        let function = self.row(key)?;
        self.connection
            .prepare_cached("DELETE FROM tag WHERE function = ?1")?
            .execute([function])?;
        let mut insert = self
            .connection
            .prepare_cached("INSERT INTO tag (function, name, value) VALUES (?1, ?2, ?3)")?;
        for (name, value) in tags {
            insert.execute(params![function, name, value])?;
        }
        Ok(())
    }

    /// Images and packages that rows name.
    pub(crate) fn artifacts(&self) -> Result<HashSet<Digest>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT package, draft, image FROM version")?;
        let mut rows = query.query([])?;
        let mut found = HashSet::new();
        while let Some(row) = rows.next()? {
            for column in 0..3 {
                found.insert(parsed(row, column)?);
            }
        }
        self.layer_artifacts(&mut found)?;
        Ok(found)
    }

    /// What the index holds of every version.
    pub(super) fn index_entries(&self) -> Result<Vec<Change>, CatalogError> {
        let mut query = self.connection.prepare(
            "SELECT account, region, name, number, lifecycle, serving
             FROM version JOIN function ON version.function = function.id",
        )?;
        let rows = query.query_map([], |row| {
            let (key, lifecycle) = (key(row)?, json::<Lifecycle>(row, 4)?);
            let entry = Entry {
                state: lifecycle.state,
                serving: self.serving(row, 5, &key)?,
            };
            Ok(Change::Put(key, entry))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The record that a row of the columns [`RECORD`] holds.
    pub(super) fn record(&self, row: &Row<'_>) -> Result<Record, rusqlite::Error> {
        let key = key(row)?;
        Ok(Record {
            revision: row.get(4)?,
            revision_id: parsed::<Uuid>(row, 5)?,
            code: Code {
                package: parsed(row, 6)?,
                draft: parsed(row, 7)?,
                image: parsed(row, 8)?,
                compiled: row
                    .get::<_, Option<String>>(9)?
                    .as_deref()
                    .and_then(Runtime::from_name),
            },
            settings: self.unsealed(row, 10, &key)?,
            lifecycle: json(row, 11)?,
            serving: self.serving(row, 12, &key)?,
            key,
        })
    }

    fn serving(
        &self,
        row: &Row<'_>,
        column: usize,
        key: &VersionKey,
    ) -> Result<Option<Arc<FunctionSpec>>, rusqlite::Error> {
        optional(row, column, |row, column| self.unsealed(row, column, key))
    }
}
