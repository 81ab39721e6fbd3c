//! The catalog's queries for schedules.

use pilotlight_model::node::Caller;
use rusqlite::{OptionalExtension, Row, params};

use super::columns::{json, parsed};
use super::{CatalogError, Session};
use crate::schedules::settings::{ScheduleState, Settings};

/// A schedule as the catalog keeps it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Schedule {
    pub(crate) id: i64,
    pub(crate) caller: Caller,
    pub(crate) group: String,
    pub(crate) name: String,
    pub(crate) settings: Settings,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
    /// A rate without a start date counts from here.
    pub(crate) anchor_ms: u64,
    /// Spreads its firings over their windows.
    pub(crate) seed: u64,
    /// When it is due next, if it is.
    pub(crate) next: Option<Next>,
    /// Its group is being deleted, and it with it.
    pub(crate) deleting: bool,
}

/// The next time of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Next {
    pub(crate) due_ms: u64,
    /// The same but for a flexible window.
    pub(crate) fire_ms: u64,
}

/// Which schedules are listed.
#[derive(Debug, Clone, Default)]
pub(crate) struct Filter {
    /// Of that group alone.
    pub(crate) group: Option<String>,
    /// Whose names begin with that.
    pub(crate) prefix: String,
    pub(crate) state: Option<ScheduleState>,
    /// Behind that group and name.
    pub(crate) after: (String, String),
}

/// Columns of a schedule, in the order in which [`schedule`] reads them.
const SCHEDULE: &str = "schedule.id, account, region, schedule_group.name, schedule.name, settings,
                        schedule.created_ms, schedule.modified_ms, anchor_ms, seed, due_ms, fire_ms,
                        deleting";
const FROM: &str = "FROM schedule_group JOIN schedule ON schedule.\"group\" = schedule_group.id";

const NEXT_FIRE_AFTER: &str = "SELECT min(fire_ms) FROM schedule WHERE fire_ms > ?1";
const NEXT_FIRE: &str = "SELECT min(fire_ms) FROM schedule WHERE fire_ms IS NOT NULL";

fn to_fire() -> String {
    format!(
        "SELECT {SCHEDULE} FROM schedule JOIN schedule_group ON schedule_group.id = schedule.\"group\"
         WHERE fire_ms <= ?1 ORDER BY fire_ms LIMIT ?2"
    )
}

fn listed() -> String {
    format!(
        "SELECT {SCHEDULE} {FROM} WHERE account = ?1 AND region = ?2
         AND (?3 IS NULL OR schedule_group.name = ?3) AND schedule_group.name >= ?6
         AND schedule.name >= CASE schedule_group.name WHEN ?6 THEN ?7 ELSE ?4 END
         AND schedule.name < ?4 || '{{'
         AND (?5 IS NULL OR enabled = ?5)
         ORDER BY schedule_group.name, schedule.name LIMIT ?8"
    )
}

impl Session<'_> {
    /// The schedule of that group and name.
    pub(crate) fn schedule(
        &self,
        caller: &Caller,
        group: &str,
        name: &str,
    ) -> Result<Option<Schedule>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {SCHEDULE} {FROM} WHERE account = ?1 AND region = ?2
             AND schedule_group.name = ?3 AND schedule.name = ?4"
        ))?;
        let key = params![caller.account.as_str(), caller.region.as_str(), group, name];
        Ok(query.query_row(key, schedule).optional()?)
    }

    /// Up to `limit` schedules, by group and name.
    pub(crate) fn schedules(
        &self,
        caller: &Caller,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<Schedule>, CatalogError> {
        let mut query = self.connection.prepare_cached(&listed())?;
        let (group, name) = &filter.after;
        // The first name that can come behind it, in its group: no name has a space.
        let from = format!("{name} ").max(filter.prefix.clone());
        let rows = query.query_map(
            params![
                caller.account.as_str(),
                caller.region.as_str(),
                filter.group,
                filter.prefix,
                filter.state.map(|state| state == ScheduleState::Enabled),
                group,
                from,
                limit
            ],
            schedule,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Adds a schedule to a group; its `id` is given here.
    pub(crate) fn insert_schedule(
        &self,
        group: i64,
        schedule: &Schedule,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO schedule (\"group\", name, settings, enabled, created_ms, modified_ms,
                                       anchor_ms, seed, due_ms, fire_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?
            .execute(params![
                group,
                schedule.name,
                serde_json::to_string(&schedule.settings)?,
                schedule.is_enabled(),
                schedule.created_ms,
                schedule.modified_ms,
                schedule.anchor_ms,
                schedule.seed.cast_signed(),
                schedule.next.map(|next| next.due_ms),
                schedule.next.map(|next| next.fire_ms),
            ])?;
        self.connection
            .prepare_cached("UPDATE schedule_group SET schedules = schedules + 1 WHERE id = ?1")?
            .execute([group])?;
        Ok(())
    }

    /// Writes down a schedule that has been changed.
    pub(crate) fn update_schedule(&self, schedule: &Schedule) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "UPDATE schedule SET settings = ?2, enabled = ?3, modified_ms = ?4, anchor_ms = ?5,
                                     due_ms = ?6, fire_ms = ?7 WHERE id = ?1",
            )?
            .execute(params![
                schedule.id,
                serde_json::to_string(&schedule.settings)?,
                schedule.is_enabled(),
                schedule.modified_ms,
                schedule.anchor_ms,
                schedule.next.map(|next| next.due_ms),
                schedule.next.map(|next| next.fire_ms),
            ])?;
        Ok(())
    }

    /// When a schedule is due next, if it is.
    pub(crate) fn set_next(&self, id: i64, next: Option<Next>) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached("UPDATE schedule SET due_ms = ?2, fire_ms = ?3 WHERE id = ?1")?
            .execute(params![
                id,
                next.map(|next| next.due_ms),
                next.map(|next| next.fire_ms)
            ])?;
        Ok(())
    }

    /// Deletes a schedule.
    pub(crate) fn delete_schedule(&self, id: i64) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "UPDATE schedule_group SET schedules = schedules - 1
                 WHERE id = (SELECT \"group\" FROM schedule WHERE id = ?1)",
            )?
            .execute([id])?;
        self.connection
            .prepare_cached("DELETE FROM schedule WHERE id = ?1")?
            .execute([id])?;
        Ok(())
    }

    /// Up to `limit` schedules whose time to fire has come by `now_ms`, soonest first.
    pub(crate) fn schedules_to_fire(
        &self,
        now_ms: u64,
        limit: usize,
    ) -> Result<Vec<Schedule>, CatalogError> {
        let mut query = self.connection.prepare_cached(&to_fire())?;
        let rows = query.query_map(params![now_ms, limit], schedule)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// When the first schedule fires after that time.
    pub(crate) fn next_fire_after(&self, after_ms: u64) -> Result<Option<u64>, CatalogError> {
        let mut query = self.connection.prepare_cached(NEXT_FIRE_AFTER)?;
        Ok(query.query_row([after_ms], |row| row.get(0))?)
    }

    /// When the next schedule fires.
    pub(crate) fn next_fire(&self) -> Result<Option<u64>, CatalogError> {
        let mut query = self.connection.prepare_cached(NEXT_FIRE)?;
        Ok(query.query_row([], |row| row.get(0))?)
    }
}

impl Schedule {
    fn is_enabled(&self) -> bool {
        self.settings.state == ScheduleState::Enabled
    }

    /// `arn:partition:scheduler:region:account:schedule/group/name`.
    pub(crate) fn arn(&self) -> String {
        let Caller {
            account, region, ..
        } = &self.caller;
        format!(
            "arn:{}:scheduler:{region}:{account}:schedule/{}/{}",
            region.partition(),
            self.group,
            self.name
        )
    }
}

fn schedule(row: &Row<'_>) -> Result<Schedule, rusqlite::Error> {
    let next = match (row.get(10)?, row.get(11)?) {
        (Some(due_ms), Some(fire_ms)) => Some(Next { due_ms, fire_ms }),
        _ => None,
    };
    Ok(Schedule {
        id: row.get(0)?,
        caller: Caller {
            account: parsed(row, 1)?,
            region: parsed(row, 2)?,
            function: None,
        },
        group: row.get(3)?,
        name: row.get(4)?,
        settings: json(row, 5)?,
        created_ms: row.get(6)?,
        modified_ms: row.get(7)?,
        anchor_ms: row.get(8)?,
        seed: row.get::<_, i64>(9)?.cast_unsigned(),
        next,
        deleting: row.get(12)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::catalog::open::MIGRATIONS;

    /// However many schedules there are, none is looked at that is not meant.
    #[test]
    fn indexes_find_what_is_due_and_what_is_listed() {
        let connection = rusqlite::Connection::open_in_memory().unwrap();
        for sql in MIGRATIONS {
            connection.execute_batch(sql).unwrap();
        }
        let plan = |sql: &str| {
            let mut query = connection
                .prepare(&format!("EXPLAIN QUERY PLAN {sql}"))
                .unwrap();
            let mut rows = query.raw_query();
            let mut steps = Vec::new();
            while let Some(row) = rows.next().unwrap() {
                steps.push(row.get::<_, String>(3).unwrap());
            }
            steps.join("; ")
        };
        let fire = plan(&to_fire());
        assert!(
            fire.contains("schedule USING INDEX schedule_fire (fire_ms<?)"),
            "{fire}"
        );
        let next = plan(NEXT_FIRE);
        assert!(next.contains("INDEX schedule_fire"), "{next}");
        let after = plan(NEXT_FIRE_AFTER);
        assert!(after.contains("INDEX schedule_fire (fire_ms>?)"), "{after}");
        let list = plan(&listed());
        assert!(
            list.contains("(account=? AND region=? AND name>?)"),
            "{list}"
        );
        assert!(list.contains("(group=? AND name>? AND name<?)"), "{list}");
        for plan in [fire, list] {
            assert!(
                !plan.contains("SCAN") && !plan.contains("TEMP B-TREE"),
                "{plan}"
            );
        }
    }
}
