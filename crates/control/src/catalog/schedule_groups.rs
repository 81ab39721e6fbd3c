//! The catalog's queries for schedule groups, and for the tokens by which clients repeat requests.

use std::collections::BTreeMap;

use pilotlight_model::node::Caller;
use rusqlite::{OptionalExtension, Row, params};

use super::columns::json;
use super::{CatalogError, Session};

/// The group of schedules that name none. It is always there.
pub(crate) const DEFAULT: &str = "default";

/// A group of schedules.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Group {
    pub(crate) id: i64,
    pub(crate) name: String,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
    /// Its schedules are being deleted.
    pub(crate) deleting: bool,
    /// How many schedules it has.
    pub(crate) schedules: u64,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Columns of a group, in the order in which [`group`] reads them.
const GROUP: &str = "id, name, created_ms, modified_ms, deleting, schedules, tags";

impl Session<'_> {
    /// Makes the group that is always there, where it is not there yet.
    pub(crate) fn ensure_default_group(
        &self,
        caller: &Caller,
        now_ms: u64,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO schedule_group (account, region, name, created_ms, modified_ms, tags)
                 VALUES (?1, ?2, ?3, ?4, ?4, '{}') ON CONFLICT DO NOTHING",
            )?
            .execute(params![
                caller.account.as_str(),
                caller.region.as_str(),
                DEFAULT,
                now_ms
            ])?;
        Ok(())
    }

    /// Adds a group.
    pub(crate) fn insert_group(
        &self,
        caller: &Caller,
        name: &str,
        tags: &BTreeMap<String, String>,
        now_ms: u64,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO schedule_group (account, region, name, created_ms, modified_ms, tags)
                 VALUES (?1, ?2, ?3, ?4, ?4, ?5)",
            )?
            .execute(params![
                caller.account.as_str(),
                caller.region.as_str(),
                name,
                now_ms,
                serde_json::to_string(tags)?
            ])?;
        Ok(())
    }

    /// The group of that name.
    pub(crate) fn group(&self, caller: &Caller, name: &str) -> Result<Option<Group>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {GROUP} FROM schedule_group WHERE account = ?1 AND region = ?2 AND name = ?3"
        ))?;
        let key = params![caller.account.as_str(), caller.region.as_str(), name];
        Ok(query.query_row(key, group).optional()?)
    }

    /// Up to `limit` groups behind `after` whose names begin with `prefix`, by name.
    pub(crate) fn groups(
        &self,
        caller: &Caller,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Group>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {GROUP} FROM schedule_group
             WHERE account = ?1 AND region = ?2 AND name > ?3 AND name >= ?4 AND name < ?4 || '{{'
             ORDER BY name LIMIT ?5"
        ))?;
        let rows = query.query_map(
            params![
                caller.account.as_str(),
                caller.region.as_str(),
                after,
                prefix,
                limit
            ],
            group,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many groups there are, and how many schedules in all of them.
    pub(crate) fn count_schedules(&self, caller: &Caller) -> Result<(u64, u64), CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT count(*), coalesce(sum(schedules), 0) FROM schedule_group
             WHERE account = ?1 AND region = ?2",
        )?;
        let key = params![caller.account.as_str(), caller.region.as_str()];
        Ok(query.query_row(key, |row| Ok((row.get(0)?, row.get(1)?)))?)
    }

    pub(crate) fn set_group_tags(
        &self,
        group: &Group,
        tags: &BTreeMap<String, String>,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached("UPDATE schedule_group SET tags = ?2 WHERE id = ?1")?
            .execute(params![group.id, serde_json::to_string(tags)?])?;
        Ok(())
    }

    /// Marks a group whose schedules are to be deleted, and stops them.
    pub(crate) fn begin_group_deletion(&self, id: i64, now_ms: u64) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "UPDATE schedule_group SET deleting = 1, modified_ms = ?2 WHERE id = ?1",
            )?
            .execute(params![id, now_ms])?;
        Ok(())
    }

    /// Deletes up to `limit` schedules of a group, and the group itself once it has none. True when it is
    /// gone.
    pub(crate) fn continue_group_deletion(
        &self,
        id: i64,
        limit: usize,
    ) -> Result<bool, CatalogError> {
        let deleted = self
            .connection
            .prepare_cached(
                "DELETE FROM schedule WHERE id IN
                     (SELECT id FROM schedule WHERE \"group\" = ?1 LIMIT ?2)",
            )?
            .execute(params![id, limit])?;
        if deleted == limit {
            self.connection
                .prepare_cached(
                    "UPDATE schedule_group SET schedules = schedules - ?2 WHERE id = ?1",
                )?
                .execute(params![id, deleted])?;
            return Ok(false);
        }
        self.connection
            .prepare_cached("DELETE FROM schedule_group WHERE id = ?1")?
            .execute([id])?;
        Ok(true)
    }

    /// A group whose deletion is not finished.
    pub(crate) fn group_being_deleted(&self) -> Result<Option<i64>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT id FROM schedule_group WHERE deleting = 1 LIMIT 1")?;
        Ok(query.query_row([], |row| row.get(0)).optional()?)
    }

    /// The request that a client has given that token before, as JSON.
    pub(crate) fn request_of_token(
        &self,
        caller: &Caller,
        operation: &str,
        token: &str,
    ) -> Result<Option<String>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT request FROM client_token
             WHERE account = ?1 AND region = ?2 AND operation = ?3 AND token = ?4",
        )?;
        let key = params![
            caller.account.as_str(),
            caller.region.as_str(),
            operation,
            token
        ];
        Ok(query.query_row(key, |row| row.get(0)).optional()?)
    }

    /// Remembers a request by its token, and forgets those from before `oldest_ms`.
    pub(crate) fn remember_token(
        &self,
        caller: &Caller,
        operation: &str,
        token: &str,
        request: &str,
        (now_ms, oldest_ms): (u64, u64),
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached("DELETE FROM client_token WHERE at_ms < ?1")?
            .execute([oldest_ms])?;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO client_token (account, region, operation, token, request, at_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            )?
            .execute(params![
                caller.account.as_str(),
                caller.region.as_str(),
                operation,
                token,
                request,
                now_ms
            ])?;
        Ok(())
    }
}

fn group(row: &Row<'_>) -> Result<Group, rusqlite::Error> {
    Ok(Group {
        id: row.get(0)?,
        name: row.get(1)?,
        created_ms: row.get(2)?,
        modified_ms: row.get(3)?,
        deleting: row.get(4)?,
        schedules: row.get(5)?,
        tags: json(row, 6)?,
    })
}
