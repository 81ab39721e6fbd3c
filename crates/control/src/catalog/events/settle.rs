//! Events that outlive what they are for.

use pilotlight_model::names::Qualifier;
use pilotlight_model::{Version, VersionKey};
use rusqlite::params;

use super::Settled;
use crate::catalog::{CatalogError, Session};

impl Session<'_> {
    /// Where dead letters of a version go.
    pub(crate) fn dead_letter(&self, version: &VersionKey) -> Result<Option<String>, CatalogError> {
        let record = self.find(version)?;
        Ok(record.and_then(|record| record.settings.dead_letter))
    }

    /// Keeps for the events of a function, or of one qualifier of it, what is about to be deleted: where
    /// their end is told. What was accepted does not vanish with its function.
    pub(crate) fn settle_events(
        &self,
        function: &VersionKey,
        only: Option<&str>,
    ) -> Result<(), CatalogError> {
        let mut query = self.connection.prepare_cached(
            "SELECT DISTINCT coalesce(qualifier, '$LATEST') FROM event
             WHERE account = ?1 AND region = ?2 AND name = ?3 AND settled IS NULL",
        )?;
        let name = params![
            function.account.as_str(),
            function.region.as_str(),
            function.name.as_str()
        ];
        let found = query.query_map(name, |row| row.get(0))?;
        let qualifiers: Vec<String> = found.collect::<Result<_, _>>()?;
        for qualifier in qualifiers {
            if only.is_some_and(|only| only != qualifier) {
                continue;
            }
            let version = match qualifier.parse() {
                Ok(Qualifier::Version(version)) => Some(version),
                Ok(Qualifier::Alias(alias)) => {
                    let alias = self.alias(function, &alias)?;
                    alias.map(|alias| alias.routing.version)
                }
                Err(_) => None,
            };
            let version = VersionKey {
                version: version.unwrap_or(Version::Latest),
                ..function.clone()
            };
            let settled = Settled {
                settings: self.event_invoke(function, &qualifier)?.unwrap_or_default(),
                dead_letter: self.dead_letter(&version)?,
            };
            self.connection
                .prepare_cached(
                    "UPDATE event SET settled = ?5
                     WHERE account = ?1 AND region = ?2 AND name = ?3 AND settled IS NULL
                         AND coalesce(qualifier, '$LATEST') = ?4",
                )?
                .execute(params![
                    function.account.as_str(),
                    function.region.as_str(),
                    function.name.as_str(),
                    qualifier,
                    serde_json::to_string(&settled)?,
                ])?;
        }
        Ok(())
    }
}
