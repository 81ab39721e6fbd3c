//! Opening the catalog's file: settings of the connections, and migrations.

use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::CatalogError;
use crate::sealing::SealingKeyError;

/// Migrations in order; the file's `user_version` counts those that it has had.
pub(super) const MIGRATIONS: &[&str] = &[
    include_str!("0001.sql"),
    include_str!("0002.sql"),
    include_str!("0003.sql"),
    include_str!("0004.sql"),
    include_str!("0005.sql"),
    include_str!("0006.sql"),
    include_str!("0007.sql"),
    include_str!("0008.sql"),
    include_str!("0009.sql"),
    include_str!("0010.sql"),
    include_str!("0011.sql"),
    include_str!("0012.sql"),
    include_str!("0013.sql"),
    include_str!("0014.sql"),
    include_str!("0015.sql"),
    include_str!("0016.sql"),
    include_str!("0017.sql"),
];

/// Statements kept prepared per connection.
const PREPARED: usize = 64;

/// Why the control plane could not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The data directory cannot be made.
    #[error("cannot make {path}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The catalog was written by a newer Pilotlight.
    #[error("{path} has schema {found}, this version reads up to {known}: use a newer pilot")]
    Newer {
        /// The catalog's file.
        path: PathBuf,
        /// Its schema.
        found: usize,
        /// The newest that is known here.
        known: usize,
    },
    /// There are packages but no catalog that names them: it was lost, and a new one would have them removed.
    #[error(
        "{path} is empty, but {} is not: restore the catalog from a backup, or remove both to begin anew",
        blobs.display()
    )]
    Lost {
        /// The catalog's file.
        path: PathBuf,
        /// The folder of packages.
        blobs: PathBuf,
    },
    /// The key file cannot be had.
    #[error("cannot have the key that secrets in the catalog are sealed with")]
    Key(#[from] SealingKeyError),
    /// The key is not the one that the catalog's secrets are sealed with.
    #[error("the key file is not the one that the catalog was made with: restore it from a backup")]
    OtherKey,
    /// SQLite cannot open or migrate the file.
    #[error("cannot open {path}")]
    Database {
        /// The catalog's file.
        path: PathBuf,
        /// Why.
        #[source]
        source: rusqlite::Error,
    },
    /// The catalog cannot be read.
    #[error("cannot read the catalog")]
    Read(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The writer's thread cannot be started.
    #[error("cannot start the catalog's writer")]
    Thread(#[source] std::io::Error),
}

impl From<CatalogError> for OpenError {
    fn from(error: CatalogError) -> Self {
        OpenError::Read(Box::new(error))
    }
}

/// The writing and the reading connection of the catalog in `data_dir`, migrated.
pub(super) fn connections(data_dir: &Path) -> Result<(Connection, Connection), OpenError> {
    std::fs::create_dir_all(data_dir).map_err(|source| OpenError::Directory {
        path: data_dir.to_owned(),
        source,
    })?;
    let path = data_dir.join("catalog.sqlite");
    let database = |source| OpenError::Database {
        path: path.clone(),
        source,
    };
    let mut writer = connect(&path, OpenFlags::SQLITE_OPEN_CREATE).map_err(database)?;
    let found = writer
        .query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0))
        .map_err(database)? as usize;
    if found > MIGRATIONS.len() {
        return Err(OpenError::Newer {
            path,
            found,
            known: MIGRATIONS.len(),
        });
    }
    let blobs = data_dir.join("blobs");
    if found == 0 && holds_files(&blobs) {
        return Err(OpenError::Lost { path, blobs });
    }
    for (index, sql) in MIGRATIONS.iter().enumerate().skip(found) {
        migrate(&mut writer, sql, index + 1).map_err(database)?;
    }
    let reader = connect(&path, OpenFlags::empty()).map_err(database)?;
    reader
        .pragma_update(None, "query_only", true)
        .map_err(database)?;
    Ok((writer, reader))
}

fn holds_files(folder: &Path) -> bool {
    std::fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some())
}

fn connect(path: &Path, more: OpenFlags) -> Result<Connection, rusqlite::Error> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(Duration::from_secs(10))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    Ok(connection)
}

/// A migration and its number are one transaction, so that a crash leaves none half done.
fn migrate(connection: &mut Connection, sql: &str, version: usize) -> Result<(), rusqlite::Error> {
    let transaction = connection.transaction()?;
    transaction.execute_batch(sql)?;
    transaction.pragma_update(None, "user_version", version)?;
    transaction.commit()?;
    tracing::info!(version, "catalog migrated");
    Ok(())
}
