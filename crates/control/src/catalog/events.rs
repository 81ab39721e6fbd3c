//! The catalog's queries for the queue of asynchronous events.

mod settle;

use bytes::Bytes;
use pilotlight_model::names::Qualifier;
use pilotlight_model::node::QueuedEvent;
use pilotlight_model::{RequestId, Version, VersionKey};
use rusqlite::params;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::columns::{json, number, optional, parsed};
use super::deliveries::Message;
use super::event_invoke::EventInvoke;
use super::{CatalogError, Session};
use crate::destination;
use crate::events::schedule::{Entry, Lane};

/// An event as the queue keeps it.
#[derive(Debug, Clone)]
pub(crate) struct Event {
    pub(crate) event: QueuedEvent,
    /// When it was accepted, in milliseconds since 1970.
    pub(crate) queued_ms: u64,
    pub(crate) attempts: Attempts,
    pub(crate) settings: EventInvoke,
    /// Set when what the event was for is gone.
    pub(crate) settled: Option<Settled>,
}

/// What is behind an event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Attempts {
    /// Those in which the function ran.
    pub(crate) runs: u32,
    /// Those in which it was not run, since the last that ran.
    pub(crate) refusals: u32,
}

/// What is kept for events whose function, version or alias is deleted: where their end is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Settled {
    pub(crate) settings: EventInvoke,
    pub(crate) dead_letter: Option<String>,
}

/// What an event that ended left behind.
#[derive(Debug, Default)]
pub(crate) struct Followers {
    pub(crate) events: Vec<Entry>,
    /// Sizes of these events.
    pub(crate) bytes: Vec<usize>,
    pub(crate) deliveries: Vec<Entry>,
}

/// An event that waits, for people.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Waiting {
    pub(crate) request_id: String,
    pub(crate) function: String,
    pub(crate) qualifier: Option<String>,
    pub(crate) queued_ms: u64,
    pub(crate) due_ms: u64,
    pub(crate) attempts: u32,
    pub(crate) refusals: u32,
    pub(crate) bytes: u64,
    pub(crate) last_error: Option<String>,
}

impl Session<'_> {
    /// Adds an event that is due now.
    pub(crate) fn enqueue(&self, event: &QueuedEvent, now_ms: u64) -> Result<Entry, CatalogError> {
        let cause = event.cause.as_ref();
        let cause = cause.map(serde_json::to_string).transpose()?;
        self.connection
            .prepare_cached(
                "INSERT INTO event (request_id, account, region, name, qualifier, payload,
                                    client_context, trace_id, queued_ms, due_ms, errors, refusals,
                                    cause)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?9, 0, 0, ?10)",
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
                cause,
            ])?;
        Ok(Entry {
            id: self.connection.last_insert_rowid(),
            lane: lane(
                event.account.as_str(),
                event.region.as_str(),
                event.name.as_str(),
            ),
            queued_ms: now_ms,
            due_ms: now_ms,
        })
    }

    /// Whether there is what an event is for: the function, and the version or alias where it names one.
    pub(crate) fn is_there(&self, event: &QueuedEvent) -> Result<bool, CatalogError> {
        let function = VersionKey {
            account: event.account.clone(),
            region: event.region.clone(),
            name: event.name.clone(),
            version: Version::Latest,
        };
        let qualifier = event.qualifier.as_deref().unwrap_or("$LATEST");
        let version = match qualifier.parse() {
            Ok(Qualifier::Version(version)) => version,
            Ok(Qualifier::Alias(alias)) => return Ok(self.alias(&function, &alias)?.is_some()),
            Err(_) => return Ok(false),
        };
        let mut query = self.connection.prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM version WHERE function = ?1 AND number = ?2)",
        )?;
        let key = params![self.row(&function)?, number(version)];
        Ok(query.query_row(key, |row| row.get(0))?)
    }

    /// Every event that waits, with the size of what it holds.
    pub(crate) fn event_entries(&self) -> Result<Vec<(Entry, usize)>, CatalogError> {
        let mut query = self.connection.prepare(
            "SELECT id, account, region, name, queued_ms, due_ms, length(payload) FROM event",
        )?;
        let rows = query.query_map([], |row| {
            let entry = Entry {
                id: row.get(0)?,
                lane: lane(
                    row.get_ref(1)?.as_str()?,
                    row.get_ref(2)?.as_str()?,
                    row.get_ref(3)?.as_str()?,
                ),
                queued_ms: row.get(4)?,
                due_ms: row.get(5)?,
            };
            Ok((entry, row.get(6)?))
        })?;
        Ok(rows.collect::<Result<_, rusqlite::Error>>()?)
    }

    /// One whole event, with the settings that apply to it now.
    pub(crate) fn event(&self, id: i64) -> Result<Event, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT request_id, event.account, event.region, event.name, event.qualifier, payload,
                    client_context, trace_id, queued_ms, errors, refusals, event_invoke.settings,
                    settled, cause
             FROM event
             LEFT JOIN function ON function.account = event.account
                 AND function.region = event.region AND function.name = event.name
             LEFT JOIN event_invoke ON event_invoke.function = function.id
                 AND event_invoke.qualifier = coalesce(event.qualifier, '$LATEST')
             WHERE event.id = ?1",
        )?;
        Ok(query.query_row([id], |row| {
            let settled: Option<Settled> = optional(row, 12, json)?;
            let current: Option<EventInvoke> = optional(row, 11, json)?;
            let kept = settled.as_ref().map(|settled| settled.settings.clone());
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
                    cause: optional(row, 13, json)?,
                },
                queued_ms: row.get(8)?,
                attempts: Attempts {
                    runs: row.get(9)?,
                    refusals: row.get(10)?,
                },
                settings: current.or(kept).unwrap_or_default(),
                settled,
            })
        })?)
    }

    /// Puts an event off after an attempt.
    pub(crate) fn put_off(
        &self,
        id: i64,
        attempts: Attempts,
        due_ms: u64,
        error: &str,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "UPDATE event SET due_ms = ?2, errors = ?3, refusals = ?4, error = ?5 WHERE id = ?1",
            )?
            .execute(params![
                id,
                due_ms,
                attempts.runs,
                attempts.refusals,
                error
            ])?;
        Ok(())
    }

    /// Removes an event that is done with, and keeps what is told of it: all of it or nothing. What is for a
    /// function and does not fit into the queue is a message, for the function's file.
    pub(crate) fn settle(
        &self,
        id: i64,
        messages: &[Message],
        fits: &[bool],
        now_ms: u64,
    ) -> Result<Followers, CatalogError> {
        let removed = self
            .connection
            .prepare_cached("DELETE FROM event WHERE id = ?1")?
            .execute([id])?;
        let mut followers = Followers::default();
        if removed == 0 {
            return Ok(followers);
        }
        for (message, fits) in messages.iter().zip(fits) {
            match self.as_event(message)? {
                Some(event) if *fits => {
                    followers.bytes.push(event.payload.len());
                    followers.events.push(self.enqueue(&event, now_ms)?);
                }
                _ => followers.deliveries.push(self.deliver(message, now_ms)?),
            }
        }
        Ok(followers)
    }

    /// The event that a message becomes when its target is a function that is there.
    fn as_event(&self, message: &Message) -> Result<Option<QueuedEvent>, CatalogError> {
        let Some(target) = destination::function(&message.target) else {
            return Ok(None);
        };
        let function = VersionKey {
            account: target.account,
            region: target.region,
            name: target.name,
            version: Version::Latest,
        };
        if self.find(&function)?.is_none() {
            return Ok(None);
        }
        Ok(Some(QueuedEvent {
            request_id: RequestId::new(),
            account: function.account,
            region: function.region,
            name: function.name,
            qualifier: target.qualifier,
            payload: message.body.clone(),
            client_context: None,
            trace_id: message.trace_id.clone(),
            cause: message.cause.clone(),
        }))
    }

    /// Up to `limit` events that wait, of an account and region, of one function or all: those due first.
    pub(crate) fn waiting_events(
        &self,
        account: &str,
        region: &str,
        function: Option<&str>,
        limit: usize,
    ) -> Result<Vec<Waiting>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT request_id, name, qualifier, queued_ms, due_ms, errors, refusals, length(payload),
                    error
             FROM event WHERE account = ?1 AND region = ?2 AND name = coalesce(?3, name)
             ORDER BY due_ms, id LIMIT ?4",
        )?;
        let rows = query.query_map(params![account, region, function, limit], |row| {
            Ok(Waiting {
                request_id: row.get(0)?,
                function: row.get(1)?,
                qualifier: row.get(2)?,
                queued_ms: row.get(3)?,
                due_ms: row.get(4)?,
                attempts: row.get(5)?,
                refusals: row.get(6)?,
                bytes: row.get(7)?,
                last_error: row.get(8)?,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// Events of a function wait together.
fn lane(account: &str, region: &str, name: &str) -> Lane {
    Lane::new(account, &format!("{region}/{name}"))
}
