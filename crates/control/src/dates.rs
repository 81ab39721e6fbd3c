//! Times as AWS writes them. Each of its interfaces has a form of its own.

use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

/// Functions, layers and code signing configurations: `2026-01-02T03:04:05.678+0000`.
pub(crate) const OF_FUNCTIONS: Form =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]+0000");
/// Configurations of provisioned concurrency: `2026-01-02T03:04:05+0000`.
pub(crate) const OF_PROVISIONED: Form =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]+0000");
/// Function URLs: `2026-01-02T03:04:05.678000Z`.
pub(crate) const OF_URLS: Form =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:6]Z");
/// Records of asynchronous invocations: `2026-01-02T03:04:05.678Z`.
pub(crate) const OF_RECORDS: Form =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");
/// Scheduled times: `2026-01-02T03:04:05Z`.
pub(crate) const OF_SCHEDULES: Form =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// How a time is written.
pub(crate) type Form = &'static [BorrowedFormatItem<'static>];

/// A time in that form; empty beyond the year 9999.
pub(crate) fn written(unix_ms: u64, form: Form) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(unix_ms) * 1_000_000)
        .ok()
        .and_then(|time| time.format(form).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_written_as_aws_writes_them() {
        for (form, expected) in [
            (OF_FUNCTIONS, "2026-01-02T03:04:05.678+0000"),
            (OF_PROVISIONED, "2026-01-02T03:04:05+0000"),
            (OF_URLS, "2026-01-02T03:04:05.678000Z"),
            (OF_RECORDS, "2026-01-02T03:04:05.678Z"),
            (OF_SCHEDULES, "2026-01-02T03:04:05Z"),
        ] {
            assert_eq!(written(1_767_323_045_678, form), expected);
        }
        assert_eq!(written(u64::MAX, OF_FUNCTIONS), "");
    }
}
