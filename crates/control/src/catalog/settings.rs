//! Numbers and texts of the whole catalog that outlive the process.

use super::{CatalogError, Session};

impl Session<'_> {
    /// A number larger than any that was handed out before.
    pub(crate) fn next_revision(&self) -> Result<u64, CatalogError> {
        let next = "INSERT INTO setting (name, value) VALUES ('revision', '1')
                    ON CONFLICT (name) DO UPDATE SET value = CAST(value + 1 AS TEXT)
                    RETURNING CAST(value AS INTEGER)";
        Ok(self
            .connection
            .prepare_cached(next)?
            .query_row([], |row| row.get(0))?)
    }

    /// The text kept under `name`; `first` is kept when there is none yet.
    pub(crate) fn setting(&self, name: &str, first: &str) -> Result<String, CatalogError> {
        self.connection
            .prepare_cached(
                "INSERT INTO setting (name, value) VALUES (?1, ?2) ON CONFLICT DO NOTHING",
            )?
            .execute([name, first])?;
        let mut query = self
            .connection
            .prepare_cached("SELECT value FROM setting WHERE name = ?1")?;
        Ok(query.query_row([name], |row| row.get(0))?)
    }
}
