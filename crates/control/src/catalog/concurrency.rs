//! The catalog's queries for concurrency that functions have for themselves: reserved and provisioned.

use pilotlight_model::names::Qualifier;
use pilotlight_model::{Version, VersionKey};
use rusqlite::{OptionalExtension, Row, params};

use super::columns::parsed;
use super::{CatalogError, Session};
use crate::claims::Claim;
use crate::index::Change;

/// What is provisioned for one version or alias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ProvisionedConfig {
    pub(crate) qualifier: Qualifier,
    pub(crate) requested: u32,
    /// When its owner last changed it, in milliseconds since 1970.
    pub(crate) modified_ms: u64,
}

/// Columns of a configuration, in the order in which [`config`] reads them.
const CONFIG: &str = "qualifier, requested, modified_ms";

impl Session<'_> {
    /// What a function claims; `None` when there is no such function.
    pub(crate) fn claim(&self, function: &VersionKey) -> Result<Option<Claim>, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT reserved FROM function WHERE id = ?1")?;
        let reserved = query.query_row([self.row(function)?], |row| row.get(0));
        let Some(reserved) = reserved.optional()? else {
            return Ok(None);
        };
        let configs = self.provisioned_configs(function)?.into_iter();
        Ok(Some(Claim {
            reserved,
            provisioned: configs.map(|it| (it.qualifier, it.requested)).collect(),
        }))
    }

    /// Makes that what a function reserves.
    pub(crate) fn reserve(
        &self,
        function: &VersionKey,
        reserved: Option<u32>,
    ) -> Result<(), CatalogError> {
        let changed = self
            .connection
            .prepare_cached("UPDATE function SET reserved = ?2 WHERE id = ?1")?
            .execute(params![self.row(function)?, reserved])?;
        if changed != 1 {
            return Err(rusqlite::Error::QueryReturnedNoRows.into());
        }
        self.show_claim(function)
    }

    /// What is provisioned of a function, by qualifier.
    pub(crate) fn provisioned_configs(
        &self,
        function: &VersionKey,
    ) -> Result<Vec<ProvisionedConfig>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {CONFIG} FROM provisioned WHERE function = ?1 ORDER BY qualifier"
        ))?;
        let rows = query.query_map([self.row(function)?], config)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Provisions that from now on. The function is there.
    pub(crate) fn provision(
        &self,
        function: &VersionKey,
        config: &ProvisionedConfig,
    ) -> Result<(), CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO provisioned (function, qualifier, requested, modified_ms)
                 VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute(params![
                self.row(function)?,
                config.qualifier.to_string(),
                config.requested,
                config.modified_ms,
            ])?;
        self.show_claim(function)
    }

    /// Provisions nothing under that qualifier any more.
    pub(crate) fn unprovision(
        &self,
        function: &VersionKey,
        qualifier: &str,
    ) -> Result<(), CatalogError> {
        let changed = self
            .connection
            .prepare_cached("DELETE FROM provisioned WHERE function = ?1 AND qualifier = ?2")?
            .execute(params![self.row(function)?, qualifier])?;
        match changed {
            0 => Ok(()),
            _ => self.show_claim(function),
        }
    }

    /// What all functions of the account and region take away from the account's limit, but for that one.
    /// What a function has provisioned is part of what it reserves, where it reserves something.
    pub(crate) fn taken_by_others(&self, function: &VersionKey) -> Result<u64, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT (SELECT coalesce(sum(reserved), 0) FROM function
                     WHERE account = ?1 AND region = ?2 AND reserved IS NOT NULL AND name != ?3)
                  + (SELECT coalesce(sum(requested), 0)
                     FROM provisioned JOIN function ON provisioned.function = function.id
                     WHERE account = ?1 AND region = ?2 AND reserved IS NULL AND name != ?3)",
        )?;
        let function = params![
            function.account.as_str(),
            function.region.as_str(),
            function.name.as_str()
        ];
        Ok(query.query_row(function, |row| row.get(0))?)
    }

    /// Every claim, for the index.
    pub(super) fn claims(&self) -> Result<Vec<Change>, CatalogError> {
        let mut query = self.connection.prepare(
            "SELECT account, region, name FROM function
             WHERE reserved IS NOT NULL OR id IN (SELECT function FROM provisioned)",
        )?;
        let functions = query.query_map([], |row| {
            Ok(VersionKey {
                account: parsed(row, 0)?,
                region: parsed(row, 1)?,
                name: parsed(row, 2)?,
                version: Version::Latest,
            })
        })?;
        let mut claims = Vec::new();
        for function in functions {
            let function = function?;
            let claim = self.claim(&function)?.unwrap_or_default();
            claims.push(Change::Claim(function, claim));
        }
        Ok(claims)
    }

    /// Shows to invocations what a function claims now.
    fn show_claim(&self, function: &VersionKey) -> Result<(), CatalogError> {
        let function = function.function();
        let claim = self.claim(&function)?.unwrap_or_default();
        self.change(Change::Claim(function, claim));
        Ok(())
    }
}

fn config(row: &Row<'_>) -> Result<ProvisionedConfig, rusqlite::Error> {
    Ok(ProvisionedConfig {
        qualifier: parsed(row, 0)?,
        requested: row.get(1)?,
        modified_ms: row.get(2)?,
    })
}
