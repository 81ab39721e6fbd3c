//! Names of entries: which are refused, and how they are shown in messages.

use std::borrow::Cow;

use super::ZipLimits;
use crate::publish::{PathDefect, PublishError};

/// Bytes of a component, as every Linux file system has it.
const COMPONENT_BYTES: usize = 255;

/// The components of an entry's name. `.` is dropped, as unzip does; a slash at the end is the mark of a
/// directory. No components: the entry is the root itself.
pub(super) fn components<'n>(
    name: &'n [u8],
    limits: &ZipLimits,
) -> Result<Vec<&'n [u8]>, PublishError> {
    let bad = |defect| PublishError::Path {
        name: shown(name),
        defect,
    };
    if name.is_empty() {
        return Err(bad(PathDefect::Empty));
    }
    if name.len() > limits.path_bytes {
        return Err(bad(PathDefect::Long {
            limit: limits.path_bytes,
        }));
    }
    if name.contains(&0) {
        return Err(bad(PathDefect::Nul));
    }
    if name.contains(&b'\\') {
        return Err(bad(PathDefect::Backslash));
    }
    if name.starts_with(b"/") {
        return Err(bad(PathDefect::Absolute));
    }
    let mut components = Vec::new();
    for component in name
        .strip_suffix(b"/")
        .unwrap_or(name)
        .split(|&byte| byte == b'/')
    {
        match component {
            b"" => return Err(bad(PathDefect::Empty)),
            b".." => return Err(bad(PathDefect::Parent)),
            b"." => {}
            _ if component.len() > COMPONENT_BYTES => {
                return Err(bad(PathDefect::LongComponent {
                    limit: COMPONENT_BYTES,
                }));
            }
            _ => components.push(component),
        }
    }
    if components.len() > limits.depth {
        return Err(bad(PathDefect::Deep {
            limit: limits.depth,
        }));
    }
    Ok(components)
}

/// A name as UTF-8. Where it is not marked as that and is not that, it is in code page 437, as the zip
/// format has it (APPNOTE, appendix D).
pub(super) fn decoded(name: &[u8], utf8: bool) -> Result<Cow<'_, [u8]>, PublishError> {
    if std::str::from_utf8(name).is_ok() {
        return Ok(Cow::Borrowed(name));
    }
    if utf8 {
        return Err(PublishError::Path {
            name: shown(name),
            defect: PathDefect::Encoding,
        });
    }
    let high: Vec<char> = CODE_PAGE_437.chars().collect();
    let decode = |&byte: &u8| match byte.checked_sub(128) {
        Some(index) => high[usize::from(index)],
        None => char::from(byte),
    };
    Ok(Cow::Owned(
        name.iter().map(decode).collect::<String>().into_bytes(),
    ))
}

/// Code page 437 from 128 on.
const CODE_PAGE_437: &str = "\
    ÇüéâäàåçêëèïîìÄÅÉæÆôöòûùÿÖÜ¢£¥₧ƒáíóúñÑªº¿⌐¬½¼¡«»░▒▓│┤╡╢╖╕╣║╗╝╜╛┐\
    └┴┬├─┼╞╟╚╔╩╦╠═╬╧╨╤╥╙╘╒╓╫╪┘┌█▄▌▐▀αßΓπΣσµτΦΘΩδ∞φε∩≡±≥≤⌠⌡÷≈°∙·√ⁿ²■\u{a0}";

/// A name as a message can hold it: printable, and not long.
pub(crate) fn shown(name: &[u8]) -> String {
    const CHARS: usize = 120;
    let text = String::from_utf8_lossy(&name[..name.len().min(4 * CHARS)]);
    let mut chars = text.chars();
    let mut shown: String = chars
        .by_ref()
        .take(CHARS)
        .flat_map(char::escape_debug)
        .collect();
    if chars.next().is_some() {
        shown.push('…');
    }
    shown
}
