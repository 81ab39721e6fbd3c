//! The catalog's queries for aliases.

use pilotlight_model::ids::InvalidId;
use pilotlight_model::{AliasName, Routing, Version, VersionKey, Weight};
use rusqlite::types::Type;
use rusqlite::{OptionalExtension, Row, params};
use uuid::Uuid;

use super::columns::{number, parsed, version};
use super::{CatalogError, Session};
use crate::index::{AliasKey, Change};

/// One alias of a function.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Alias {
    pub(crate) name: AliasName,
    pub(crate) routing: Routing,
    pub(crate) description: String,
    /// `RevisionId` of the API.
    pub(crate) revision_id: Uuid,
}

/// Columns of an alias, in the order in which [`alias`] reads them.
const ALIAS: &str = "alias.name, alias.version, alias.additional, alias.weight, alias.description, \
                     alias.revision_id";

impl Session<'_> {
    /// An alias of a function.
    pub(crate) fn alias(
        &self,
        function: &VersionKey,
        name: &AliasName,
    ) -> Result<Option<Alias>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {ALIAS} FROM alias WHERE function = ?1 AND name = ?2"
        ))?;
        let key = params![self.row(function)?, name.as_str()];
        Ok(query.query_row(key, alias).optional()?)
    }

    /// Adds an alias, or writes over the one of that name, and shows it to invocations. The function is
    /// there.
    pub(crate) fn put_alias(
        &self,
        function: &VersionKey,
        alias: &Alias,
    ) -> Result<(), CatalogError> {
        let Routing {
            version,
            additional,
        } = alias.routing;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO alias
                     (function, name, version, additional, weight, description, revision_id)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?
            .execute(params![
                self.row(function)?,
                alias.name.as_str(),
                number(version),
                additional.map(|(version, _)| number(version)),
                additional.map(|(_, weight)| f64::from(weight)),
                alias.description,
                alias.revision_id.to_string(),
            ])?;
        let key = AliasKey::of(function, &alias.name);
        self.change(Change::PutAlias(key, alias.routing));
        Ok(())
    }

    /// Removes an alias with its policy, its URL and what is provisioned for it, if it is there.
    pub(crate) fn delete_alias(
        &self,
        function: &VersionKey,
        name: &AliasName,
    ) -> Result<(), CatalogError> {
        self.settle_events(function, Some(name.as_str()))?;
        self.delete_url(function, Some(name))?;
        self.connection
            .prepare_cached("DELETE FROM alias WHERE function = ?1 AND name = ?2")?
            .execute(params![self.row(function)?, name.as_str()])?;
        self.remove_event_invoke(function, name.as_str())?;
        self.change(Change::RemoveAlias(AliasKey::of(function, name)));
        self.unprovision(function, name.as_str())?;
        self.remove_policy(function, name.as_str())
    }

    /// Aliases of a function behind `after`, by name, at most `limit`; where a version is given, those that
    /// may invoke it.
    pub(crate) fn aliases(
        &self,
        function: &VersionKey,
        version: Option<Version>,
        after: &str,
        limit: Option<usize>,
    ) -> Result<Vec<Alias>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {ALIAS} FROM alias WHERE function = ?1 AND name > ?2
                 AND (?3 IS NULL OR ?3 IN (version, additional))
             ORDER BY name LIMIT ?4"
        ))?;
        let rows = query.query_map(
            params![
                self.row(function)?,
                after,
                version.map(number),
                // SQLite knows a negative limit as none.
                limit.map_or(-1, |limit| limit as i64),
            ],
            alias,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// How many aliases a function has.
    pub(crate) fn count_aliases(&self, function: &VersionKey) -> Result<usize, CatalogError> {
        let mut query = self
            .connection
            .prepare_cached("SELECT count(*) FROM alias WHERE function = ?1")?;
        Ok(query.query_row([self.row(function)?], |row| row.get(0))?)
    }

    /// What the index holds of every alias.
    pub(super) fn index_aliases(&self) -> Result<Vec<Change>, CatalogError> {
        let mut query = self.connection.prepare(&format!(
            "SELECT {ALIAS}, account, region, function.name
             FROM alias JOIN function ON alias.function = function.id"
        ))?;
        let rows = query.query_map([], |row| {
            let alias = alias(row)?;
            let key = AliasKey {
                account: parsed(row, 6)?,
                region: parsed(row, 7)?,
                name: parsed(row, 8)?,
                alias: alias.name,
            };
            Ok(Change::PutAlias(key, alias.routing))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

fn alias(row: &Row<'_>) -> Result<Alias, rusqlite::Error> {
    let additional: Option<(u64, f64)> = row.get::<_, Option<u64>>(2)?.zip(row.get(3)?);
    let weighted = |(number, share): (u64, f64)| Ok((version(number), Weight::try_from(share)?));
    let unreadable = |error: InvalidId| {
        rusqlite::Error::FromSqlConversionFailure(3, Type::Real, Box::new(error))
    };
    Ok(Alias {
        name: parsed(row, 0)?,
        routing: Routing {
            version: version(row.get(1)?),
            additional: additional.map(weighted).transpose().map_err(unreadable)?,
        },
        description: row.get(4)?,
        revision_id: parsed(row, 5)?,
    })
}
