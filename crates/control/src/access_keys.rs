//! The access keys of an installation: a file beside the catalog, their secrets sealed. Whoever may write
//! the data directory makes keys (`pilot keys`), whether or not the platform runs; it takes changes up
//! when [`AccessKeys::stamp`] changes.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pilotlight_model::AccountId;
use serde::{Deserialize, Serialize};

use crate::sealing::{SealingKey, random, write_private};

const FILE: &str = "keys.json";
/// Taken by whoever changes the file.
const LOCK: &str = "keys.lock";
/// Keys of an installation.
const MOST: usize = 1_000;
/// Characters of a description.
const DESCRIPTION_CHARS: usize = 256;
/// As AWS has them: letters and digits that nobody mistakes for another.
const ID_ALPHABET: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// One pair of credentials.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    /// `AKIA` and 16 characters.
    pub id: String,
    /// 40 characters. Never in a log.
    pub secret: String,
    /// Account that requests signed with it act for.
    pub account: AccountId,
    /// What it is for, in its owner's words.
    pub description: String,
    /// Milliseconds since 1970.
    pub created_ms: u64,
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessKey")
            .field("id", &self.id)
            .field("account", &self.account)
            .finish_non_exhaustive()
    }
}

/// Handle of the file.
#[derive(Debug, Clone)]
pub struct AccessKeys {
    folder: PathBuf,
    sealing: SealingKey,
}

/// Tells one state of the file from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(u64, u64, i64, i64);

/// Why keys cannot be read or changed.
#[derive(Debug, thiserror::Error)]
pub enum AccessKeysError {
    /// The file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file does not hold keys.
    #[error("{} does not hold access keys", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
    /// The secret of a key does not open.
    #[error("the secret of {id} does not open: the key file is another than it was made with")]
    Sealed {
        /// Which.
        id: String,
    },
    /// No more keys, or too long a description.
    #[error("{0}")]
    Limit(String),
}

#[derive(Default, Serialize, Deserialize)]
struct Document {
    keys: Vec<Row>,
}

#[derive(Serialize, Deserialize)]
struct Row {
    id: String,
    secret: String,
    account: AccountId,
    #[serde(default)]
    description: String,
    created_ms: u64,
}

impl AccessKeys {
    /// The keys of that data directory. Nothing is read yet.
    pub fn new(data_dir: &Path, sealing: SealingKey) -> Self {
        Self {
            folder: data_dir.to_owned(),
            sealing,
        }
    }

    /// Whether a data directory has any; one that cannot be read may have.
    pub fn exist(data_dir: &Path) -> bool {
        load(data_dir).map_or(true, |document| !document.keys.is_empty())
    }

    /// What [`AccessKeys::read`] would read now is the same as long as this is.
    pub fn stamp(&self) -> Option<Stamp> {
        let metadata = fs::metadata(self.folder.join(FILE)).ok()?;
        Some(Stamp(
            metadata.ino(),
            metadata.len(),
            metadata.mtime(),
            metadata.mtime_nsec(),
        ))
    }

    /// All keys, oldest first.
    pub fn read(&self) -> Result<Vec<AccessKey>, AccessKeysError> {
        let open = |row: Row| {
            let secret = self.sealing.unseal(&row.secret, &context(&row.id));
            let secret = secret.ok().and_then(|bytes| String::from_utf8(bytes).ok());
            Ok(AccessKey {
                secret: secret.ok_or_else(|| AccessKeysError::Sealed { id: row.id.clone() })?,
                id: row.id,
                account: row.account,
                description: row.description,
                created_ms: row.created_ms,
            })
        };
        load(&self.folder)?.keys.into_iter().map(open).collect()
    }

    /// Makes a key; it is on stable storage when this returns.
    pub fn create(
        &self,
        account: AccountId,
        description: &str,
        now_ms: u64,
    ) -> Result<AccessKey, AccessKeysError> {
        if description.chars().count() > DESCRIPTION_CHARS {
            return Err(AccessKeysError::Limit(format!(
                "a description has at most {DESCRIPTION_CHARS} characters"
            )));
        }
        let key = AccessKey {
            id: new_id(),
            secret: BASE64_STANDARD.encode(random::<30>()),
            account,
            description: description.to_owned(),
            created_ms: now_ms,
        };
        self.change(|keys| {
            if keys.len() >= MOST {
                let message = format!("there are {MOST} keys, the most that there can be");
                return Err(AccessKeysError::Limit(message));
            }
            keys.push(Row {
                id: key.id.clone(),
                secret: self.sealing.seal(key.secret.as_bytes(), &context(&key.id)),
                account: key.account.clone(),
                description: key.description.clone(),
                created_ms: key.created_ms,
            });
            Ok(())
        })?;
        Ok(key)
    }

    /// Removes a key; false when it is not there.
    pub fn delete(&self, id: &str) -> Result<bool, AccessKeysError> {
        self.change(|keys| {
            let before = keys.len();
            keys.retain(|key| key.id != id);
            Ok(keys.len() < before)
        })
    }

    /// Reads, changes and replaces the file as a whole; no two at a time.
    fn change<T>(
        &self,
        edit: impl FnOnce(&mut Vec<Row>) -> Result<T, AccessKeysError>,
    ) -> Result<T, AccessKeysError> {
        let (path, lock) = (self.folder.join(FILE), self.folder.join(LOCK));
        let failed = |source| AccessKeysError::File {
            path: path.clone(),
            source,
        };
        let _locked = locked(&lock).map_err(failed)?;
        let mut document = load(&self.folder)?;
        let done = edit(&mut document.keys)?;
        let text = serde_json::to_string_pretty(&document)
            .map_err(io::Error::from)
            .map_err(failed)?;
        replace(&path, text.as_bytes()).map_err(failed)?;
        Ok(done)
    }
}

/// What the secret of a key is sealed for.
fn context(id: &str) -> String {
    format!("access-key {id}")
}

fn new_id() -> String {
    let characters = random::<16>().map(|byte| char::from(ID_ALPHABET[usize::from(byte % 32)]));
    format!("AKIA{}", String::from_iter(characters))
}

/// No file is no keys.
fn load(folder: &Path) -> Result<Document, AccessKeysError> {
    let path = folder.join(FILE);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Document::default()),
        Err(source) => return Err(AccessKeysError::File { path, source }),
    };
    serde_json::from_str(&text).map_err(|source| AccessKeysError::Malformed { path, source })
}

fn locked(path: &Path) -> io::Result<File> {
    if let Some(folder) = path.parent() {
        // As the platform makes it.
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(folder)?;
    }
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)?;
    file.lock()?;
    Ok(file)
}

/// Puts a file in the place of another, whole, on stable storage.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let draft = path.with_extension("draft");
    write_private(&draft, bytes)?;
    fs::rename(&draft, path)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn keys(folder: &Path) -> AccessKeys {
        let sealing = SealingKey::open(&folder.join("secret.key")).unwrap();
        AccessKeys::new(folder, sealing)
    }

    fn account(text: &str) -> AccountId {
        text.parse().unwrap()
    }

    #[test]
    fn a_key_is_there_until_it_is_deleted() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        assert!(!AccessKeys::exist(folder.path()) && keys.stamp().is_none());
        let one = keys.create(account("000000000001"), "ci", 7).unwrap();
        assert!(AccessKeys::exist(folder.path()));
        let stamp = keys.stamp();
        let two = keys.create(account("000000000002"), "", 8).unwrap();
        assert_ne!(keys.stamp(), stamp);
        assert_ne!((&one.id, &one.secret), (&two.id, &two.secret));
        assert_eq!((one.id.len(), one.secret.len()), (20, 40));
        assert_eq!(keys.read().unwrap(), [one.clone(), two.clone()]);
        assert!(keys.delete(&one.id).unwrap());
        assert!(!keys.delete(&one.id).unwrap());
        assert_eq!(keys.read().unwrap(), [two]);
    }

    #[test]
    fn the_file_is_for_its_owner_and_holds_no_secret() {
        let folder = tempfile::tempdir().unwrap();
        let made = keys(folder.path())
            .create(AccountId::default(), "", 0)
            .unwrap();
        let path = folder.path().join(FILE);
        assert_eq!(
            fs::metadata(&path).unwrap().permissions().mode() & 0o777,
            0o600
        );
        assert!(!fs::read_to_string(&path).unwrap().contains(&made.secret));
        assert!(!format!("{made:?}").contains(&made.secret));
    }

    #[test]
    fn what_does_not_read_is_an_error_and_stays() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        fs::write(folder.path().join(FILE), "{").unwrap();
        assert!(matches!(
            keys.read(),
            Err(AccessKeysError::Malformed { .. })
        ));
        assert!(keys.create(AccountId::default(), "", 0).is_err());
        assert!(
            AccessKeys::exist(folder.path()),
            "nobody may take it for an open platform"
        );
        assert_eq!(fs::read_to_string(folder.path().join(FILE)).unwrap(), "{");
    }

    #[test]
    fn a_secret_of_another_installation_does_not_open() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let made = keys(one.path())
            .create(AccountId::default(), "", 0)
            .unwrap();
        fs::copy(one.path().join(FILE), two.path().join(FILE)).unwrap();
        match keys(two.path()).read() {
            Err(AccessKeysError::Sealed { id }) => assert_eq!(id, made.id),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn many_at_once_lose_none() {
        let folder = tempfile::tempdir().unwrap();
        let keys = keys(folder.path());
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| keys.create(AccountId::default(), "", 0).unwrap());
            }
        });
        assert_eq!(keys.read().unwrap().len(), 8);
    }
}
