//! What was measured, as the profile by which `pilot simulate` knows what starts cost and rungs weigh.

use std::path::Path;

use anyhow::Context;
use pilotlight_sim::Profile;
use pilotlight_sim::profile::{ClassName, Spread};

use crate::heavy::{TEMPLATE, TITLE as HEAVY};
use crate::kinds::title;
use crate::report::{Report, Section};
use crate::runtimes::RUNTIMES;

/// Megabytes in which the bench weighs, to the mebibytes of a profile.
const MIB: f64 = 1e6 / 1_048_576.0;

/// Writes what a report has into a profile; what it has not is as in the profile that is shipped.
pub(crate) fn write(report: &Report, path: &Path) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(&profile(report))?;
    text.push('\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn profile(report: &Report) -> Profile {
    let mut profile = Profile::default();
    let machine = &report.machine;
    let mut measured = Vec::new();
    let section = |title: &str| {
        report
            .sections
            .iter()
            .find(|section| section.title == title)
    };
    for runtime in RUNTIMES {
        let class = class(runtime.name).and_then(|name| profile.classes.get_mut(&name));
        let (Some(section), Some(class)) = (section(&title(runtime.name)), class) else {
            continue;
        };
        measured.push(runtime.name);
        let starts = &mut class.start_ms;
        for (name, spread) in [
            ("warm", &mut starts.warm),
            ("spare", &mut starts.spare),
            ("forked", &mut starts.forked),
            ("zygote", &mut starts.zygote),
            ("booted", &mut starts.booted),
        ] {
            if let Ok(row) = section.row(name) {
                *spread = Spread {
                    p50: row.p50_ms,
                    p99: row.p99_ms,
                };
            }
        }
        if let Some(megabytes) = figure(section, "zygote") {
            class.memory.zygote_mb = megabytes * MIB;
        }
        if let Some(megabytes) = figure(section, "spare") {
            class.memory.spare.mb = megabytes * MIB;
        }
    }
    let of = |what| section(HEAVY).and_then(|section| figure(section, what));
    if let (Some(own), Some(all)) = (of(TEMPLATE), of("template: RSS, average"))
        && own > 0.0
        && all >= own
    {
        measured.push("template.share");
        for class in profile.classes.values_mut() {
            class.memory.template.share = own / all;
        }
    }
    profile.source = format!(
        "pilotlight-bench, {} cores {}, Linux {}; measured: {}; all else as shipped",
        machine.cores,
        machine.cpu,
        machine.kernel,
        measured.join(", ")
    );
    profile
}

/// The class that a runtime is of.
fn class(runtime: &str) -> Option<ClassName> {
    let prefixes = [
        ("python", ClassName::Python),
        ("nodejs", ClassName::Node),
        ("java", ClassName::Java),
    ];
    let found = prefixes
        .iter()
        .find(|(prefix, _)| runtime.starts_with(prefix));
    found.map(|(_, class)| *class)
}

fn figure(section: &Section, name: &str) -> Option<f64> {
    let figure = section.figures.iter().find(|figure| figure.name == name)?;
    (figure.value > 0.0).then_some(figure.value)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::report::Machine;
    use crate::stats::Samples;

    #[test]
    fn what_was_measured_is_in_the_profile() {
        let mut section = Section::begin(title("nodejs20.x"));
        let mut samples = Samples::default();
        (1..=100).for_each(|ms| samples.push(Duration::from_millis(ms)));
        section.time("booted", &samples);
        section.figure("zygote", 20.0 / MIB, "MB");
        let mut heavy = Section::begin(HEAVY);
        heavy.figure(TEMPLATE, 60.0, "MB");
        heavy.figure("template: RSS, average", 80.0, "MB");
        let report = Report {
            machine: Machine::read(),
            sections: vec![section, heavy],
        };
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("profile.json");
        write(&report, &path).unwrap();
        let profile = Profile::read(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let (node, shipped) = (&profile.classes[&ClassName::Node], Profile::default());
        assert_eq!(
            node.start_ms.booted,
            Spread {
                p50: 50.0,
                p99: 99.0
            }
        );
        assert!((node.memory.zygote_mb - 20.0).abs() < 1e-9);
        assert_eq!(node.memory.template.share, 0.75);
        let before = &shipped.classes[&ClassName::Node];
        assert_eq!(node.start_ms.warm, before.start_ms.warm);
        assert!(
            profile
                .source
                .contains("measured: nodejs20.x, template.share")
        );
    }
}
