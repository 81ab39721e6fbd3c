//! A node that is short of memory: many functions that have room for a few at a time, called at random, under one
//! policy after the other and again. What a client notices is how many of its requests pay user init.

use std::fmt::Write as _;
use std::process::{Command, Stdio};

use anyhow::ensure;

use crate::Bench;
use crate::invoke::{invocation, invoke};
use crate::platform::Platform;
use crate::report::Section;
use crate::runtimes::PYTHON;
use crate::stats::Samples;

/// Policies unless others are asked for, in the order in which they have their turn.
const POLICIES: [&str; 4] = ["fixed:10m", "pilot:node", "lru", "cidre"];
const FUNCTIONS: usize = 30;
const CLIENTS: usize = 6;
/// What a function may use, in MiB, and how many functions have room for it at a time.
const MEMORY_MB: u64 = 256;
const ROOM_FOR: u64 = 10;
/// What an init leaves in memory, in MiB, and how long it and a request take, in seconds.
const SIZES: [(u64, f64, f64); 2] = [(1, 0.1, 0.05), (40, 0.3, 0.05)];

/// What one policy came to.
#[derive(Default)]
struct Came {
    answers: Samples,
    kinds: Vec<String>,
}

/// A section for each size of init.
pub(crate) fn measure(bench: &Bench) -> anyhow::Result<Vec<Section>> {
    SIZES.iter().map(|size| with_size(bench, *size)).collect()
}

fn with_size(bench: &Bench, (heap_mb, init_s, runs_s): (u64, f64, f64)) -> anyhow::Result<Section> {
    let requests = bench.short_requests;
    let mut section = Section::begin(format!(
        "a node short of memory: {FUNCTIONS} functions of {MEMORY_MB} MB, {ROOM_FOR} at a time, init of {init_s} s \
         that leaves {heap_mb} MB, {requests} requests from {CLIENTS} clients"
    ));
    let folder = bench.scratch("shortage-code");
    std::fs::create_dir_all(&folder)?;
    let code = format!(
        "import time\nheap = bytearray({heap_mb} << 20)\nheap[::4096] = b'x' * len(heap[::4096])\ntime.sleep({init_s})\n\
         def lambda_handler(event, context):\n    time.sleep({runs_s})\n    return 0\n"
    );
    std::fs::write(folder.join("lambda_function.py"), code)?;
    let asked = bench.policies.iter().map(String::as_str);
    let policies: Vec<&str> = if bench.policies.is_empty() {
        POLICIES.to_vec()
    } else {
        asked.collect()
    };
    let came = |policy| (policy, Came::default());
    let mut all: Vec<(&str, Came)> = policies.into_iter().map(came).collect();
    for round in 0..bench.rounds {
        for (policy, all) in &mut all {
            let data_dir = bench.data_dir_of(&format!("shortage-{heap_mb}-{round}-{policy}"))?;
            let came = one(bench, &data_dir, policy, &folder, round as u64)?;
            let paid = came.paid();
            section.figure(
                format!("{policy}, round {}", round + 1),
                paid as f64,
                "user inits",
            );
            all.answers.append(came.answers);
            all.kinds.extend(came.kinds);
        }
    }
    for (policy, all) in &all {
        section.time(format!("answer: {policy}"), &all.answers);
        let mut kinds = String::new();
        for kind in ["warm", "spare", "forked", "zygote", "booted"] {
            let count = all.kinds.iter().filter(|it| *it == kind).count();
            write!(kinds, "{kind} {count}, ")?;
        }
        section.figure(
            format!(
                "{policy}, of {} ({})",
                all.kinds.len(),
                kinds.trim_end_matches(", ")
            ),
            all.paid() as f64,
            "user inits",
        );
    }
    let paid = |policy: &str| {
        let found = all.iter().find(|(it, _)| *it == policy);
        found.map(|(_, all)| all.paid() as f64)
    };
    if let (Some(ours), Some(fixed)) = (paid("pilot:node"), paid("fixed:10m")) {
        section.at_most(
            "user inits, pilot:node / fixed:10m",
            ours / fixed.max(1.0),
            1.0,
        );
    }
    Ok(section.end())
}

impl Came {
    /// Requests that paid user init.
    fn paid(&self) -> usize {
        let paid = |kind: &&String| matches!(kind.as_str(), "zygote" | "booted");
        self.kinds.iter().filter(paid).count()
    }
}

/// Deploys the functions and calls them.
fn one(
    bench: &Bench,
    data_dir: &std::path::Path,
    policy: &str,
    folder: &std::path::Path,
    seed: u64,
) -> anyhow::Result<Came> {
    let platform = Platform::start_short(&bench.pilot, data_dir, policy, MEMORY_MB * ROOM_FOR)?;
    let endpoint = format!("http://{}", platform.address());
    for number in 0..FUNCTIONS {
        let status = Command::new(&bench.pilot)
            .args(["deploy", "--endpoint", &endpoint, "--name", &name(number)])
            .args(["--memory", &MEMORY_MB.to_string()])
            .args(["--runtime", PYTHON.name, "--handler", PYTHON.handler])
            .arg(folder)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        ensure!(status.success(), "pilot deploy ended with {status}");
    }
    let client = |client: u64| -> anyhow::Result<Came> {
        let mut connection = platform.connect()?;
        let (mut came, mut random) = (Came::default(), Random(seed * CLIENTS as u64 + client + 1));
        for _ in 0..bench.short_requests / CLIENTS {
            let call = invocation(&name(random.below(FUNCTIONS)), None, "{}");
            let invoked = invoke(&mut connection, &call)?;
            came.answers.push(invoked.first_byte);
            came.kinds.push(invoked.kind);
        }
        Ok(came)
    };
    let mut all = Came::default();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS as u64)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        for client in clients {
            let came = client
                .join()
                .map_err(|_| anyhow::anyhow!("a client panicked"))??;
            all.answers.append(came.answers);
            all.kinds.extend(came.kinds);
        }
        anyhow::Ok(())
    })?;
    Ok(all)
}

fn name(number: usize) -> String {
    format!("short-{number}")
}

/// The same requests for every policy.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        // Multiplier and increment of Knuth's MMIX; the low bits are the poorer ones.
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % bound
    }
}
