//! The catalog's queries for function policies. A policy is that of a function, or of one of its versions
//! or aliases; its qualifier is empty for the function itself.

use pilotlight_model::VersionKey;
use pilotlight_model::function_policy::{Policy, Statement};
use rusqlite::params;

use super::columns::{json, parsed};
use super::{CatalogError, Session};
use crate::index::{Change, PolicyKey};

impl Session<'_> {
    /// The statements for that qualifier, in the order in which they were added.
    pub(crate) fn policy(
        &self,
        function: &VersionKey,
        qualifier: &str,
    ) -> Result<Policy, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT statement FROM statement WHERE function = ?1 AND qualifier = ?2 ORDER BY id",
        )?;
        let key = params![self.row(function)?, qualifier];
        let rows = query.query_map(key, |row| json(row, 0))?;
        Ok(Policy {
            statements: rows.collect::<Result<_, _>>()?,
        })
    }

    /// Adds a statement, which has an id that the policy does not have yet. The function is there.
    pub(crate) fn add_statement(
        &self,
        function: &VersionKey,
        qualifier: &str,
        statement: &Statement,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO statement (function, qualifier, sid, statement)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                self.row(function)?,
                qualifier,
                statement.sid,
                serde_json::to_string(statement)?,
            ])?;
        self.show_policy(function, qualifier)
    }

    /// Removes a statement, if it is there.
    pub(crate) fn remove_statement(
        &self,
        function: &VersionKey,
        qualifier: &str,
        sid: &str,
    ) -> Result<(), CatalogError> {
        self.remove_statements(function, qualifier, Some(sid))
    }

    /// Removes a policy: what it was for goes away.
    pub(super) fn remove_policy(
        &self,
        function: &VersionKey,
        qualifier: &str,
    ) -> Result<(), CatalogError> {
        self.remove_statements(function, qualifier, None)
    }

    /// Takes every policy of a function out of the index; the rows go with the function's.
    pub(super) fn hide_policies(&self, function: &VersionKey) -> Result<(), CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT DISTINCT qualifier FROM statement WHERE function = ?1")?;
        let mut rows = query.query([self.row(function)?])?;
        while let Some(row) = rows.next()? {
            let qualifier: String = row.get(0)?;
            let key = PolicyKey::of(function, &qualifier);
            self.change(Change::PutPolicy(key, Policy::default()));
        }
        Ok(())
    }

    /// What the index holds of every policy.
    pub(super) fn index_policies(&self) -> Result<Vec<Change>, CatalogError> {
        let mut query = self.connection.prepare(
            "SELECT account, region, name, qualifier, statement
             FROM statement JOIN function ON statement.function = function.id
             ORDER BY function.id, qualifier, statement.id",
        )?;
        let mut rows = query.query([])?;
        let mut found: Vec<(PolicyKey, Policy)> = Vec::new();
        while let Some(row) = rows.next()? {
            let key = PolicyKey {
                account: parsed(row, 0)?,
                region: parsed(row, 1)?,
                name: parsed(row, 2)?,
                qualifier: row.get(3)?,
            };
            let statement = json(row, 4)?;
            match found.last_mut() {
                Some((last, policy)) if *last == key => policy.statements.push(statement),
                _ => found.push((
                    key,
                    Policy {
                        statements: vec![statement],
                    },
                )),
            }
        }
        let change = |(key, policy)| Change::PutPolicy(key, policy);
        Ok(found.into_iter().map(change).collect())
    }

    fn remove_statements(
        &self,
        function: &VersionKey,
        qualifier: &str,
        sid: Option<&str>,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "DELETE FROM statement
                 WHERE function = ?1 AND qualifier = ?2 AND (?3 IS NULL OR sid = ?3)",
            )?
            .execute(params![self.row(function)?, qualifier, sid])?;
        self.show_policy(function, qualifier)
    }

    fn show_policy(&self, function: &VersionKey, qualifier: &str) -> Result<(), CatalogError> {
        let policy = self.policy(function, qualifier)?;
        let key = PolicyKey::of(function, qualifier);
        self.change(Change::PutPolicy(key, policy));
        Ok(())
    }
}
