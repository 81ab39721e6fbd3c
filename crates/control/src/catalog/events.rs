//! The catalog's queries for the queue of asynchronous events.

use bytes::Bytes;
use pilotlight_model::RequestId;
use pilotlight_model::node::QueuedEvent;
use rusqlite::params;
use uuid::Uuid;

use super::functions::parsed;
use super::{CatalogError, Session};

/// An event as the queue keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) event: QueuedEvent,
    /// When it was accepted, in milliseconds since 1970.
    pub(crate) queued_ms: u64,
    pub(crate) attempts: Attempts,
}

/// What is behind an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    /// Those in which the function failed.
    pub(crate) errors: u32,
    /// Those in which it was not run, since the last that ran.
    pub(crate) refusals: u32,
}

impl Session<'_> {
    /// Adds an event that is due now.
    pub(crate) fn enqueue(&self, event: &QueuedEvent, now_ms: u64) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO event (request_id, account, region, name, qualifier, payload,
                                    client_context, trace_id, queued_ms, due_ms, errors, refusals)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 0, 0)",
            )?
            .execute(params![
                event.request_id.to_string(),
                event.account.as_str(),
                event.region.as_str(),
                event.name.as_str(),
                event.qualifier,
                event.payload.as_ref(),
                event.client_context,
                event.trace_id,
                now_ms,
            ])?;
        Ok(())
    }

    /// Ids of up to `limit` events, with the time at which each is due, soonest first.
    pub(crate) fn next_events(&self, limit: usize) -> Result<Vec<(i64, u64)>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id, due_ms FROM event ORDER BY due_ms, id LIMIT ?1")?;
        let rows = query.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One whole event.
    pub(crate) fn event(&self, id: i64) -> Result<Event, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT request_id, account, region, name, qualifier, payload, client_context, trace_id,
                    queued_ms, errors, refusals
             FROM event WHERE id = ?1",
        )?;
        Ok(query.query_row([id], |row| {
            Ok(Event {
                event: QueuedEvent {
                    request_id: RequestId(parsed::<Uuid>(row, 0)?),
                    account: parsed(row, 1)?,
                    region: parsed(row, 2)?,
                    name: parsed(row, 3)?,
                    qualifier: row.get(4)?,
                    payload: Bytes::from(row.get::<_, Vec<u8>>(5)?),
                    client_context: row.get(6)?,
                    trace_id: row.get(7)?,
                },
                queued_ms: row.get(8)?,
                attempts: Attempts {
                    errors: row.get(9)?,
                    refusals: row.get(10)?,
                },
            })
        })?)
    }

    /// Puts an event off after an attempt.
    pub(crate) fn put_off(
        &self,
        id: i64,
        attempts: Attempts,
        due_ms: u64,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "UPDATE event SET due_ms = ?2, errors = ?3, refusals = ?4 WHERE id = ?1",
            )?
            .execute(params![id, due_ms, attempts.errors, attempts.refusals])?;
        Ok(())
    }

    /// Removes an event that is done with.
    pub(crate) fn remove_event(&self, id: i64) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached("DELETE FROM event WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }

    /// Events in the queue.
    pub(crate) fn count_events(&self) -> Result<u64, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT count(*) FROM event")?;
        Ok(query.query_row([], |row| row.get(0))?)
    }
}
