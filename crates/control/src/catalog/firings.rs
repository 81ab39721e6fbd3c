//! The catalog's queries for firings: what schedules have set off and what has not been handed on yet.

use pilotlight_model::AccountId;
use pilotlight_model::node::Caller;
use rusqlite::{Row, params};

use super::columns::{json, parsed};
use super::{CatalogError, Session};
use crate::schedules::settings::Target;

/// A schedule's one firing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Firing {
    /// Given by the catalog.
    pub(crate) id: i64,
    pub(crate) caller: Caller,
    pub(crate) schedule_arn: String,
    /// As the schedule had it when it fired.
    pub(crate) target: Target,
    pub(crate) execution_id: String,
    /// When the schedule was due.
    pub(crate) scheduled_ms: u64,
    /// When it fired: its age counts from here.
    pub(crate) fired_ms: u64,
    /// Attempts behind it.
    pub(crate) attempts: u32,
    /// When it is tried next.
    pub(crate) retry_ms: u64,
}

/// Columns of a firing, in the order in which [`firing`] reads them.
const FIRING: &str =
    "id, account, region, schedule_arn, target, execution_id, scheduled_ms, fired_ms,
                      attempts, retry_ms";

impl Session<'_> {
    /// Keeps a firing.
    pub(crate) fn insert_firing(&self, firing: &Firing) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO firing (account, region, schedule_arn, target, execution_id, scheduled_ms,
                                     fired_ms, attempts, retry_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
            )?
            .execute(params![
                firing.caller.account.as_str(),
                firing.caller.region.as_str(),
                firing.schedule_arn,
                serde_json::to_string(&firing.target)?,
                firing.execution_id,
                firing.scheduled_ms,
                firing.fired_ms,
                firing.attempts,
                firing.retry_ms,
            ])?;
        Ok(())
    }

    /// Up to `limit` firings of accounts that are not among `without`, those that are tried soonest first.
    pub(crate) fn next_firings(
        &self,
        limit: usize,
        without: &[AccountId],
    ) -> Result<Vec<Firing>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {FIRING} FROM firing WHERE account NOT IN (SELECT value FROM json_each(?2))
             ORDER BY retry_ms, id LIMIT ?1"
        ))?;
        let rows = query.query_map(params![limit, serde_json::to_string(without)?], firing)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Puts a firing off after an attempt.
    pub(crate) fn put_firing_off(
        &self,
        id: i64,
        attempts: u32,
        retry_ms: u64,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached("UPDATE firing SET attempts = ?2, retry_ms = ?3 WHERE id = ?1")?
            .execute(params![id, attempts, retry_ms])?;
        Ok(())
    }

    /// Removes a firing that is done with.
    pub(crate) fn remove_firing(&self, id: i64) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached("DELETE FROM firing WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }
}

fn firing(row: &Row<'_>) -> Result<Firing, rusqlite::Error> {
    Ok(Firing {
        id: row.get(0)?,
        caller: Caller {
            account: parsed(row, 1)?,
            region: parsed(row, 2)?,
        },
        schedule_arn: row.get(3)?,
        target: json(row, 4)?,
        execution_id: row.get(5)?,
        scheduled_ms: row.get(6)?,
        fired_ms: row.get(7)?,
        attempts: row.get(8)?,
        retry_ms: row.get(9)?,
    })
}
