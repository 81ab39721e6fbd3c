//! The catalog's queries for records and dead letters on their way out of the platform.

use bytes::Bytes;
use pilotlight_model::node::{Cause, QueuedEvent};
use rusqlite::params;
use serde::Serialize;
use uuid::Uuid;

use super::columns::{json, optional};
use super::{CatalogError, Session};
use crate::events::record::Attributes;
use crate::events::schedule::{Entry, Lane};

/// What is told of an event that ended, and where.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    pub(crate) kind: Kind,
    /// ARN of the target.
    pub(crate) target: String,
    pub(crate) body: Bytes,
    /// Of a dead letter.
    pub(crate) attributes: Option<Attributes>,
    /// Trace of the event that it tells of.
    pub(crate) trace_id: String,
    /// The invocation that it tells of. Not kept: only what becomes an event at once has use for it.
    pub(crate) cause: Option<Cause>,
    /// Whose event it was.
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) name: String,
    pub(crate) request_id: String,
}

/// What a message is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    Success,
    Failure,
    DeadLetter,
    /// What a schedule sends.
    Scheduled,
}

/// A message as it waits.
#[derive(Debug, Clone)]
pub(crate) struct Delivery {
    pub(crate) message_id: String,
    pub(crate) account: String,
    pub(crate) region: String,
    pub(crate) request_id: String,
    pub(crate) kind: String,
    pub(crate) target: String,
    pub(crate) body: Bytes,
    pub(crate) attributes: Option<Attributes>,
    pub(crate) queued_ms: u64,
    pub(crate) attempts: u32,
}

/// A message that waits, for people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct WaitingDelivery {
    pub(crate) message_id: String,
    pub(crate) request_id: String,
    pub(crate) function: String,
    pub(crate) kind: String,
    pub(crate) target: String,
    pub(crate) queued_ms: u64,
    pub(crate) due_ms: u64,
    pub(crate) attempts: u32,
    pub(crate) bytes: u64,
    pub(crate) last_error: Option<String>,
}

impl Kind {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Kind::Success => "success",
            Kind::Failure => "failure",
            Kind::DeadLetter => "dead_letter",
            Kind::Scheduled => "scheduled",
        }
    }
}

impl Message {
    /// A message about `event`.
    pub(crate) fn about(event: &QueuedEvent, kind: Kind, target: String, body: Bytes) -> Self {
        Self {
            kind,
            target,
            body,
            attributes: None,
            trace_id: event.trace_id.clone(),
            cause: None,
            account: event.account.to_string(),
            region: event.region.to_string(),
            name: event.name.to_string(),
            request_id: event.request_id.to_string(),
        }
    }
}

impl Session<'_> {
    /// Adds a message that is due now.
    pub(crate) fn deliver(&self, message: &Message, now_ms: u64) -> Result<Entry, CatalogError> {
        let attributes = message.attributes.as_ref();
        self.connection
            .prepare_cached(
                "INSERT INTO delivery (message_id, account, region, name, request_id, kind, target, body,
                                       attributes, queued_ms, due_ms, attempts)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, 0)",
            )?
            .execute(params![
                Uuid::new_v4().to_string(),
                message.account,
                message.region,
                message.name,
                message.request_id,
                message.kind.as_str(),
                message.target,
                message.body.as_ref(),
                attributes.map(serde_json::to_string).transpose()?,
                now_ms,
            ])?;
        Ok(Entry {
            id: self.connection.last_insert_rowid(),
            lane: Lane::new(&message.account, &message.target),
            queued_ms: now_ms,
            due_ms: now_ms,
        })
    }

    /// Every message that waits, without what it holds.
    pub(crate) fn delivery_entries(&self) -> Result<Vec<Entry>, CatalogError> {
        let mut query = self
            .connection
            .prepare("SELECT id, account, target, queued_ms, due_ms FROM delivery")?;
        let rows = query.query_map([], |row| {
            Ok(Entry {
                id: row.get(0)?,
                lane: Lane::new(row.get_ref(1)?.as_str()?, row.get_ref(2)?.as_str()?),
                queued_ms: row.get(3)?,
                due_ms: row.get(4)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// One whole message.
    pub(crate) fn delivery(&self, id: i64) -> Result<Delivery, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT message_id, account, region, request_id, kind, target, body, attributes, queued_ms,
                    attempts
             FROM delivery WHERE id = ?1",
        )?;
        Ok(query.query_row([id], |row| {
            Ok(Delivery {
                message_id: row.get(0)?,
                account: row.get(1)?,
                region: row.get(2)?,
                request_id: row.get(3)?,
                kind: row.get(4)?,
                target: row.get(5)?,
                body: Bytes::from(row.get::<_, Vec<u8>>(6)?),
                attributes: optional(row, 7, json)?,
                queued_ms: row.get(8)?,
                attempts: row.get(9)?,
            })
        })?)
    }

    /// Puts a message off after an attempt.
    pub(crate) fn put_off_delivery(
        &self,
        id: i64,
        due_ms: u64,
        error: &str,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "UPDATE delivery SET due_ms = ?2, attempts = attempts + 1, error = ?3 WHERE id = ?1",
            )?
            .execute(params![id, due_ms, error])?;
        Ok(())
    }

    /// Removes a message that has arrived.
    pub(crate) fn remove_delivery(&self, id: i64) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached("DELETE FROM delivery WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }

    /// Up to `limit` messages that wait, of an account and region: those due first.
    pub(crate) fn waiting_deliveries(
        &self,
        account: &str,
        region: &str,
        function: Option<&str>,
        limit: usize,
    ) -> Result<Vec<WaitingDelivery>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT message_id, request_id, name, kind, target, queued_ms, due_ms, attempts,
                    length(body), error
             FROM delivery WHERE account = ?1 AND region = ?2 AND name = coalesce(?3, name)
             ORDER BY due_ms, id LIMIT ?4",
        )?;
        let rows = query.query_map(params![account, region, function, limit], |row| {
            Ok(WaitingDelivery {
                message_id: row.get(0)?,
                request_id: row.get(1)?,
                function: row.get(2)?,
                kind: row.get(3)?,
                target: row.get(4)?,
                queued_ms: row.get(5)?,
                due_ms: row.get(6)?,
                attempts: row.get(7)?,
                bytes: row.get(8)?,
                last_error: row.get(9)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
