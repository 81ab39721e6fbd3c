//! The catalog's queries for log groups and streams: what was said of them. What was written to them, the
//! node's log store knows.

use std::collections::BTreeMap;

use pilotlight_model::logs::LogGroup;
use pilotlight_model::{AccountId, Region};
use rusqlite::{OptionalExtension, Row, params};

use super::columns::parsed;
use super::{CatalogError, Session};

/// What was said of a log group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LogGroupRow {
    pub(crate) created_ms: u64,
    pub(crate) retention_days: Option<u32>,
    pub(crate) class: String,
    pub(crate) kms_key: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
}

impl Session<'_> {
    pub(crate) fn log_group(&self, group: &LogGroup) -> Result<Option<LogGroupRow>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT created_ms, retention_days, class, kms_key, tags FROM log_group
             WHERE account = ?1 AND region = ?2 AND name = ?3",
        )?;
        let found = query
            .query_row(params![account(group), region(group), group.name], row)
            .optional()?;
        let Some((found, tags)) = found else {
            return Ok(None);
        };
        let tags = serde_json::from_str(&tags)?;
        Ok(Some(LogGroupRow { tags, ..found }))
    }

    /// Writes what is said of a group, over what was.
    pub(crate) fn set_log_group(
        &self,
        group: &LogGroup,
        said: &LogGroupRow,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO log_group
                 (account, region, name, created_ms, retention_days, class, kms_key, tags)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                account(group),
                region(group),
                group.name,
                said.created_ms,
                said.retention_days,
                said.class,
                said.kms_key,
                serde_json::to_string(&said.tags)?
            ])?;
        Ok(())
    }

    /// Forgets a group and its streams.
    pub(crate) fn delete_log_group(&self, group: &LogGroup) -> Result<(), CatalogError> {
        for statement in [
            "DELETE FROM log_group WHERE account = ?1 AND region = ?2 AND name = ?3",
            "DELETE FROM log_stream WHERE account = ?1 AND region = ?2 AND log_group = ?3",
        ] {
            self.connection.prepare_cached(statement)?.execute(params![
                account(group),
                region(group),
                group.name
            ])?;
        }
        Ok(())
    }

    /// Names of the groups of an account and region.
    pub(crate) fn log_groups(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> Result<Vec<String>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT name FROM log_group WHERE account = ?1 AND region = ?2")?;
        let names =
            query.query_map(params![account.as_str(), region.as_str()], |row| row.get(0))?;
        Ok(names.collect::<Result<_, _>>()?)
    }

    /// Every group whose lines are kept for a time, and its days.
    pub(crate) fn retained_log_groups(&self) -> Result<Vec<(LogGroup, u32)>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT account, region, name, retention_days FROM log_group
             WHERE retention_days IS NOT NULL",
        )?;
        let groups = query.query_map([], |row| {
            let group = LogGroup {
                account: parsed(row, 0)?,
                region: parsed(row, 1)?,
                name: row.get(2)?,
            };
            Ok((group, row.get(3)?))
        })?;
        Ok(groups.collect::<Result<_, _>>()?)
    }

    /// The streams that were made of a group, with their times.
    pub(crate) fn log_streams(&self, group: &LogGroup) -> Result<Vec<(String, u64)>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT name, created_ms FROM log_stream
             WHERE account = ?1 AND region = ?2 AND log_group = ?3",
        )?;
        let streams = query
            .query_map(params![account(group), region(group), group.name], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })?;
        Ok(streams.collect::<Result<_, _>>()?)
    }

    /// Whether that stream was made.
    pub(crate) fn has_log_stream(
        &self,
        group: &LogGroup,
        name: &str,
    ) -> Result<bool, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT 1 FROM log_stream
             WHERE account = ?1 AND region = ?2 AND log_group = ?3 AND name = ?4",
        )?;
        Ok(query.exists(params![account(group), region(group), group.name, name])?)
    }

    /// Makes a stream; false if it has been made already.
    pub(crate) fn add_log_stream(
        &self,
        group: &LogGroup,
        name: &str,
        created_ms: u64,
    ) -> Result<bool, CatalogError> {
        let made = self
            .connection
            .prepare_cached("INSERT OR IGNORE INTO log_stream VALUES (?1, ?2, ?3, ?4, ?5)")?
            .execute(params![
                account(group),
                region(group),
                group.name,
                name,
                created_ms
            ])?;
        Ok(made == 1)
    }

    /// Forgets a stream.
    pub(crate) fn delete_log_stream(
        &self,
        group: &LogGroup,
        name: &str,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "DELETE FROM log_stream
                 WHERE account = ?1 AND region = ?2 AND log_group = ?3 AND name = ?4",
            )?
            .execute(params![account(group), region(group), group.name, name])?;
        Ok(())
    }
}

fn account(group: &LogGroup) -> &str {
    group.account.as_str()
}

fn region(group: &LogGroup) -> &str {
    group.region.as_str()
}

/// What is said, without its tags; and those.
fn row(row: &Row<'_>) -> Result<(LogGroupRow, String), rusqlite::Error> {
    let said = LogGroupRow {
        created_ms: row.get(0)?,
        retention_days: row.get(1)?,
        class: row.get(2)?,
        kms_key: row.get(3)?,
        tags: BTreeMap::new(),
    };
    Ok((said, row.get(4)?))
}
