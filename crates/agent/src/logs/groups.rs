//! Where groups are on disk, and what is known of one without reading its lines.
//!
//! `<account>/<region>/<group>/` holds the group's segments and `group.json`, which says its name, as the
//! folder's may be too long to, and when it was made.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use pilotlight_model::ids::{AccountId, Region};
use pilotlight_model::logs::{GroupFacts, LogGroup};
use serde::{Deserialize, Serialize};

use super::segment::{self, Lines};

const DESCRIPTION: &str = "group.json";
/// Longest description that is read; a name is at most 512 bytes long.
const DESCRIPTION_BYTES: u64 = 64 * 1024;

#[derive(Serialize, Deserialize)]
struct Description {
    name: String,
    created_ms: u64,
}

/// Where the journal of that group is.
pub(super) fn folder_of(store: &Path, group: &LogGroup) -> PathBuf {
    region_of(store, &group.account, &group.region).join(file_name(&group.name))
}

fn region_of(store: &Path, account: &AccountId, region: &Region) -> PathBuf {
    store.join(account.as_str()).join(region.as_str())
}

/// A group's name as a file name: readable, unambiguous and never too long.
fn file_name(group: &str) -> String {
    let mut name = String::new();
    for byte in group.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(char::from(byte)),
            other => name.push_str(&format!("%{other:02X}")),
        }
    }
    if name.len() > 200 {
        name.truncate(120);
        name.push('~');
        name.push_str(&blake3::hash(group.as_bytes()).to_hex());
    }
    name
}

/// The group's name that a file name says, unless it was too long to.
fn group_name(file: &str) -> Option<String> {
    let mut name = Vec::with_capacity(file.len());
    let mut bytes = file.bytes();
    while let Some(byte) = bytes.next() {
        name.push(match byte {
            b'~' => return None,
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(name).ok()
}

/// Says of a group what it is called, unless that has been done. Its folder must be there.
pub(super) fn describe(folder: &Path, group: &LogGroup, now_ms: u64) -> io::Result<()> {
    let path = folder.join(DESCRIPTION);
    if path.exists() {
        return Ok(());
    }
    let description = Description {
        name: group.name.clone(),
        // A journal may be older than descriptions are.
        created_ms: first_ms(folder)?.unwrap_or(now_ms),
    };
    let unfinished = folder.join("group.json.new");
    fs::write(&unfinished, serde_json::to_vec(&description)?)?;
    fs::rename(unfinished, path)
}

fn description(folder: &Path) -> io::Result<Option<Description>> {
    let path = folder.join(DESCRIPTION);
    match fs::metadata(&path) {
        Ok(metadata) if metadata.len() > DESCRIPTION_BYTES => return Ok(None),
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(serde_json::from_slice(&fs::read(&path)?).ok())
}

/// Names of the groups of an account and region, in order.
pub(super) fn names(store: &Path, account: &AccountId, region: &Region) -> io::Result<Vec<String>> {
    let folder = region_of(store, account, region);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut names = Vec::new();
    for entry in entries {
        let file = entry?.file_name();
        let Some(file) = file.to_str() else { continue };
        match group_name(file) {
            Some(name) => names.push(name),
            None => names.extend(description(&folder.join(file))?.map(|it| it.name)),
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// What is known of the group in that folder, if there is one.
pub(super) fn facts(folder: &Path) -> io::Result<Option<GroupFacts>> {
    if !folder.is_dir() {
        return Ok(None);
    }
    let created_ms = match description(folder)? {
        Some(description) => Some(description.created_ms),
        None => first_ms(folder)?,
    };
    Ok(Some(GroupFacts {
        created_ms: created_ms.unwrap_or_default(),
        bytes: segment::all(folder)?.iter().map(|it| it.len).sum(),
    }))
}

/// Time of the oldest line that is there.
fn first_ms(folder: &Path) -> io::Result<Option<u64>> {
    for segment in segment::all(folder)? {
        let mut lines = Lines::open(&segment, segment.base)?;
        while let Some(line) = lines.next()? {
            if let Some(record) = line {
                return Ok(Some(record.i.unwrap_or(record.t)));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    fn group(name: &str) -> LogGroup {
        LogGroup {
            account: AccountId::default(),
            region: Region::default(),
            name: name.to_owned(),
        }
    }

    #[test]
    fn groups_never_share_a_folder_or_leave_the_store() {
        let store = Path::new("/store");
        let long = "x".repeat(500);
        let longer = format!("{long}y");
        let names = [
            "/aws/lambda/f",
            "/aws/lambda_f",
            "..",
            ".",
            "a/../b",
            "%2F",
            "/",
            &long,
            &longer,
        ];
        let folders: HashSet<PathBuf> = names
            .iter()
            .map(|name| folder_of(store, &group(name)))
            .collect();
        assert_eq!(folders.len(), names.len());
        for folder in folders {
            let name = folder.file_name().unwrap().to_str().unwrap();
            assert!(name.len() <= 255 && !name.starts_with('.'), "{name}");
            assert_eq!(folder.components().count(), store.components().count() + 3);
        }
    }

    #[test]
    fn names_are_found_again_however_long() {
        let store = tempfile::tempdir().unwrap();
        let long = "/custom/".repeat(60);
        let mut wanted = vec!["/aws/lambda/f".to_owned(), "a#b.c".to_owned(), long];
        for (number, name) in wanted.iter().enumerate() {
            let group = group(name);
            let folder = folder_of(store.path(), &group);
            fs::create_dir_all(&folder).unwrap();
            describe(&folder, &group, number as u64).unwrap();
            describe(&folder, &group, 99).unwrap();
            assert_eq!(
                facts(&folder).unwrap().unwrap().created_ms,
                number as u64,
                "the first description stays"
            );
        }
        let mut found = names(store.path(), &AccountId::default(), &Region::default()).unwrap();
        wanted.sort_unstable();
        found.sort_unstable();
        assert_eq!(found, wanted);
        let other: AccountId = "000000000001".parse().unwrap();
        assert!(
            names(store.path(), &other, &Region::default())
                .unwrap()
                .is_empty()
        );
        assert_eq!(
            facts(&folder_of(store.path(), &group("none"))).unwrap(),
            None
        );
    }
}
