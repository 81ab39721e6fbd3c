//! Which row of the catalog a function is: what all that belongs to it refers to.

use pilotlight_model::VersionKey;
use rusqlite::types::ToSqlOutput;
use rusqlite::{OptionalExtension, ToSql, params};

use super::{CatalogError, Session};

/// The row of a function, as a parameter of queries. Where there is no such function it is NULL: nothing is
/// found or removed by it, and nothing can be added.
#[derive(Debug, Clone, Copy)]
pub(super) struct FunctionRow(Option<i64>);

impl Session<'_> {
    /// The row of the function that the version belongs to.
    pub(super) fn row(&self, version: &VersionKey) -> Result<FunctionRow, CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT id FROM function WHERE account = ?1 AND region = ?2 AND name = ?3",
        )?;
        let name = params![
            version.account.as_str(),
            version.region.as_str(),
            version.name.as_str()
        ];
        let found = query.query_row(name, |row| row.get(0)).optional()?;
        Ok(FunctionRow(found))
    }

    /// Adds the row of a function that is not there yet.
    pub(super) fn add_row(&self, version: &VersionKey) -> Result<FunctionRow, CatalogError> {
        self.connection
            .prepare_cached("INSERT INTO function (account, region, name) VALUES (?1, ?2, ?3)")?
            .execute(params![
                version.account.as_str(),
                version.region.as_str(),
                version.name.as_str()
            ])?;
        Ok(FunctionRow(Some(self.connection.last_insert_rowid())))
    }
}

impl ToSql for FunctionRow {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        self.0.to_sql()
    }
}
