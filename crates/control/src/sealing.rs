//! Secrets at rest: what the catalog and the list of access keys hold of them is sealed with a key that
//! is kept in a file of its own, so that a copy of the database alone tells nobody.
//!
//! XChaCha20-Poly1305 (draft-irtf-cfrg-xchacha-03): its nonces are long enough to be drawn at random.
//! What is sealed is bound to a context, and does not open in another: nobody can give one function
//! the sealed environment of another by writing to the database.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_STANDARD_NO_PAD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use rustix::rand::{GetRandomFlags, getrandom};

/// First characters of everything sealed; the number is that of the form.
pub(crate) const MARK: &str = "pl1.";
const KEY_BYTES: usize = 32;
const NONCE_BYTES: usize = 24;

/// The key that secrets at rest are sealed with. Clones are the same key.
#[derive(Clone)]
pub struct SealingKey {
    cipher: Arc<XChaCha20Poly1305>,
}

/// Why the key cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum SealingKeyError {
    /// The file cannot be read, or not be made.
    #[error("cannot read or make the key file {}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} does not hold a key: 32 bytes in base64 on one line", path.display())]
    Malformed {
        /// Which.
        path: PathBuf,
    },
}

/// Something sealed does not open: it was sealed with another key or for another place, or is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it was sealed with another key, or is damaged")]
pub(crate) struct Unsealable;

impl SealingKey {
    /// Reads the key from its file, or makes both: readable by their owner alone, and on stable storage
    /// before anything is sealed.
    ///
    /// # Errors
    /// The file can neither be read nor made, or does not hold a key.
    pub fn open(path: &Path) -> Result<Self, SealingKeyError> {
        let file = |source| SealingKeyError::File {
            path: path.to_owned(),
            source,
        };
        let text = match fs::read_to_string(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => make(path).map_err(file)?,
            read => read.map_err(file)?,
        };
        let malformed = || SealingKeyError::Malformed {
            path: path.to_owned(),
        };
        let bytes = BASE64_STANDARD_NO_PAD
            .decode(text.trim())
            .map_err(|_| malformed())?;
        let cipher = XChaCha20Poly1305::new_from_slice(&bytes).map_err(|_| malformed())?;
        Ok(Self {
            cipher: Arc::new(cipher),
        })
    }

    /// Seals `plain` for the place that `context` names.
    pub(crate) fn seal(&self, plain: &[u8], context: &str) -> String {
        let nonce = XNonce::from(random::<NONCE_BYTES>());
        let payload = Payload {
            msg: plain,
            aad: context.as_bytes(),
        };
        let sealed = self
            .cipher
            .encrypt(&nonce, payload)
            .expect("far below the cipher's limit of 256 GiB");
        let bytes = [nonce.as_slice(), &sealed].concat();
        format!("{MARK}{}", BASE64_STANDARD_NO_PAD.encode(bytes))
    }

    /// Opens what was sealed for that place.
    pub(crate) fn unseal(&self, sealed: &str, context: &str) -> Result<Vec<u8>, Unsealable> {
        let text = sealed.strip_prefix(MARK).ok_or(Unsealable)?;
        let bytes = BASE64_STANDARD_NO_PAD
            .decode(text)
            .map_err(|_| Unsealable)?;
        let (nonce, sealed) = bytes.split_first_chunk().ok_or(Unsealable)?;
        let payload = Payload {
            msg: sealed,
            aad: context.as_bytes(),
        };
        self.cipher
            .decrypt(&XNonce::from(*nonce), payload)
            .map_err(|_| Unsealable)
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(…)")
    }
}

/// Random bytes of the kernel's.
pub(crate) fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    let filled = getrandom(&mut bytes[..], GetRandomFlags::empty());
    // Up to 256 bytes come whole, and nothing interrupts them (getrandom(2)).
    assert_eq!(filled, Ok(N), "the kernel gives random bytes");
    bytes
}

/// Writes a new key under another name first: there is a whole key or none. Returns what the file then
/// holds, which is another's if someone else was faster.
fn make(path: &Path) -> io::Result<String> {
    let folder = path.parent().unwrap_or(Path::new("."));
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(folder)?;
    let text = format!("{}\n", BASE64_STANDARD_NO_PAD.encode(random::<KEY_BYTES>()));
    let draft = path.with_extension(format!("{}.draft", std::process::id()));
    write_private(&draft, text.as_bytes())?;
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    File::open(folder)?.sync_all()?;
    match linked {
        Ok(()) => Ok(text),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path),
        Err(error) => Err(error),
    }
}

/// Warns of a file with secrets that others than its owner may read. It is used all the same: a platform that does not
/// start any more for want of a `chmod` helps nobody, and what has been read cannot be made secret again.
pub fn warn_if_exposed(path: &Path) {
    let Ok(metadata) = fs::metadata(path) else {
        return;
    };
    let mode = metadata.mode() & 0o777;
    if mode & 0o077 != 0 {
        tracing::warn!(
            "{path} holds secrets, and others than its owner may use it (mode {mode:o}): chmod 600 {path}",
            path = path.display()
        );
    }
}

/// Writes a file that only its owner reads; its contents are on stable storage when this returns, its name is not yet.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use proptest::prelude::*;

    use super::*;

    fn key(folder: &tempfile::TempDir, name: &str) -> SealingKey {
        SealingKey::open(&folder.path().join(name)).unwrap()
    }

    #[test]
    fn a_key_file_is_made_once_and_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let sealed = key(&folder, "secret.key").seal(b"hello", "here");
        assert_eq!(
            key(&folder, "secret.key").unseal(&sealed, "here").unwrap(),
            b"hello"
        );
        let mode = fs::metadata(folder.path().join("secret.key"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(
            fs::read_dir(folder.path()).unwrap().count(),
            1,
            "no draft stays"
        );
    }

    #[test]
    fn a_file_that_holds_no_key_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "not base64!", "c2hvcnQ"] {
            let path = folder.path().join("k");
            fs::write(&path, text).unwrap();
            assert!(
                matches!(
                    SealingKey::open(&path),
                    Err(SealingKeyError::Malformed { .. })
                ),
                "{text}"
            );
        }
        let unreadable = SealingKey::open(folder.path());
        assert!(matches!(unreadable, Err(SealingKeyError::File { .. })));
    }

    #[test]
    fn the_same_is_never_sealed_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let key = key(&folder, "k");
        assert_ne!(key.seal(b"a", "c"), key.seal(b"a", "c"));
    }

    proptest! {
        #[test]
        fn only_the_same_key_and_place_open_it(plain: Vec<u8>, context: String, flip: prop::sample::Index) {
            let folder = tempfile::tempdir().unwrap();
            let (ours, other) = (key(&folder, "a"), key(&folder, "b"));
            let sealed = ours.seal(&plain, &context);
            prop_assert_eq!(ours.unseal(&sealed, &context), Ok(plain));
            prop_assert_eq!(other.unseal(&sealed, &context), Err(Unsealable));
            prop_assert_eq!(ours.unseal(&sealed, &format!("{context}x")), Err(Unsealable));
            let mut bytes = sealed.into_bytes();
            let at = flip.index(bytes.len());
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            prop_assert_eq!(ours.unseal(&String::from_utf8(bytes).unwrap(), &context), Err(Unsealable));
        }

        #[test]
        fn garbage_does_not_open(text: String) {
            let folder = tempfile::tempdir().unwrap();
            prop_assert_eq!(key(&folder, "a").unseal(&text, ""), Err(Unsealable));
            prop_assert_eq!(key(&folder, "a").unseal(&format!("{MARK}{text}"), ""), Err(Unsealable));
        }
    }
}
