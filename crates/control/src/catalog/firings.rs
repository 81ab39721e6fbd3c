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
    /// Why the last attempt failed.
    pub(crate) last_error: Option<String>,
}

/// Columns of a firing, in the order in which [`firing`] reads them.
const FIRING: &str =
    "id, account, region, schedule_arn, target, execution_id, scheduled_ms, fired_ms,
                      attempts, retry_ms, error";

impl Session<'_> {
    /// Keeps a firing.
    pub(crate) fn insert_firing(&self, firing: &Firing) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO firing (account, region, schedule_arn, target, execution_id, scheduled_ms,
                                     fired_ms, attempts, retry_ms, error)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
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
                firing.last_error,
            ])?;
        Ok(())
    }

    /// Whether a firing is still to be handed on: its schedule may have been deleted meanwhile.
    pub(crate) fn has_firing(&self, id: i64) -> Result<bool, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT EXISTS (SELECT 1 FROM firing WHERE id = ?1)")?;
        Ok(query.query_row([id], |row| row.get(0))?)
    }

    /// Firings of that caller's schedules that wait and that `wanted` picks, up to `limit`, those that are tried
    /// soonest first.
    pub(crate) fn waiting_firings(
        &self,
        caller: &Caller,
        limit: usize,
        wanted: impl Fn(&Firing) -> bool,
    ) -> Result<Vec<Firing>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {FIRING} FROM firing WHERE account = ?1 AND region = ?2 ORDER BY retry_ms, id"
        ))?;
        let owner = params![caller.account.as_str(), caller.region.as_str()];
        let rows = query.query_map(owner, firing)?;
        let wanted = |found: &Result<Firing, _>| found.as_ref().map_or(true, &wanted);
        Ok(rows.filter(wanted).take(limit).collect::<Result<_, _>>()?)
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
        error: &str,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "UPDATE firing SET attempts = ?2, retry_ms = ?3, error = ?4 WHERE id = ?1",
            )?
            .execute(params![id, attempts, retry_ms, error])?;
        Ok(())
    }

    /// Removes what a schedule has set off and what has not been handed on.
    pub(crate) fn remove_firings(
        &self,
        owner: &Caller,
        schedule_arn: &str,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "DELETE FROM firing WHERE account = ?1 AND region = ?2 AND schedule_arn = ?3",
            )?
            .execute(params![
                owner.account.as_str(),
                owner.region.as_str(),
                schedule_arn
            ])?;
        Ok(())
    }

    /// The same for all schedules of a group. ARNs are told from each other by the `/` behind its name.
    pub(crate) fn remove_firings_of_group(
        &self,
        owner: &Caller,
        group: &str,
    ) -> Result<(), CatalogError> {
        let Caller {
            account, region, ..
        } = owner;
        let prefix = format!(
            "arn:{}:scheduler:{region}:{account}:schedule/{group}",
            region.partition()
        );
        self.connection
            .prepare_cached(
                "DELETE FROM firing
                 WHERE account = ?1 AND region = ?2 AND schedule_arn > ?3 AND schedule_arn < ?4",
            )?
            // `0` is what comes after `/`.
            .execute(params![
                account.as_str(),
                region.as_str(),
                format!("{prefix}/"),
                format!("{prefix}0")
            ])?;
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
            function: None,
        },
        schedule_arn: row.get(3)?,
        target: json(row, 4)?,
        execution_id: row.get(5)?,
        scheduled_ms: row.get(6)?,
        fired_ms: row.get(7)?,
        attempts: row.get(8)?,
        retry_ms: row.get(9)?,
        last_error: row.get(10)?,
    })
}
