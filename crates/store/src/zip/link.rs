//! Which symbolic links a package may have.

use crate::publish::LinkDefect;

/// Bytes of a target, as Linux limits it.
pub(super) const TARGET_BYTES: u64 = 4095;

/// Checks that a link `depth` directories below the root leads to somewhere in the package, or nowhere.
///
/// The rule is simple enough to be exact without following anything: a target may start with as many
/// `..` as there are directories above the link, all real ones, and may not have `..` after a name. Names
/// only lead down, or through links for which the same holds.
pub(super) fn check(target: &[u8], depth: usize) -> Result<(), LinkDefect> {
    if target.is_empty() || target.contains(&0) {
        return Err(LinkDefect::Unreadable);
    }
    if target.starts_with(b"/") {
        return Err(LinkDefect::Absolute);
    }
    let (mut up, mut down) = (0, false);
    for component in target.split(|&byte| byte == b'/') {
        match component {
            b"" | b"." => {}
            b".." if down => return Err(LinkDefect::Winding),
            b".." => up += 1,
            _ => down = true,
        }
    }
    if up > depth {
        Err(LinkDefect::Outside)
    } else {
        Ok(())
    }
}
