//! Which C library a program needs.

use std::fs;
use std::path::Path;

use anyhow::Context;

/// That of the runtime images.
pub(super) const IMAGE: &str = "2.36";
const IMAGE_MINOR: u32 = 36;
/// How a program names the versions of functions that it needs.
const NAME: &[u8] = b"GLIBC_2.";

/// The version that a program needs, if the images' is older.
pub(super) fn too_new(program: &Path) -> anyhow::Result<Option<String>> {
    let bytes = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let needed = minor(&bytes).filter(|needed| *needed > IMAGE_MINOR);
    Ok(needed.map(|minor| format!("2.{minor}")))
}

/// The highest version that is named in a program.
fn minor(bytes: &[u8]) -> Option<u32> {
    let starts = bytes.windows(NAME.len()).enumerate();
    starts
        .filter(|(_, window)| *window == NAME)
        .filter_map(|(at, _)| {
            let digits = bytes[at + NAME.len()..]
                .iter()
                .take_while(|it| it.is_ascii_digit());
            let digits: Vec<u8> = digits.take(4).copied().collect();
            std::str::from_utf8(&digits).ok()?.parse().ok()
        })
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_version_counts() {
        assert_eq!(minor(b"\0GLIBC_2.2.5\0GLIBC_2.39\0GLIBC_2.4\0"), Some(39));
        assert_eq!(minor(b"nothing GLIBC_PRIVATE GLIBC_2."), None);
    }
}
