//! The catalog's queries for concurrency that functions have for themselves.

use pilotlight_model::VersionKey;
use rusqlite::{OptionalExtension, params};

use super::functions::parsed;
use super::{CatalogError, Session};
use crate::claims::Claim;
use crate::index::Change;

impl Session<'_> {
    /// What a function claims; `None` when there is no such function.
    pub(crate) fn claim(&self, function: &VersionKey) -> Result<Option<Claim>, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT reserved FROM function WHERE account = ?1 AND region = ?2 AND name = ?3",
        )?;
        let claim = query.query_row(
            params![
                function.account.as_str(),
                function.region.as_str(),
                function.name.as_str()
            ],
            |row| {
                Ok(Claim {
                    reserved: row.get(0)?,
                })
            },
        );
        Ok(claim.optional()?)
    }

    /// Makes that what a function reserves.
    pub(crate) fn reserve(
        &self,
        function: &VersionKey,
        reserved: Option<u32>,
    ) -> Result<(), CatalogError> {
        let changed = self
            .connection
            .prepare_cached(
                "UPDATE function SET reserved = ?4
                 WHERE account = ?1 AND region = ?2 AND name = ?3",
            )?
            .execute(params![
                function.account.as_str(),
                function.region.as_str(),
                function.name.as_str(),
                reserved
            ])?;
        if changed != 1 {
            return Err(rusqlite::Error::QueryReturnedNoRows.into());
        }
        let claim = self.claim(function)?.unwrap_or_default();
        self.change(Change::Claim(function.clone(), claim));
        Ok(())
    }

    /// What all functions of the account and region take away from the account's limit, but for that one.
    pub(crate) fn taken_by_others(&self, function: &VersionKey) -> Result<u64, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT coalesce(sum(reserved), 0) FROM function
             WHERE account = ?1 AND region = ?2 AND reserved IS NOT NULL AND name != ?3",
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
            "SELECT account, region, name, reserved FROM function WHERE reserved IS NOT NULL",
        )?;
        let rows = query.query_map([], |row| {
            let function = VersionKey {
                account: parsed(row, 0)?,
                region: parsed(row, 1)?,
                name: parsed(row, 2)?,
                version: pilotlight_model::Version::Latest,
            };
            let claim = Claim {
                reserved: row.get(3)?,
            };
            Ok(Change::Claim(function, claim))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
