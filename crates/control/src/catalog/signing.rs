//! The catalog's queries for code signing configurations.

use std::collections::BTreeMap;

use pilotlight_model::node::Caller;
use pilotlight_model::{FunctionName, VersionKey};
use rusqlite::{OptionalExtension, Row, params};

use super::columns::{json, parsed};
use super::{CatalogError, Session};

/// One configuration of an account and region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CodeSigning {
    pub(crate) id: String,
    pub(crate) description: String,
    /// ARNs of signing profile versions.
    pub(crate) publishers: Vec<String>,
    /// What becomes of code that none of them has signed: `Warn` or `Enforce`.
    pub(crate) policy: String,
    pub(crate) modified_ms: u64,
    pub(crate) tags: BTreeMap<String, String>,
}

/// Columns of a configuration, in the order in which [`read`] reads them.
const COLUMNS: &str = "id, description, publishers, policy, modified_ms, tags";

impl Session<'_> {
    /// The configuration of that id.
    pub(crate) fn code_signing(
        &self,
        owner: &Caller,
        id: &str,
    ) -> Result<Option<CodeSigning>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM code_signing WHERE account = ?1 AND region = ?2 AND id = ?3"
        ))?;
        let key = params![owner.account.as_str(), owner.region.as_str(), id];
        Ok(query.query_row(key, read).optional()?)
    }

    /// Adds a configuration, or writes over the one of that id.
    pub(crate) fn put_code_signing(
        &self,
        owner: &Caller,
        config: &CodeSigning,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(&format!(
                "INSERT OR REPLACE INTO code_signing (account, region, {COLUMNS})
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)"
            ))?
            .execute(params![
                owner.account.as_str(),
                owner.region.as_str(),
                config.id,
                config.description,
                serde_json::to_string(&config.publishers)?,
                config.policy,
                config.modified_ms,
                serde_json::to_string(&config.tags)?,
            ])?;
        Ok(())
    }

    /// Removes a configuration, if it is there.
    pub(crate) fn delete_code_signing(&self, owner: &Caller, id: &str) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "DELETE FROM code_signing WHERE account = ?1 AND region = ?2 AND id = ?3",
            )?
            .execute(params![owner.account.as_str(), owner.region.as_str(), id])?;
        Ok(())
    }

    /// Up to `limit` configurations of an account and region behind `after`, by id.
    pub(crate) fn code_signings(
        &self,
        owner: &Caller,
        after: &str,
        limit: usize,
    ) -> Result<Vec<CodeSigning>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM code_signing WHERE account = ?1 AND region = ?2 AND id > ?3
             ORDER BY id LIMIT ?4"
        ))?;
        let owner = params![owner.account.as_str(), owner.region.as_str(), after, limit];
        let rows = query.query_map(owner, read)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Names of up to `limit` functions behind `after` that have the configuration, by name.
    pub(crate) fn signed_functions(
        &self,
        owner: &Caller,
        id: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<FunctionName>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT name FROM function
             WHERE account = ?1 AND region = ?2 AND code_signing = ?3 AND name > ?4
             ORDER BY name LIMIT ?5",
        )?;
        let owner = params![
            owner.account.as_str(),
            owner.region.as_str(),
            id,
            after,
            limit
        ];
        let rows = query.query_map(owner, |row| parsed(row, 0))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// The configuration that a function has, by its id.
    pub(crate) fn signing_of(&self, function: &VersionKey) -> Result<Option<String>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT code_signing FROM function WHERE id = ?1")?;
        let found = query.query_row([self.row(function)?], |row| row.get(0));
        Ok(found.optional()?.flatten())
    }

    /// Gives a function a configuration, or takes it away; `false` where there is no such function.
    pub(crate) fn set_signing(
        &self,
        function: &VersionKey,
        id: Option<&str>,
    ) -> Result<bool, CatalogError> {
        let changed = self
            .connection
            .prepare_cached("UPDATE function SET code_signing = ?2 WHERE id = ?1")?
            .execute(params![self.row(function)?, id])?;
        Ok(changed == 1)
    }
}

fn read(row: &Row<'_>) -> Result<CodeSigning, rusqlite::Error> {
    Ok(CodeSigning {
        id: row.get(0)?,
        description: row.get(1)?,
        publishers: json(row, 2)?,
        policy: row.get(3)?,
        modified_ms: row.get(4)?,
        tags: json(row, 5)?,
    })
}
