//! The waterfall as a bar chart: each phase where it begins, as long as it took.

use std::fmt::Write;

use pilotlight_model::start::PhaseLength;

use crate::output;

/// Columns of the phase's name and of its length.
const NAME: usize = 13;
const LENGTH: usize = 8;
/// The chart is never narrower than this, whatever the terminal says.
const NARROWEST: usize = 10;

/// Draws phases, which follow each other without a gap, within `width` columns.
pub(crate) fn draw(title: &str, phases: &[PhaseLength], width: usize, unicode: bool) -> String {
    let total: u64 = phases.iter().map(|phase| phase.us).sum();
    let columns = width
        .saturating_sub(2 + NAME + 1 + LENGTH + 2)
        .max(NARROWEST);
    let mut text = format!("{title}\n");
    let mut begin = 0;
    for phase in phases {
        let name = phase.phase.as_str().replace('_', " ");
        let bar = bar(begin, phase.us, total, columns, unicode);
        let length = output::duration(phase.us);
        let line = format!("  {name:<NAME$} {length:>LENGTH$}  {bar}");
        let _ = writeln!(text, "{}", line.trim_end());
        begin += phase.us;
    }
    let _ = writeln!(
        text,
        "  {:<NAME$} {:>LENGTH$}",
        "total",
        output::duration(total)
    );
    text
}

/// A bar at its offset. One that would be too short to see is a thin line.
fn bar(begin: u64, length: u64, total: u64, columns: usize, unicode: bool) -> String {
    let column = |at: u64| match total {
        0 => 0,
        _ => (at as f64 / total as f64 * columns as f64).round() as usize,
    };
    let (from, to) = (column(begin), column(begin + length));
    let (full, thin) = if unicode { ("█", "▏") } else { ("#", "|") };
    let bar = match to - from {
        0 if length == 0 => String::new(),
        0 => thin.to_owned(),
        columns => full.repeat(columns),
    };
    format!("{}{bar}", " ".repeat(from.min(columns - 1)))
        .trim_end()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use pilotlight_model::Phase;

    use super::*;

    fn phases(lengths: &[(Phase, u64)]) -> Vec<PhaseLength> {
        lengths
            .iter()
            .map(|&(phase, us)| PhaseLength { phase, us })
            .collect()
    }

    #[test]
    fn bars_follow_each_other_and_fill_the_width() {
        let phases = phases(&[
            (Phase::Gateway, 0),
            (Phase::Spawn, 2_500),
            (Phase::RuntimeInit, 5_000),
            (Phase::Handler, 2_490),
            (Phase::Respond, 10),
        ]);
        let drawn = draw("title", &phases, 46, false);
        assert_eq!(
            drawn,
            "title\n  \
             gateway           0 µs\n  \
             spawn          2.50 ms  #####\n  \
             runtime init   5.00 ms       ##########\n  \
             handler        2.49 ms                 #####\n  \
             respond          10 µs                     |\n  \
             total          10.0 ms\n"
        );
    }

    #[test]
    fn nothing_is_too_narrow_or_too_empty_to_draw() {
        assert!(draw("t", &[], 0, true).ends_with("0 µs\n"));
        let phases = phases(&[(Phase::Handler, 7)]);
        assert!(draw("t", &phases, 3, true).contains(&"█".repeat(NARROWEST)));
        for line in draw("t", &phases, 60, true).lines() {
            assert!(line.chars().count() <= 60, "{line}");
        }
    }
}
