//! Printing: columns, durations and times as people read them.

use std::io::Write;

use time::OffsetDateTime;
use time::macros::format_description;

/// Columns of a terminal that does not say how wide it is, or of a pipe.
const DEFAULT_WIDTH: usize = 80;

/// Writes to standard output. A reader that is gone is an error, not a panic.
pub(crate) fn print(text: &str) -> std::io::Result<()> {
    print_bytes(text.as_bytes())
}

/// Writes bytes to standard output as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(bytes)?;
    out.flush()
}

/// Rows as columns; the first row is the head. Columns named in `right` are aligned to the right.
pub(crate) fn table(rows: &[Vec<String>], right: &[usize]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widest = |column: usize| rows.iter().map(|row| row[column].chars().count()).max();
    let widths: Vec<usize> = (0..columns)
        .map(|column| widest(column).unwrap_or(0))
        .collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, &width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            let (before, after) = if right.contains(&column) {
                (&*gap, "")
            } else {
                ("", &*gap)
            };
            line.push_str(&format!("{before}{cell}{after}  "));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

/// Microseconds with three digits that matter: `412 µs`, `12.3 ms`, `4.56 s`.
pub(crate) fn duration(us: u64) -> String {
    let number = us as f64;
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..10_000 => format!("{:.2} ms", number / 1e3),
        10_000..100_000 => format!("{:.1} ms", number / 1e3),
        100_000..1_000_000 => format!("{:.0} ms", number / 1e3),
        _ => format!("{:.2} s", number / 1e6),
    }
}

/// Milliseconds since 1970 as `2026-01-31T12:34:56.789Z`.
pub(crate) fn time(ms: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
        .ok()
        .and_then(|time| {
            let form = format_description!(
                "[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z"
            );
            time.format(form).ok()
        })
        .unwrap_or_else(|| ms.to_string())
}

/// Columns that standard output has.
pub(crate) fn width() -> usize {
    rustix::termios::tcgetwinsize(std::io::stdout())
        .map(|size| usize::from(size.ws_col))
        .ok()
        .filter(|&columns| columns > 0)
        .unwrap_or(DEFAULT_WIDTH)
}

/// Whether the locale can show more than ASCII.
pub(crate) fn unicode() -> bool {
    ["LC_ALL", "LC_CTYPE", "LANG"]
        .into_iter()
        .find_map(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
        .is_some_and(|locale| {
            let locale = locale.to_ascii_lowercase();
            locale.contains("utf-8") || locale.contains("utf8")
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_line_up() {
        let rows = [["name", "n"], ["é", "10"], ["longer", "7"]];
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(ToString::to_string).collect())
            .collect();
        assert_eq!(table(&rows, &[1]), "name     n\né       10\nlonger   7\n");
    }

    #[test]
    fn durations_keep_three_digits() {
        let read = [0, 999, 1_000, 9_994, 12_345, 123_456, 4_560_000].map(duration);
        assert_eq!(
            read,
            [
                "0 µs", "999 µs", "1.00 ms", "9.99 ms", "12.3 ms", "123 ms", "4.56 s"
            ]
        );
    }

    #[test]
    fn times_are_iso() {
        assert_eq!(time(1_767_225_600_007), "2026-01-01T00:00:00.007Z");
    }
}
