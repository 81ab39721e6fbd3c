//! Medians of each phase by start kind.

use pilotlight_model::{Phase, StartKind, StartRecord};

use crate::output;

/// One column per kind that occurs, one row per phase that does, and the whole.
pub(super) fn table(starts: &[StartRecord]) -> String {
    let of_kind = |kind| {
        starts
            .iter()
            .filter(|start| start.kind == kind)
            .collect::<Vec<_>>()
    };
    let kinds: Vec<(StartKind, Vec<&StartRecord>)> = StartKind::ALL
        .into_iter()
        .map(|kind| (kind, of_kind(kind)))
        .filter(|(_, starts)| !starts.is_empty())
        .collect();
    let row = |name: &str, cell: &dyn Fn(&[&StartRecord]) -> String| {
        let cells = kinds.iter().map(|(_, starts)| cell(starts));
        std::iter::once(format!("  {name}"))
            .chain(cells)
            .collect::<Vec<String>>()
    };

    let head = kinds
        .iter()
        .map(|(kind, starts)| format!("{kind} ({})", starts.len()));
    let mut rows = vec![std::iter::once("  phase".to_owned()).chain(head).collect()];
    for phase in Phase::ALL {
        let lengths = |starts: &[&StartRecord]| -> Vec<u64> {
            let of_phase = |start: &&StartRecord| {
                start
                    .phases
                    .iter()
                    .find(|length| length.phase == phase)
                    .map(|length| length.us)
            };
            starts.iter().filter_map(of_phase).collect()
        };
        if kinds.iter().any(|(_, starts)| !lengths(starts).is_empty()) {
            let cell = |starts: &[&StartRecord]| shown(median(lengths(starts)));
            rows.push(row(&phase.as_str().replace('_', " "), &cell));
        }
    }
    let total = |starts: &[&StartRecord]| {
        shown(median(starts.iter().map(|start| start.total_us).collect()))
    };
    rows.push(row("total", &total));
    output::table(&rows, &(1..=kinds.len()).collect::<Vec<_>>())
}

fn shown(median: Option<u64>) -> String {
    median.map_or_else(|| "-".to_owned(), output::duration)
}

/// The lower of the two middle values where there are two.
fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    values.get(values.len().checked_sub(1)? / 2).copied()
}

#[cfg(test)]
mod tests {
    use pilotlight_model::start::PhaseLength;
    use pilotlight_model::{RequestId, Version, VersionKey};

    use super::*;

    fn start(kind: StartKind, phases: &[(Phase, u64)]) -> StartRecord {
        let phases: Vec<PhaseLength> = phases
            .iter()
            .map(|&(phase, us)| PhaseLength { phase, us })
            .collect();
        StartRecord {
            request_id: RequestId::new(),
            version: VersionKey {
                account: Default::default(),
                region: Default::default(),
                name: "f".parse().unwrap(),
                version: Version::Latest,
            },
            node: "n".to_owned(),
            instance: pilotlight_model::ids::InstanceId(1),
            kind,
            runs_on: None,
            at_ms: 0,
            total_us: phases.iter().map(|phase| phase.us).sum(),
            phases,
        }
    }

    #[test]
    fn kinds_stand_side_by_side() {
        let starts = [
            start(
                StartKind::Booted,
                &[(Phase::Spawn, 5_000), (Phase::Handler, 100)],
            ),
            start(StartKind::Warm, &[(Phase::Handler, 300)]),
            start(StartKind::Warm, &[(Phase::Handler, 100)]),
            start(StartKind::Warm, &[(Phase::Handler, 200)]),
        ];
        assert_eq!(
            table(&starts),
            "  phase    warm (3)  booted (1)\n  \
             spawn           -     5.00 ms\n  \
             handler    200 µs      100 µs\n  \
             total      200 µs     5.10 ms\n"
        );
    }

    #[test]
    fn the_median_of_nothing_is_nothing() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![4, 1, 3, 2]), Some(2));
    }
}
