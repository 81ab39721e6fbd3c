//! Lists in pages. The tokens by which clients go on are opaque to them: what they saw last.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;

/// Cuts what was found down to a page. Where there is more, answers the token of the next, which says what `seen`
/// says of the last on this one.
pub(crate) fn cut<T>(
    found: &mut Vec<T>,
    page: usize,
    seen: impl FnOnce(&T) -> String,
) -> Option<String> {
    let more = found.len() > page;
    found.truncate(page);
    let last = found.last().filter(|_| more)?;
    Some(BASE64_URL_SAFE_NO_PAD.encode(seen(last)))
}

/// What a token says; `None` for one that was never given out.
pub(crate) fn read(token: &str) -> Option<String> {
    String::from_utf8(BASE64_URL_SAFE_NO_PAD.decode(token).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_go_on_behind_what_was_seen_last(
            all in proptest::collection::vec("\\PC{0,20}", 0..9),
            page in 1_usize..5,
            stranger in "\\PC{0,60}",
        ) {
            let mut found = all.clone();
            let next = cut(&mut found, page, String::clone);
            prop_assert_eq!(&found, &all[..page.min(all.len())]);
            let seen = next.map(|token| read(&token).unwrap());
            prop_assert_eq!(seen.as_ref(), all.get(page).and(found.last()));
            let _ = read(&stranger);
        }
    }
}
