//! Names of log streams, one per instance, as Lambda makes them.

use pilotlight_model::ids::Version;

/// `YYYY/MM/DD/[<version>]<32 hexadecimal digits>`, different every time.
pub(crate) fn name(at: time::OffsetDateTime, version: Version) -> String {
    let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
    let unique = uuid::Uuid::new_v4().simple();
    format!("{year:04}/{month:02}/{day:02}/[{version}]{unique}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_like_lambda_s() {
        let at = time::macros::datetime!(2026-03-04 05:06:07 UTC);
        let stream = name(at, Version::Latest);
        assert!(stream.starts_with("2026/03/04/[$LATEST]"));
        assert_eq!(stream.len(), "2026/03/04/[$LATEST]".len() + 32);
        assert_ne!(stream, name(at, Version::Latest));
    }
}
