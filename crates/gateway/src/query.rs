//! Query strings, as AWS's clients write them: `%20` for a space, `+` for a plus.

use std::borrow::Cow;

use percent_encoding::percent_decode_str;

/// The decoded pairs of a raw query string; bytes that are not UTF-8 are read lossily.
pub(crate) fn pairs(query: &str) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
    let decode = |text| percent_decode_str(text).decode_utf8_lossy();
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(move |pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            (decode(name), decode(value))
        })
}

/// The first value of that name.
pub(crate) fn value<'a>(query: &'a str, name: &str) -> Option<Cow<'a, str>> {
    pairs(query)
        .find(|(given, _)| given == name)
        .map(|(_, value)| value)
}
