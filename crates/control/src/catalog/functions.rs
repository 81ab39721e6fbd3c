//! The catalog's queries for functions, tags and settings. What only published versions need is in
//! `versions`.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use pilotlight_model::{AccountId, Digest, FunctionSpec, Region, Runtime, Version, VersionKey};
use rusqlite::types::{Type, ValueRef};
use rusqlite::{OptionalExtension, Row, params};
use serde::de::DeserializeOwned;
use uuid::Uuid;

use super::record::{Code, Record};
use super::{CatalogError, Session};
use crate::index::{AliasKey, Change, Entry};
use crate::lifecycle::Lifecycle;

/// Columns of a record, in the order in which [`Session::record`] reads them.
pub(super) const RECORD: &str = "function.account, function.region, function.name, version.number, \
                      version.revision, version.revision_id, version.package, version.draft, \
                      version.image, version.compiled, version.settings, version.lifecycle, \
                      version.serving";

/// Number of `$LATEST` in the catalog.
pub(super) const LATEST: u64 = 0;

impl Session<'_> {
    /// One version of a function.
    pub(crate) fn find(&self, key: &VersionKey) -> Result<Option<Record>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {RECORD} FROM function JOIN version ON version.function = function.id
             WHERE account = ?1 AND region = ?2 AND name = ?3 AND number = ?4"
        ))?;
        let key = params![
            key.account.as_str(),
            key.region.as_str(),
            key.name.as_str(),
            number(key.version)
        ];
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
        let key = &record.key;
        self.connection
            .prepare_cached("INSERT INTO function (account, region, name) VALUES (?1, ?2, ?3)")?
            .execute(params![
                key.account.as_str(),
                key.region.as_str(),
                key.name.as_str()
            ])?;
        let function = self.connection.last_insert_rowid();
        self.insert_version(function, record)
    }

    /// Adds a version to the function of that row.
    pub(super) fn insert_version(
        &self,
        function: i64,
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
                 SET revision = ?4, revision_id = ?5, settled = ?6, package = ?7, draft = ?8,
                     image = ?9, compiled = ?10, settings = ?11, lifecycle = ?12, serving = ?13
                 WHERE number = ?14 AND function =
                     (SELECT id FROM function WHERE account = ?1 AND region = ?2 AND name = ?3)",
            )?
            .execute(params![
                key.account.as_str(),
                key.region.as_str(),
                key.name.as_str(),
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
                number(key.version),
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
                "UPDATE version SET revision_id = ?4 WHERE number = {LATEST} AND function =
                     (SELECT id FROM function WHERE account = ?1 AND region = ?2 AND name = ?3)"
            ))?
            .execute(params![
                function.account.as_str(),
                function.region.as_str(),
                function.name.as_str(),
                Uuid::new_v4().to_string()
            ])?;
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
            .prepare_cached(
                "DELETE FROM function WHERE account = ?1 AND region = ?2 AND name = ?3",
            )?
            .execute(params![
                key.account.as_str(),
                key.region.as_str(),
                key.name.as_str()
            ])?;
        for version in &versions {
            self.change(Change::Remove(version.clone()));
        }
        Ok(versions)
    }

    /// A number larger than any that was handed out before.
    pub(crate) fn next_revision(&self) -> Result<u64, CatalogError> {
        let next = "INSERT INTO setting (name, value) VALUES ('revision', '1')
                    ON CONFLICT (name) DO UPDATE SET value = CAST(value + 1 AS TEXT)
                    RETURNING CAST(value AS INTEGER)";
        Ok(self
            .connection
            .prepare_cached(next)?
            .query_row([], |row| row.get(0))?)
    }

    /// The text kept under `name`; `first` is kept when there is none yet.
    pub(crate) fn setting(&self, name: &str, first: &str) -> Result<String, CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute([name, first])?;
        let mut query = self
            .connection
            .prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0))?)
    }

    /// Tags of a function, by name.
    pub(crate) fn tags(&self, key: &VersionKey) -> Result<BTreeMap<String, String>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT tag.name, tag.value FROM tag JOIN function ON tag.function = function.id
             WHERE account = ?1 AND region = ?2 AND function.name = ?3",
        )?;
        let key = params![key.account.as_str(), key.region.as_str(), key.name.as_str()];
        let rows = query.query_map(key, |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Makes `tags` the tags of a function.
    pub(crate) fn set_tags(
        &self,
        key: &VersionKey,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CatalogError> {
        let function: i64 = self
            .connection
            .prepare_cached(
                "SELECT id FROM function WHERE account = ?1 AND region = ?2 AND name = ?3",
            )?
            .query_row(
                params![key.account.as_str(), key.region.as_str(), key.name.as_str()],
                |row| row.get(0),
            )?;
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
        match row.get_ref(column)? {
            ValueRef::Null => Ok(None),
            _ => self.unsealed(row, column, key).map(Some),
        }
    }
}

/// How the catalog numbers a version.
pub(super) fn number(version: Version) -> u64 {
    match version {
        Version::Latest => LATEST,
        Version::Number(number) => number,
    }
}

/// The first four columns.
pub(super) fn key(row: &Row<'_>) -> Result<VersionKey, rusqlite::Error> {
    let number: u64 = row.get(3)?;
    Ok(VersionKey {
        account: parsed(row, 0)?,
        region: parsed(row, 1)?,
        name: parsed(row, 2)?,
        version: if number == LATEST {
            Version::Latest
        } else {
            Version::Number(number)
        },
    })
}

/// A text column that holds an id.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> Result<T, rusqlite::Error>
where
    T: std::str::FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let unreadable = |error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    };
    row.get_ref(column)?.as_str()?.parse().map_err(unreadable)
}

pub(super) fn json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> Result<T, rusqlite::Error> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}
