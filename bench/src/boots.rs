//! What there was before the fork engine: the booted cold start beside `runc run` and a bare process, with and
//! without pooled slots, the platform's own part of a warm call, and throughput beside nginx.

use std::path::Path;
use std::time::Duration;

use crate::http::request;
use crate::invoke::{invocation, invoke};
use crate::platform::Platform;
use crate::report::Section;
use crate::rivals::{RootFs, bare_python};
use crate::runtimes::PYTHON;
use crate::stats::Samples;
use crate::{Bench, load, nginx};

const COLD: &str = "booted cold start (client)";
const RUNC: &str = "runc run, same root and program, one answer";
const BARE_LEAN: &str = "bare python3 -S -s -P with the bootstrap's imports";
const BARE: &str = "bare python3 with the bootstrap's imports";
const UNPOOLED: &str = "booted cold start, no slots pooled";
const WARM: &str = "warm call (client)";
const OVERHEAD: &str = "warm call less handler";
/// Warm calls for each cold start.
const WARM_CALLS: usize = 10;
const CONNECTIONS: usize = 32;

/// All of it, for the Python hello.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Section> {
    let mut section = Section::begin("booted start, warm call and throughput: python3.11 hello");
    cold_starts(bench, &mut section)?;
    unpooled_starts(bench, &mut section)?;
    let platform = bench.platform("boots")?;
    platform.deploy(&PYTHON, Path::new(PYTHON.hello), "hello")?;
    warm_calls(&platform, bench.samples * WARM_CALLS, &mut section)?;
    throughput(bench, &platform, &mut section)?;
    goals(&mut section)?;
    Ok(section.end())
}

/// Ours, runc's and the bare process's, in turn.
fn cold_starts(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let runtime = &PYTHON;
    let platform = bench.platform("boots")?;
    platform.deploy(&PYTHON, Path::new(PYTHON.hello), "hello")?;
    let code = std::path::absolute(runtime.hello)?;
    let rootfs = RootFs::mount(runtime, platform.data_dir(), &code, &bench.scratch("boots"))?;
    let mut connection = platform.connect()?;
    let cold = invocation("hello", Some("booted"), "{}");
    let (mut ours, mut runc, mut lean, mut bare) =
        <(Samples, Samples, Samples, Samples)>::default();
    for round in 0..=bench.samples {
        platform.settle()?;
        let answer = invoke(&mut connection, &cold)?;
        platform.settle()?;
        let runc_time = rootfs.runc(&format!("pilotlight-bench-{}-{round}", std::process::id()))?;
        let lean_time = bare_python(&["-S", "-s", "-P"], &bench.imports)?;
        let bare_time = bare_python(&[], &bench.imports)?;
        // The first round fills caches for all of them.
        if round > 0 {
            ours.push(answer.first_byte);
            runc.push(runc_time);
            lean.push(lean_time);
            bare.push(bare_time);
        }
    }
    for (name, samples) in [(COLD, ours), (RUNC, runc), (BARE_LEAN, lean), (BARE, bare)] {
        section.time(name, &samples);
    }
    Ok(())
}

/// The same start when every slot has to be built on the way.
fn unpooled_starts(bench: &Bench, section: &mut Section) -> anyhow::Result<()> {
    let platform = Platform::start(&bench.pilot, &bench.data_dir_of("boots")?, 0)?;
    platform.deploy(&PYTHON, Path::new(PYTHON.hello), "hello")?;
    let mut connection = platform.connect()?;
    let cold = invocation("hello", Some("booted"), "{}");
    let mut samples = Samples::default();
    for _ in 0..bench.samples {
        samples.push(invoke(&mut connection, &cold)?.first_byte);
    }
    section.time(UNPOOLED, &samples);
    Ok(())
}

/// Calls of a warm instance, one at a time on one connection; the platform's own part is what the
/// client saw less what the handler ran, as Server-Timing tells it.
fn warm_calls(platform: &Platform, calls: usize, section: &mut Section) -> anyhow::Result<()> {
    let mut connection = platform.connect()?;
    let call = invocation("hello", None, "{}");
    let (mut total, mut overhead) = <(Samples, Samples)>::default();
    for round in 0..calls + calls / 10 {
        let answer = invoke(&mut connection, &call)?;
        if round >= calls / 10 {
            total.push(answer.first_byte);
            overhead.push(answer.first_byte.saturating_sub(answer.phase("handler")));
        }
    }
    section.time(WARM, &total);
    section.time(OVERHEAD, &overhead);
    Ok(())
}

fn throughput(bench: &Bench, platform: &Platform, section: &mut Section) -> anyhow::Result<()> {
    let nginx = nginx::Nginx::start(&bench.scratch("nginx"), "{\"message\": \"hello\"}")?;
    let call = invocation("hello", None, "{}");
    let page = request("GET", "/", &[], b"");
    let run =
        |name, address, request, length| load::run(name, address, request, CONNECTIONS, length);
    // Grows the instances before counting.
    run("warm-up", platform.address(), &call, Duration::from_secs(1))?;
    let ours = run("pilotlight", platform.address(), &call, bench.load)?;
    let theirs = run("nginx", nginx.address(), &page, bench.load)?;
    section.figure("warm hello, 32 connections", ours, "per second");
    section.figure("nginx, static answer, 32 connections", theirs, "per second");
    Ok(())
}

fn goals(section: &mut Section) -> anyhow::Result<()> {
    let to_bare = section.ratio(COLD, BARE)?;
    let to_lean = section.ratio(COLD, BARE_LEAN)?;
    let to_runc = section.ratio(RUNC, COLD)?;
    let unpooled = section.ratio(UNPOOLED, COLD)?;
    let overhead = section.row(OVERHEAD)?.p50_ms;
    section.at_most("booted / bare python3", to_bare, 1.5);
    section.at_most("booted / bare python3 -S -s -P", to_lean, 1.5);
    section.at_least("runc run / booted", to_runc, 1.0);
    section.at_least("unpooled / pooled", unpooled, 1.0);
    section.at_most("warm overhead p50 (ms)", overhead, 0.5);
    Ok(())
}
