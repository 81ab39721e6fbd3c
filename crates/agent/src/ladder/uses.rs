//! How often versions were used, kept over restarts of the node, so that what is used most is made ready
//! first. It may be lost: then the order is another.

use std::collections::HashMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use parking_lot::Mutex;
use pilotlight_model::function::VersionKey;

/// Versions that are remembered; beyond it those used least are forgotten.
const VERSIONS: usize = 100_000;
/// Bytes of the file that are read.
const FILE_BYTES: u64 = 64 * 1024 * 1024;

pub(super) struct Uses {
    file: PathBuf,
    /// By qualified ARN. Locked to add, and to copy them for the file.
    counts: Mutex<HashMap<String, u64>>,
}

impl Uses {
    /// What the file says, halved: what was used long ago counts less with every start of the node.
    pub(super) fn read(file: PathBuf) -> Self {
        let mut counts = read(&file).unwrap_or_default();
        for count in counts.values_mut() {
            *count = count.div_ceil(2);
        }
        Self {
            file,
            counts: Mutex::new(counts),
        }
    }

    /// Adds what was used since the last call, and writes the file if there is something to add. Blocks.
    pub(super) fn add(&self, uses: Vec<(VersionKey, u64)>) -> std::io::Result<()> {
        if uses.is_empty() {
            return Ok(());
        }
        let text = {
            let mut counts = self.counts.lock();
            for (key, count) in uses {
                *counts.entry(key.to_string()).or_default() += count;
            }
            bound(&mut counts);
            serde_json::to_vec(&*counts)?
        };
        let draft = self.file.with_extension("new");
        let mut new = std::fs::File::create(&draft)?;
        new.write_all(&text)?;
        drop(new);
        std::fs::rename(&draft, &self.file)
    }

    /// The version is no more.
    pub(super) fn forget(&self, key: &VersionKey) {
        self.counts.lock().remove(&key.to_string());
    }

    /// Puts the versions that were used most in front.
    pub(super) fn sort(&self, keys: &mut [VersionKey]) {
        let counts = self.counts.lock();
        let count = |key: &VersionKey| counts.get(&key.to_string()).copied().unwrap_or(0);
        keys.sort_by_cached_key(|key| std::cmp::Reverse(count(key)));
    }
}

fn read(file: &Path) -> Option<HashMap<String, u64>> {
    let small = std::fs::metadata(file).ok()?.len() <= FILE_BYTES;
    let text = small.then(|| std::fs::read(file).ok()).flatten()?;
    let counts = serde_json::from_slice(&text).ok();
    if counts.is_none() {
        tracing::warn!(file = %file.display(), "use counts cannot be read and begin anew");
    }
    counts
}

fn bound(counts: &mut HashMap<String, u64>) {
    while counts.len() > VERSIONS {
        // Whoever is no more than average goes; at least one is.
        let average = counts.values().sum::<u64>() / counts.len() as u64;
        counts.retain(|_, count| *count > average);
    }
}

#[cfg(test)]
mod tests {
    use pilotlight_model::ids::Version;

    use super::*;

    fn key(version: u64) -> VersionKey {
        VersionKey {
            version: Version::Number(version),
            ..crate::tests::spec().key
        }
    }

    #[test]
    fn what_is_used_most_comes_first_after_a_restart_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("uses.json");
        let uses = Uses::read(file.clone());
        uses.add(vec![(key(1), 2), (key(2), 9), (key(3), 4)])
            .unwrap();
        uses.add(vec![(key(1), 4)]).unwrap();
        uses.forget(&key(2));
        uses.add(vec![(key(4), 1)]).unwrap();
        let again = Uses::read(file.clone());
        let mut keys = [key(2), key(3), key(4), key(1)];
        again.sort(&mut keys);
        assert_eq!(keys, [key(1), key(3), key(4), key(2)]);
        std::fs::write(&file, "garbage").unwrap();
        Uses::read(file).sort(&mut keys);
        assert_eq!(keys, [key(1), key(3), key(4), key(2)], "as they were");
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut counts = (0..VERSIONS + 1).map(|number| (number.to_string(), number as u64));
        let mut counts: HashMap<_, _> = counts.by_ref().collect();
        bound(&mut counts);
        assert!(counts.len() <= VERSIONS && counts.contains_key(&VERSIONS.to_string()));
        let mut equal = (0..VERSIONS + 1)
            .map(|number| (number.to_string(), 1))
            .collect();
        bound(&mut equal);
        assert!(equal.len() <= VERSIONS);
    }
}
