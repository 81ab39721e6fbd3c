//! How columns of the catalog read as ids, versions and JSON.

use std::str::FromStr;

use pilotlight_model::{Version, VersionKey};
use rusqlite::Row;
use rusqlite::types::{Type, ValueRef};
use serde::de::DeserializeOwned;

/// Number of `$LATEST` in the catalog.
pub(super) const LATEST: u64 = 0;

/// How the catalog numbers a version.
pub(super) fn number(version: Version) -> i64 {
    match version {
        Version::Latest => LATEST as i64,
        // SQLite's numbers end there, and so do those that were given.
        Version::Number(number) => i64::try_from(number).unwrap_or(i64::MAX),
    }
}

/// The version of that number.
pub(super) fn version(number: u64) -> Version {
    match number {
        LATEST => Version::Latest,
        number => Version::Number(number),
    }
}

/// The first four columns: account, region, name and number of a version.
pub(super) fn key(row: &Row<'_>) -> Result<VersionKey, rusqlite::Error> {
    Ok(VersionKey {
        account: parsed(row, 0)?,
        region: parsed(row, 1)?,
        name: parsed(row, 2)?,
        version: version(row.get(3)?),
    })
}

/// A text column that holds an id.
pub(super) fn parsed<T>(row: &Row<'_>, column: usize) -> Result<T, rusqlite::Error>
where
    T: FromStr<Err: std::error::Error + Send + Sync + 'static>,
{
    let unreadable = |error: T::Err| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    };
    row.get_ref(column)?.as_str()?.parse().map_err(unreadable)
}

/// A text column that holds JSON.
pub(super) fn json<T: DeserializeOwned>(
    row: &Row<'_>,
    column: usize,
) -> Result<T, rusqlite::Error> {
    serde_json::from_str(row.get_ref(column)?.as_str()?).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
    })
}

/// What `read` makes of a column; nothing where that is NULL.
pub(super) fn optional<T>(
    row: &Row<'_>,
    column: usize,
    read: impl FnOnce(&Row<'_>, usize) -> Result<T, rusqlite::Error>,
) -> Result<Option<T>, rusqlite::Error> {
    match row.get_ref(column)? {
        ValueRef::Null => Ok(None),
        _ => read(row, column).map(Some),
    }
}
