//! What the catalog keeps of environment variables: sealed, each bound to its function. Their JSON is
//! like any other but for the value of `environment`.

use std::fmt::Display;

use pilotlight_model::VersionKey;
use rusqlite::types::Type;
use rusqlite::{Connection, OptionalExtension, Row, params};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{CatalogError, OpenError, Session};
use crate::sealing::{MARK, SealingKey};

const MEMBER: &str = "environment";
/// Names what tells the key that the catalog was made with from others.
const CHECK: &str = "sealing-check";

impl Session<'_> {
    /// The JSON that is kept of `value`, which belongs to that function.
    pub(super) fn sealed(
        &self,
        key: &VersionKey,
        value: &impl Serialize,
    ) -> Result<String, CatalogError> {
        let mut value = serde_json::to_value(value)?;
        seal(&mut value, &place(key), self.sealing);
        Ok(value.to_string())
    }

    /// Whether `kept` is what [`Session::sealed`] once made of the same value.
    pub(super) fn is_sealed(
        &self,
        key: &VersionKey,
        kept: &str,
        value: &impl Serialize,
    ) -> Result<bool, CatalogError> {
        // A function that nothing has been published of has an empty text here.
        let Ok(mut kept) = serde_json::from_str(kept) else {
            return Ok(false);
        };
        unseal(&mut kept, &place(key), self.sealing)?;
        Ok(kept == serde_json::to_value(value)?)
    }

    /// A column that holds such JSON.
    pub(super) fn unsealed<T: DeserializeOwned>(
        &self,
        row: &Row<'_>,
        column: usize,
        key: &VersionKey,
    ) -> Result<T, rusqlite::Error> {
        let text = row.get_ref(column)?.as_str()?;
        let read = || {
            // Most functions have no variables, and their JSON is read in one go.
            if !text.contains(MARK) {
                return Ok(serde_json::from_str(text)?);
            }
            let mut value = serde_json::from_str(text)?;
            unseal(&mut value, &place(key), self.sealing)?;
            Ok(serde_json::from_value(value)?)
        };
        read().map_err(|error: CatalogError| {
            rusqlite::Error::FromSqlConversionFailure(column, Type::Text, Box::new(error))
        })
    }
}

/// Makes sure that the catalog's secrets are sealed with that key. Those of a catalog from before there was
/// one are sealed now.
pub(super) fn check(connection: &mut Connection, sealing: &SealingKey) -> Result<(), OpenError> {
    let kept: Option<String> = connection
        .query_row(
            "SELECT value FROM setting WHERE name = ?1",
            [CHECK],
            |row| row.get(0),
        )
        .optional()
        .map_err(CatalogError::from)?;
    match kept {
        Some(kept) => sealing
            .unseal(&kept, CHECK)
            .map(drop)
            .map_err(|_| OpenError::OtherKey),
        None => Ok(seal_all(connection, sealing)?),
    }
}

fn seal_all(connection: &mut Connection, sealing: &SealingKey) -> Result<(), CatalogError> {
    let transaction = connection.transaction()?;
    {
        let mut versions = transaction.prepare(
            "SELECT function, number, account, region, name, settings, serving
             FROM version JOIN function ON version.function = function.id",
        )?;
        let mut rows = versions.query([])?;
        while let Some(row) = rows.next()? {
            let (function, number): (i64, i64) = (row.get(0)?, row.get(1)?);
            let place = place_in(row, 2)?;
            let settings = sealed_text(row.get(5)?, &place, sealing)?;
            let serving = row.get::<_, Option<String>>(6)?;
            let serving = serving.map(|text| sealed_text(text, &place, sealing));
            transaction.execute(
                "UPDATE version SET settings = ?3, serving = ?4 WHERE function = ?1 AND number = ?2",
                params![function, number, settings, serving.transpose()?],
            )?;
        }
        let mut functions = transaction.prepare(
            "SELECT id, account, region, name, published_from FROM function WHERE published_from != ''",
        )?;
        let mut rows = functions.query([])?;
        while let Some(row) = rows.next()? {
            let from = sealed_text(row.get(4)?, &place_in(row, 1)?, sealing)?;
            transaction.execute(
                "UPDATE function SET published_from = ?2 WHERE id = ?1",
                params![row.get::<_, i64>(0)?, from],
            )?;
        }
    }
    transaction.execute(
        "INSERT INTO setting (name, value) VALUES (?1, ?2)",
        [CHECK, &sealing.seal(b"", CHECK)],
    )?;
    transaction.commit()?;
    // What was written before may still stand in free pages and in the log.
    connection.execute_batch("VACUUM; PRAGMA wal_checkpoint(TRUNCATE)")?;
    Ok(())
}

/// What a function's variables are bound to. It looks like an ARN, but stays the same in every partition: what
/// was sealed once must open for ever.
fn place(key: &VersionKey) -> String {
    place_of(&key.account, &key.region, &key.name)
}

fn place_of(account: impl Display, region: impl Display, name: impl Display) -> String {
    format!("arn:aws:lambda:{region}:{account}:function:{name}")
}

/// From three columns: account, region, name.
fn place_in(row: &Row<'_>, at: usize) -> Result<String, rusqlite::Error> {
    let column = |at| row.get::<_, String>(at);
    Ok(place_of(column(at)?, column(at + 1)?, column(at + 2)?))
}

fn sealed_text(text: String, context: &str, sealing: &SealingKey) -> Result<String, CatalogError> {
    let mut value = serde_json::from_str(&text)?;
    seal(&mut value, context, sealing);
    Ok(value.to_string())
}

/// No variables are no secret.
fn seal(value: &mut Value, context: &str, sealing: &SealingKey) {
    if let Some(member) = value.get_mut(MEMBER)
        && member.as_object().is_some_and(|object| !object.is_empty())
    {
        *member = sealing.seal(member.to_string().as_bytes(), context).into();
    }
}

fn unseal(value: &mut Value, context: &str, sealing: &SealingKey) -> Result<(), CatalogError> {
    if let Some(member) = value.get_mut(MEMBER)
        && let Some(sealed) = member.as_str()
    {
        *member = serde_json::from_slice(&sealing.unseal(sealed, context)?)?;
    }
    Ok(())
}
