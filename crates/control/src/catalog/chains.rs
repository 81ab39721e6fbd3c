//! The catalog's queries for declared chains.

use pilotlight_model::node::Caller;
use rusqlite::{Row, params};
use serde::{Deserialize, Serialize};

use super::columns::{json, parsed};
use super::{CatalogError, Session};

/// A chain of an account and region.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Chain {
    pub(crate) owner: Caller,
    pub(crate) name: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) modified_ms: u64,
}

/// A call that it declares, as it is kept and shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Call {
    /// As the definition names it.
    pub(crate) caller: String,
    pub(crate) callee: String,
    /// More than 0, and at most 1.
    pub(crate) part: f64,
    /// Seconds that the definition has between the two, the caller's own time apart.
    pub(crate) waits: f64,
}

/// Columns of a chain, in the order in which [`chain`] reads them.
const COLUMNS: &str = "account, region, name, calls, modified_ms";

impl Session<'_> {
    /// All chains, of all accounts.
    pub(crate) fn all_chains(&self) -> Result<Vec<Chain>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM chain"))?;
        let rows = query.query_map([], chain)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Those of an account and region, by name.
    pub(crate) fn chains(&self, owner: &Caller) -> Result<Vec<Chain>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM chain WHERE account = ?1 AND region = ?2 ORDER BY name"
        ))?;
        let rows = query.query_map([owner.account.as_str(), owner.region.as_str()], chain)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many others there are than that one.
    pub(crate) fn count_other_chains(
        &self,
        owner: &Caller,
        name: &str,
    ) -> Result<usize, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT count(*) FROM chain WHERE account = ?1 AND region = ?2 AND name != ?3",
        )?;
        let key = [owner.account.as_str(), owner.region.as_str(), name];
        Ok(query.query_row(key, |row| row.get(0))?)
    }

    /// Adds a chain, or writes over the one of that name.
    pub(crate) fn put_chain(&self, chain: &Chain) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(&format!(
                "INSERT OR REPLACE INTO chain ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5)"
            ))?
            .execute(params![
                chain.owner.account.as_str(),
                chain.owner.region.as_str(),
                chain.name,
                serde_json::to_string(&chain.calls)?,
                chain.modified_ms,
            ])?;
        Ok(())
    }

    /// Removes a chain; whether it was there.
    pub(crate) fn delete_chain(&self, owner: &Caller, name: &str) -> Result<bool, CatalogError> {
        let removed = self
            .connection
            .prepare_cached("DELETE FROM chain WHERE account = ?1 AND region = ?2 AND name = ?3")?
            .execute([owner.account.as_str(), owner.region.as_str(), name])?;
        Ok(removed > 0)
    }
}

fn chain(row: &Row<'_>) -> Result<Chain, rusqlite::Error> {
    Ok(Chain {
        owner: Caller {
            account: parsed(row, 0)?,
            region: parsed(row, 1)?,
            function: None,
        },
        name: row.get(2)?,
        calls: json(row, 3)?,
        modified_ms: row.get(4)?,
    })
}
