//! What a fork costs by the size of the heap that the init has filled, and what kinds of pages change about it.

use std::path::Path;

use anyhow::ensure;

use crate::Bench;
use crate::invoke::{invocation, invoke};
use crate::report::Section;
use crate::runtimes::PYTHON;
use crate::stats::Samples;

const SIZES_MIB: [usize; 4] = [1, 16, 64, 256];
const PHASES: [&str; 3] = ["fork", "restore", "handler"];
/// Name and init of each way to have `size` bytes.
const WAYS: [(&str, &str); 3] = [
    ("bytearray", "data = bytearray(b'\\1') * size"),
    ("small pages", "data = pages(mmap.MADV_NOHUGEPAGE)"),
    ("huge pages", "data = pages(mmap.MADV_HUGEPAGE)"),
];

/// Every way in every size.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let mut section = Section::begin("fork by heap: python3.11, filled in init");
    let platform = bench.platform("heap")?;
    let mut functions = Vec::new();
    for (way, init) in WAYS {
        for mib in SIZES_MIB {
            let name = format!("{}-{mib}", way.replace(' ', "-"));
            platform.deploy_cold(&PYTHON, &folder(bench, &name, init, mib)?, &name)?;
            functions.push((format!("{way}, {mib} MiB"), name));
        }
    }
    let mut taken: Vec<[Samples; PHASES.len() + 1]> = Vec::new();
    taken.resize_with(functions.len(), Default::default);
    let mut connection = platform.connect()?;
    for round in 0..=bench.samples {
        for ((_, name), samples) in functions.iter().zip(&mut taken) {
            platform.settle_forks(&PYTHON, name)?;
            let invoked = invoke(&mut connection, &invocation(name, Some("forked"), "{}"))?;
            ensure!(
                invoked.kind == "forked",
                "asked for forked, got {}",
                invoked.kind
            );
            if round > 0 {
                samples[0].push(invoked.first_byte);
                for (phase, samples) in PHASES.iter().zip(&mut samples[1..]) {
                    samples.push(invoked.phase(phase));
                }
            }
        }
    }
    for ((title, _), samples) in functions.iter().zip(&taken) {
        section.time(format!("{title} (client)"), &samples[0]);
        for (phase, samples) in PHASES.iter().zip(&samples[1..]) {
            section.time(format!("  {title}: {phase}"), samples);
        }
    }
    Ok(section.end())
}

fn folder(bench: &Bench, name: &str, init: &str, mib: usize) -> anyhow::Result<std::path::PathBuf> {
    let folder = bench.scratch("heap").join(name);
    std::fs::create_dir_all(&folder)?;
    std::fs::write(
        Path::new(&folder).join("lambda_function.py"),
        source(init, mib),
    )?;
    Ok(folder)
}

fn source(init: &str, mib: usize) -> String {
    format!(
        "import mmap\n\nsize = {mib} << 20\n\n\n\
         def pages(advice):\n    \
         mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)\n    \
         mapped.madvise(advice)\n    \
         for _ in range({mib}):\n        mapped.write(b'\\1' * (1 << 20))\n    \
         return mapped\n\n\n{init}\n\n\n\
         def lambda_handler(event, context):\n    return len(data)\n"
    )
}
