//! Tokens of paging, and ids of events: a place in the order of a group's events in 56 digits.

use pilotlight_model::LambdaError;
use pilotlight_model::logs::Cursor;

use crate::api::invalid;
use crate::paging;

const DIGITS: usize = 56;

/// A place as text: in the order of the places.
pub(super) fn place(cursor: Cursor) -> String {
    let number = u128::from(cursor.at_ms) << 64 | u128::from(cursor.position);
    format!("{number:0DIGITS$}")
}

/// The place that a text is.
pub(super) fn read_place(text: &str) -> Result<Cursor, LambdaError> {
    let digits = text.len() == DIGITS && text.bytes().all(|b| b.is_ascii_digit());
    let number: Option<u128> = text.parse().ok().filter(|_| digits);
    let number = number.ok_or_else(wrong)?;
    Ok(Cursor {
        at_ms: (number >> 64) as u64,
        position: number as u64,
    })
}

/// What the client saw last of a list that goes by name.
pub(super) fn seen(token: Option<&str>) -> Result<Option<String>, LambdaError> {
    let read = |token| paging::read(token).ok_or_else(wrong);
    token.map(read).transpose()
}

/// The error for a token that was never given out.
pub(super) fn wrong() -> LambdaError {
    invalid("The specified nextToken is invalid.")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn places_read_as_they_print_and_keep_their_order(
            (a, b) in (any::<u64>(), any::<u64>()),
            (c, d) in (any::<u64>(), any::<u64>()),
            text in "\\PC{0,60}",
        ) {
            let (first, second) = (Cursor { at_ms: a, position: b }, Cursor { at_ms: c, position: d });
            prop_assert_eq!(read_place(&place(first)).unwrap(), first);
            prop_assert_eq!(place(first).cmp(&place(second)), first.cmp(&second));
            let _ = read_place(&text);
        }
    }
}
