//! The catalog's queries for function URLs.

use std::sync::Arc;

use pilotlight_model::url::FunctionUrl;
use pilotlight_model::{AliasName, UrlId, VersionKey};
use rusqlite::{OptionalExtension, Row, params};

use super::columns::{json, optional, parsed};
use super::{CatalogError, Session};
use crate::index::Change;

/// One function URL, and when it was made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct UrlRecord {
    pub(crate) url: FunctionUrl,
    pub(crate) created_ms: u64,
    pub(crate) modified_ms: u64,
}

/// Columns of a function URL, in the order in which [`url`] reads them.
const URL: &str = "url.id, account, region, function.name, url.alias, url.auth, url.mode, url.cors, \
                   url.created_ms, url.modified_ms";

impl Session<'_> {
    /// The URL of a function, or of one of its aliases.
    pub(crate) fn url(
        &self,
        function: &VersionKey,
        alias: Option<&AliasName>,
    ) -> Result<Option<UrlRecord>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {URL} FROM function JOIN url ON url.function = function.id
             WHERE function.id = ?1 AND alias = ?2"
        ))?;
        let key = params![self.row(function)?, column(alias)];
        Ok(query.query_row(key, url).optional()?)
    }

    /// Adds a URL, or writes over the one of that id, and shows it to requests. The function is there.
    pub(crate) fn put_url(
        &self,
        function: &VersionKey,
        record: &UrlRecord,
    ) -> Result<(), CatalogError> {
        let UrlRecord {
            url,
            created_ms,
            modified_ms,
        } = record;
        self.connection
            .prepare_cached(
                "INSERT OR REPLACE INTO url
                     (id, function, alias, auth, mode, cors, created_ms, modified_ms)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            )?
            .execute(params![
                url.id.as_str(),
                self.row(function)?,
                column(url.alias.as_ref()),
                serde_json::to_string(&url.auth)?,
                serde_json::to_string(&url.mode)?,
                url.cors.as_ref().map(serde_json::to_string).transpose()?,
                created_ms,
                modified_ms
            ])?;
        self.change(Change::PutUrl(Arc::new(url.clone())));
        Ok(())
    }

    /// Removes the URL of a function or of one of its aliases; false if there is none.
    pub(crate) fn delete_url(
        &self,
        function: &VersionKey,
        alias: Option<&AliasName>,
    ) -> Result<bool, CatalogError> {
        let Some(record) = self.url(function, alias)? else {
            return Ok(false);
        };
        self.connection
            .prepare_cached("DELETE FROM url WHERE id = ?1")?
            .execute([record.url.id.as_str()])?;
        self.change(Change::RemoveUrl(record.url.id));
        Ok(true)
    }

    /// URLs of a function behind that of the alias `after`, that of `$LATEST` first, at most `limit`.
    pub(crate) fn urls(
        &self,
        function: &VersionKey,
        after: Option<&str>,
        limit: Option<usize>,
    ) -> Result<Vec<UrlRecord>, CatalogError> {
        let mut query = self.connection.prepare_cached(&format!(
            "SELECT {URL} FROM function JOIN url ON url.function = function.id
             WHERE function.id = ?1 AND (?2 IS NULL OR alias > ?2)
             ORDER BY alias LIMIT ?3"
        ))?;
        let rows = query.query_map(
            params![
                self.row(function)?,
                after,
                // SQLite knows a negative limit as none.
                limit.map_or(-1, |limit| limit as i64),
            ],
            url,
        )?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What the index holds of every URL.
    pub(super) fn index_urls(&self) -> Result<Vec<Change>, CatalogError> {
        let mut query = self.connection.prepare(&format!(
            "SELECT {URL} FROM function JOIN url ON url.function = function.id"
        ))?;
        let rows = query.query_map([], |row| Ok(Change::PutUrl(Arc::new(url(row)?.url))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}

/// No alias has this name.
fn column(alias: Option<&AliasName>) -> &str {
    alias.map_or("", AliasName::as_str)
}

fn url(row: &Row<'_>) -> Result<UrlRecord, rusqlite::Error> {
    let alias = match row.get_ref(4)?.as_str()? {
        "" => None,
        _ => Some(parsed(row, 4)?),
    };
    Ok(UrlRecord {
        url: FunctionUrl {
            id: parsed::<UrlId>(row, 0)?,
            account: parsed(row, 1)?,
            region: parsed(row, 2)?,
            name: parsed(row, 3)?,
            alias,
            auth: json(row, 5)?,
            mode: json(row, 6)?,
            cors: optional(row, 7, json)?,
        },
        created_ms: row.get(8)?,
        modified_ms: row.get(9)?,
    })
}
