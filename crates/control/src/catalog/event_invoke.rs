//! The catalog's queries for the settings of asynchronous invocations, which belong to a qualifier of a
//! function.

use pilotlight_model::VersionKey;
use rusqlite::{OptionalExtension, Row, params};
use serde::{Deserialize, Serialize};

use super::columns::json;
use super::{CatalogError, Session};

/// Settings of the asynchronous invocations of one qualifier.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct EventInvoke {
    pub(crate) maximum_retries: Option<u32>,
    pub(crate) maximum_age_s: Option<u64>,
    pub(crate) on_success: Option<String>,
    pub(crate) on_failure: Option<String>,
    pub(crate) modified_ms: u64,
}

impl Session<'_> {
    /// The settings of a qualifier, if it has any.
    pub(crate) fn event_invoke(
        &self,
        function: &VersionKey,
        qualifier: &str,
    ) -> Result<Option<EventInvoke>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT qualifier, settings FROM event_invoke WHERE function = ?1 AND qualifier = ?2",
        )?;
        let key = params![self.row(function)?, qualifier];
        let found = query.query_row(key, settings).optional()?;
        Ok(found.map(|(_, settings)| settings))
    }

    /// Up to `limit` settings of a function behind the qualifier `after`, by qualifier.
    pub(crate) fn event_invokes(
        &self,
        function: &VersionKey,
        after: &str,
        limit: usize,
    ) -> Result<Vec<(String, EventInvoke)>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT qualifier, settings FROM event_invoke WHERE function = ?1 AND qualifier > ?2
             ORDER BY qualifier LIMIT ?3",
        )?;
        let key = params![self.row(function)?, after, limit];
        let rows = query.query_map(key, settings)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Writes the settings of a qualifier of a function that is there.
    pub(crate) fn set_event_invoke(
        &self,
        function: &VersionKey,
        qualifier: &str,
        settings: &EventInvoke,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO event_invoke (function, qualifier, settings) VALUES (?1, ?2, ?3)
                 ON CONFLICT DO UPDATE SET settings = excluded.settings",
            )?
            .execute(params![
                self.row(function)?,
                qualifier,
                serde_json::to_string(settings)?,
            ])?;
        Ok(())
    }

    /// Removes the settings of a qualifier; whether there were any.
    pub(crate) fn remove_event_invoke(
        &self,
        function: &VersionKey,
        qualifier: &str,
    ) -> Result<bool, CatalogError> {
        let removed = self
            .connection
            .prepare_cached("DELETE FROM event_invoke WHERE function = ?1 AND qualifier = ?2")?
            .execute(params![self.row(function)?, qualifier])?;
        Ok(removed > 0)
    }
}

fn settings(row: &Row<'_>) -> Result<(String, EventInvoke), rusqlite::Error> {
    Ok((row.get(0)?, json(row, 1)?))
}
