//! Every start kind of a runtime's hello beside `runc run` of the same image, in turn. Before each call the
//! platform is at rest, with a spare and a berth ready, as it is for a start out of the blue.

use anyhow::ensure;

use crate::Bench;
use crate::invoke::{Invoked, invocation, invoke};
use crate::platform::{Platform, version};
use crate::report::Section;
use crate::rivals::RootFs;
use crate::runtimes::Runtime;
use crate::stats::Samples;

const KINDS: [&str; 5] = ["warm", "spare", "forked", "zygote", "booted"];
/// Warm calls without a pause: the processors have not slept, and all that is called is in their caches.
const TIGHT: &str = "warm, one call after the other";
const RUNC: &str = "runc run, same root and program, one answer";
/// The start whose phases are shown, in their order.
const WATERFALL: &str = "forked";
const PHASES: [&str; 8] = [
    "gateway", "queue", "place", "slot", "fork", "restore", "handler", "respond",
];
/// Longest 99th percentile of `forked`, in milliseconds, on a quiet machine.
const FORKED_P99_MS: f64 = 20.0;

/// What the section of a runtime is called.
pub(crate) fn title(runtime: &str) -> String {
    format!("start kinds: {runtime} hello")
}

/// What was taken for one runtime.
#[derive(Default)]
struct Taken {
    kinds: [Samples; KINDS.len()],
    phases: [Samples; PHASES.len()],
    tight: Samples,
    runc: Samples,
}

/// All kinds of one runtime.
pub(crate) fn measure(bench: &Bench, runtime: &Runtime) -> anyhow::Result<Section> {
    let mut section = Section::begin(title(runtime.name));
    let platform = bench.platform(runtime.name)?;
    let taken = take(bench, &platform, runtime)?;
    for (kind, samples) in KINDS.iter().zip(&taken.kinds) {
        section.time(kind, samples);
    }
    section.time(TIGHT, &taken.tight);
    section.time(RUNC, &taken.runc);
    for (phase, samples) in PHASES.iter().zip(&taken.phases) {
        section.time(format!("  {WATERFALL}: {phase}"), samples);
    }
    weights(&platform, runtime, &mut section)?;
    let spare = section.ratio("spare", "warm")?;
    let runc = section.ratio(RUNC, "forked")?;
    let tight = section.ratio("spare", TIGHT)?;
    section.figure(format!("spare / {TIGHT}"), tight, "");
    let forked = section.row("forked")?.clone();
    section.at_most("spare / warm", spare, 2.0);
    section.at_least("runc run / forked", runc, runtime.runc_to_forked);
    section.at_most("forked p50 (ms)", forked.p50_ms, runtime.forked_ms);
    section.at_most("forked p99 (ms)", forked.p99_ms, FORKED_P99_MS);
    Ok(section.end())
}

/// What of the ladder the hello has when it is at rest.
fn weights(platform: &Platform, runtime: &Runtime, section: &mut Section) -> anyhow::Result<()> {
    let node = platform.node()?;
    let zygotes = node["zygotes"].as_array().into_iter().flatten();
    let mut of_runtime = zygotes.filter(|it| it["runtime"] == runtime.name);
    let hello = version(&node, &runtime.function("cold"));
    for (name, bytes) in [
        ("zygote", of_runtime.next().map(|it| &it["bytes"])),
        ("template", Some(&hello["template_bytes"])),
        ("spare", Some(&hello["spare_bytes"])),
    ] {
        if let Some(bytes) = bytes.and_then(serde_json::Value::as_u64) {
            section.figure(name, bytes as f64 / 1e6, "MB");
        }
    }
    Ok(())
}

fn take(bench: &Bench, platform: &Platform, runtime: &Runtime) -> anyhow::Result<Taken> {
    let folder = bench.scratch(runtime.name);
    let code = runtime.code(&folder)?;
    let rootfs = RootFs::mount(runtime, platform.data_dir(), &code, &folder)?;
    // Two functions of the same code: idle instances of the one are kept, so that a warm call finds one that
    // has served before; those of the other go at once.
    let [warm, cold] = ["warm", "cold"].map(|purpose| runtime.function(purpose));
    platform.deploy(runtime, &code, &warm)?;
    platform.deploy_cold(runtime, &code, &cold)?;
    let mut connection = platform.connect()?;
    let mut taken = Taken::default();
    for round in 0..=bench.samples {
        for (index, kind) in KINDS.iter().enumerate() {
            let call = match *kind {
                "warm" => invocation(&warm, None, "{}"),
                kind => invocation(&cold, Some(kind), "{}"),
            };
            platform.settle_forks(runtime, &cold)?;
            let invoked = invoke(&mut connection, &call)?;
            // The first round fills caches for all of them, and makes the instance that is warm.
            if round > 0 {
                ensure!(
                    invoked.kind == *kind,
                    "asked for {kind}, got {}",
                    invoked.kind
                );
                taken.keep(index, &invoked);
            }
        }
        platform.settle_forks(runtime, &cold)?;
        let id = format!("pilotlight-bench-{}-{round}", std::process::id());
        let runc = rootfs.runc(&id)?;
        if round > 0 {
            taken.runc.push(runc);
        }
    }
    platform.settle_forks(runtime, &cold)?;
    for _ in 0..bench.samples {
        let invoked = invoke(&mut connection, &invocation(&warm, None, "{}"))?;
        // One that comes before its instance is idle again may find the spare.
        if invoked.kind == "warm" {
            taken.tight.push(invoked.first_byte);
        }
    }
    Ok(taken)
}

impl Taken {
    fn keep(&mut self, kind: usize, invoked: &Invoked) {
        self.kinds[kind].push(invoked.first_byte);
        if invoked.kind == WATERFALL {
            for (phase, samples) in PHASES.iter().zip(&mut self.phases) {
                samples.push(invoked.phase(phase));
            }
        }
    }
}
