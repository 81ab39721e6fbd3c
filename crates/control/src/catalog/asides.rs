//! The catalog's queries for settings that stand beside a function's or version's own, and change no
//! revision: what becomes of recursive calls, and when runtimes are updated.

use pilotlight_model::VersionKey;
use rusqlite::{OptionalExtension, params};

use super::columns::number;
use super::{CatalogError, Session};

/// When a version gets another runtime: `UpdateRuntimeOn` of the API and what belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RuntimeUpdate {
    pub(crate) update_on: String,
    pub(crate) runtime_version_arn: Option<String>,
}

impl Session<'_> {
    /// `RecursiveLoop` of the API: what becomes of a function's calls to itself. Absent where there is no
    /// such function.
    pub(crate) fn recursive_loop(
        &self,
        function: &VersionKey,
    ) -> Result<Option<String>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT recursive_loop FROM function WHERE id = ?1")?;
        let found = query.query_row([self.row(function)?], |row| row.get(0));
        Ok(found.optional()?)
    }

    /// Writes it; `false` where there is no such function.
    pub(crate) fn set_recursive_loop(
        &self,
        function: &VersionKey,
        value: &str,
    ) -> Result<bool, CatalogError> {
        let changed = self
            .connection
            .prepare_cached("UPDATE function SET recursive_loop = ?2 WHERE id = ?1")?
            .execute(params![self.row(function)?, value])?;
        Ok(changed == 1)
    }

    /// What was set for a version.
    pub(crate) fn runtime_update(
        &self,
        version: &VersionKey,
    ) -> Result<Option<RuntimeUpdate>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT update_on, runtime_version_arn FROM runtime_update
             WHERE function = ?1 AND number = ?2",
        )?;
        let key = params![self.row(version)?, number(version.version)];
        let read = |row: &rusqlite::Row<'_>| {
            Ok(RuntimeUpdate {
                update_on: row.get(0)?,
                runtime_version_arn: row.get(1)?,
            })
        };
        Ok(query.query_row(key, read).optional()?)
    }

    /// Writes it for a version that is there.
    pub(crate) fn set_runtime_update(
        &self,
        version: &VersionKey,
        update: &RuntimeUpdate,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO runtime_update
                     (function, number, update_on, runtime_version_arn)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                self.row(version)?,
                number(version.version),
                update.update_on,
                update.runtime_version_arn
            ])?;
        Ok(())
    }
}
