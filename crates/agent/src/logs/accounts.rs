//! What the logs of each account take on disk, and how they are kept within their bound: an account that logs too
//! much loses its own oldest lines, and nobody else's.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use pilotlight_model::ids::AccountId;

use super::segment;

/// What a group is taken to need besides its lines.
pub(super) const GROUP_BYTES: u64 = 16 * 1024;
/// Part of the bound that is freed at once, so that it is seldom looked for what is oldest.
const FREED: u64 = 8;

/// What each account is known to take at most.
#[derive(Debug)]
pub(super) struct Accounts {
    store: PathBuf,
    limit: u64,
    /// What was found when it was last looked, and what has been written since; what was removed since is not
    /// taken off.
    known: HashMap<AccountId, u64>,
}

/// A segment that may be removed.
struct Old {
    modified: SystemTime,
    folder: PathBuf,
    path: PathBuf,
    bytes: u64,
}

impl Accounts {
    pub(super) fn new(store: PathBuf, limit: u64) -> Self {
        Self {
            store,
            limit,
            known: HashMap::new(),
        }
    }

    /// Takes note of bytes written, or of a group made. Returns whether its oldest lines must go.
    pub(super) fn wrote(&mut self, account: &AccountId, bytes: u64) -> bool {
        match self.known.get_mut(account) {
            Some(known) => {
                *known += bytes;
                *known > self.limit
            }
            // What an earlier run has left is not known yet.
            None => true,
        }
    }

    /// Removes what is oldest of an account that may be over its bound. No journal of it may be open.
    pub(super) fn shed(&mut self, account: &AccountId) -> io::Result<()> {
        let left = self.bring_within(account);
        // Where it cannot be told it is looked again when as much more has been written.
        let known = left.as_ref().copied().unwrap_or(0);
        self.known.insert(account.clone(), known);
        left.map(drop)
    }

    fn bring_within(&self, account: &AccountId) -> io::Result<u64> {
        let folder = self.store.join(account.as_str());
        let mut segments = Vec::new();
        let mut groups: HashMap<PathBuf, usize> = HashMap::new();
        for region in folders(&folder)? {
            for group in folders(&region)? {
                let found = segment::all(&group)?;
                groups.insert(group.clone(), found.len());
                segments.extend(found.into_iter().map(|it| Old {
                    modified: it.modified,
                    folder: group.clone(),
                    path: it.path,
                    bytes: it.len,
                }));
            }
        }
        let lines: u64 = segments.iter().map(|it| it.bytes).sum();
        let mut total = lines + groups.len() as u64 * GROUP_BYTES;
        let goal = self.limit - self.limit / FREED;
        if total > goal {
            segments.sort_unstable_by_key(|segment| segment.modified);
            // What cannot be removed is told of, and not tried again at every line.
            for old in segments {
                if total <= goal {
                    break;
                }
                total -= old.bytes;
                let left = groups.get_mut(&old.folder);
                let last = left.is_none_or(|left| {
                    *left -= 1;
                    *left == 0
                });
                let removed = match last {
                    true => {
                        total -= GROUP_BYTES;
                        fs::remove_dir_all(&old.folder)
                    }
                    false => fs::remove_file(&old.path),
                };
                if let Err(error) = removed {
                    tracing::warn!(path = %old.path.display(), %error, "old log segment stays");
                }
            }
        }
        Ok(total)
    }
}

/// The folders in a folder, none where it is not there.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            found.push(entry.path());
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::time::Duration;

    use super::*;

    fn written(store: &Path, group: &str, segment: u64, bytes: u64, age_s: u64) {
        let folder = store.join(group);
        fs::create_dir_all(&folder).unwrap();
        let file = File::create(segment::path_of(&folder, segment)).unwrap();
        file.set_len(bytes).unwrap();
        file.set_modified(SystemTime::now() - Duration::from_secs(age_s))
            .unwrap();
    }

    fn account(name: &str) -> AccountId {
        name.parse().unwrap()
    }

    #[test]
    fn an_account_over_its_bound_loses_its_own_oldest_lines() {
        let dir = tempfile::tempdir().unwrap();
        let store = dir.path();
        let (own, other) = ("000000000001", "000000000002");
        written(store, &format!("{own}/r/old"), 0, 100_000, 900);
        written(store, &format!("{own}/r/busy"), 0, 100_000, 800);
        written(store, &format!("{own}/r/busy"), 100_000, 100_000, 10);
        written(store, &format!("{own}/s/young"), 0, 100_000, 20);
        written(store, &format!("{other}/r/older"), 0, 100_000, 10_000);
        let mut accounts = Accounts::new(store.to_owned(), 300_000);
        assert!(
            accounts.wrote(&account(own), 0),
            "what is there is not known"
        );
        accounts.shed(&account(own)).unwrap();
        // 400,000 bytes of lines and three groups; seven eighths of the bound may stay.
        assert!(!store.join(format!("{own}/r/old")).exists());
        let busy = segment::all(&store.join(format!("{own}/r/busy"))).unwrap();
        assert_eq!(busy.len(), 1);
        assert_eq!(busy[0].base, 100_000);
        assert!(store.join(format!("{own}/s/young")).exists());
        assert!(store.join(format!("{other}/r/older")).exists());
        assert!(!accounts.wrote(&account(own), 60_000));
        assert!(accounts.wrote(&account(own), 60_000));
    }

    #[test]
    fn an_account_that_has_written_nothing_has_nothing_to_lose() {
        let dir = tempfile::tempdir().unwrap();
        let mut accounts = Accounts::new(dir.path().to_owned(), 1_000_000);
        accounts.shed(&account("000000000001")).unwrap();
        assert!(!accounts.wrote(&account("000000000001"), 1_000_000));
    }
}
