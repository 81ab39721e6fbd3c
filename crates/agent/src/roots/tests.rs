//! Sharing and letting go, on a mounter that counts.

use std::sync::atomic::{AtomicUsize, Ordering};

use pilotlight_model::ids::{AccountId, Region, Version};

use super::*;

#[derive(Default)]
struct Counting {
    mounts: AtomicUsize,
    mounted: Arc<AtomicUsize>,
    roots: Arc<AtomicUsize>,
}

/// Counts itself while it is there.
struct Held(Arc<AtomicUsize>);

impl Held {
    fn of(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Mounter for Counting {
    type Image = Held;
    type Root = Held;

    fn mount(&self, digest: &Digest) -> Result<Held, LaunchError> {
        if digest.as_str().starts_with('f') {
            return Err(LaunchError::platform("mount", "broken"));
        }
        self.mounts.fetch_add(1, Ordering::SeqCst);
        Ok(Held::of(&self.mounted))
    }

    fn read_ahead(&self, _image: &Held) {}

    fn assemble(
        &self,
        _runtime: &Held,
        _code: Code<'_, Held>,
        _layers: &[&Held],
    ) -> Result<Held, LaunchError> {
        Ok(Held::of(&self.roots))
    }
}

impl Roots<Counting> {
    fn counts(&self) -> (usize, usize) {
        let count = |count: &AtomicUsize| count.load(Ordering::SeqCst);
        (count(&self.mounter.mounted), count(&self.mounter.roots))
    }
}

fn digest(character: char) -> Digest {
    character.to_string().repeat(64).parse().unwrap()
}

fn key(code: char, layers: &[char]) -> RootKey {
    RootKey {
        runtime: digest('0'),
        code: CodeKey::Image(digest(code)),
        layers: layers.iter().copied().map(digest).collect(),
    }
}

fn owner(name: &str) -> VersionKey {
    VersionKey {
        account: AccountId::default(),
        region: Region::default(),
        name: name.parse().unwrap(),
        version: Version::Latest,
    }
}

fn prepare(roots: &Roots<Counting>, name: &str, key: &RootKey) {
    roots.get(key).unwrap();
    roots.own(owner(name), key.clone());
}

#[test]
fn an_image_is_mounted_once_and_a_root_assembled_once() {
    let roots = Roots::new(Counting::default());
    prepare(&roots, "a", &key('1', &['5', '6']));
    prepare(&roots, "b", &key('1', &['5', '6']));
    prepare(&roots, "c", &key('2', &['5']));
    assert_eq!(roots.counts(), (5, 2));
    assert_eq!(roots.mounter.mounts.load(Ordering::SeqCst), 5);
    assert!(roots.find(&key('2', &['5'])).is_some());
    assert!(roots.find(&key('3', &[])).is_none());
}

#[test]
fn what_no_version_uses_is_let_go() {
    let roots = Roots::new(Counting::default());
    prepare(&roots, "a", &key('1', &[]));
    prepare(&roots, "b", &key('1', &[]));
    // A new revision of one of them: the other still uses the old root.
    prepare(&roots, "a", &key('2', &[]));
    assert_eq!(roots.counts(), (3, 2));
    roots.forget(&owner("b"));
    assert_eq!(roots.counts(), (2, 1));
    roots.forget(&owner("b"));
    roots.forget(&owner("a"));
    assert_eq!(roots.counts(), (0, 0));
    assert!(roots.cache.lock().images.is_empty());
}

#[test]
fn a_root_in_use_outlives_the_cache() {
    let roots = Roots::new(Counting::default());
    prepare(&roots, "a", &key('1', &[]));
    let used = roots.get(&key('1', &[])).unwrap();
    roots.forget(&owner("a"));
    assert_eq!(roots.counts(), (2, 1));
    drop(used);
    assert_eq!(roots.counts(), (0, 0));
}

#[test]
fn the_cache_is_bounded_and_keeps_what_was_used_last() {
    let roots = Roots::keeping(Counting::default(), 2);
    prepare(&roots, "a", &key('1', &[]));
    prepare(&roots, "b", &key('2', &[]));
    roots.find(&key('1', &[])).unwrap();
    prepare(&roots, "c", &key('3', &[]));
    assert_eq!(roots.counts(), (3, 2));
    assert!(roots.find(&key('1', &[])).is_some());
    assert!(roots.find(&key('2', &[])).is_none());
    // It is assembled again when it is needed, and let go with its version.
    prepare(&roots, "b", &key('2', &[]));
    assert_eq!(roots.counts().1, 2);
}

#[test]
fn a_live_folder_is_bound_afresh_each_time() {
    let roots = Roots::new(Counting::default());
    prepare(&roots, "a", &key('1', &[]));
    let live = RootKey {
        code: CodeKey::Live("/src".into()),
        ..key('1', &[])
    };
    let (one, two) = (roots.get(&live).unwrap(), roots.get(&live).unwrap());
    assert_eq!(roots.counts(), (2, 3));
    roots.own(owner("a"), live);
    assert_eq!(roots.counts(), (1, 2), "what it used before is gone");
    drop((one, two));
    assert_eq!(roots.counts(), (0, 0));
}

#[test]
fn a_broken_image_is_tried_again() {
    let roots = Roots::new(Counting::default());
    assert!(roots.get(&key('f', &[])).is_err());
    assert!(roots.get(&key('f', &[])).is_err());
    assert!(roots.find(&key('f', &[])).is_none());
    prepare(&roots, "a", &key('1', &[]));
}
