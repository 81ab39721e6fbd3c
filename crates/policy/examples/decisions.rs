//! What policies take for their decisions with many versions: `cargo run --release -p pilotlight-policy --example
//! decisions -- [VERSIONS] [POLICY]`. Prints for each policy, or that one, how long single events took by kind, up to the
//! slowest, and the memory that it has grown to for each version. Each runs in a process of its own, so that one does not
//! use what another has left.

use std::time::{Duration, Instant as Clock};

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::{Instant, StartKind};
use pilotlight_policy::event::{Arrived, Deployed, Idle, Room, Runtime, Started, Starting};
use pilotlight_policy::policies::{POLICIES, by_name};
use pilotlight_policy::{Action, Bytes, Event, NodeId, Policy, VersionId};

const MINUTE: u64 = 60_000_000_000;
/// Simulated time.
const MINUTES: u64 = 240;

/// Times of one kind of event.
#[derive(Default)]
struct Times(Vec<u32>);

impl Times {
    fn print(mut self, name: &str) {
        self.0.sort_unstable();
        let Some(last) = self.0.len().checked_sub(1) else {
            return;
        };
        let sum: u64 = self.0.iter().map(|it| u64::from(*it)).sum();
        let at = |share: f64| f64::from(self.0[(share * last as f64) as usize]) / 1e3;
        println!(
            "{name:9} {:9} events  mean {:6.2} us  p50 {:6.2}  p99 {:6.2}  p99.9 {:7.2}  slowest {:8.0}",
            last + 1,
            sum as f64 / (last + 1) as f64 / 1e3,
            at(0.5),
            at(0.99),
            at(0.999),
            at(1.0),
        );
    }
}

fn main() {
    let versions = std::env::args().nth(1);
    let versions = versions.and_then(|it| it.parse().ok()).unwrap_or(100_000);
    if let Some(policy) = std::env::args().nth(2) {
        return play(versions, &policy);
    }
    let this = std::env::current_exe().expect("it runs");
    for entry in POLICIES {
        let arguments = [versions.to_string(), entry.name.to_owned()];
        let run = std::process::Command::new(&this).args(arguments).status();
        assert!(run.is_ok_and(|status| status.success()), "{}", entry.name);
    }
}

/// Memory of this process, in bytes.
fn resident() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = statm
        .split(' ')
        .nth(1)
        .and_then(|it| it.parse::<u64>().ok());
    pages.unwrap_or(0) * 4_096
}

fn play(versions: u32, policy: &str) {
    let mut pilot = by_name(policy).expect("a policy of that name");
    let before = resident();
    // The times that are noted take memory of their own.
    let noted = |times: &[&Times]| {
        times
            .iter()
            .map(|it| it.0.capacity() as u64 * 4)
            .sum::<u64>()
    };
    let mut actions: Vec<Action> = Vec::new();
    let (mut arrivals, mut others, mut ticks) =
        (Times::default(), Times::default(), Times::default());
    let mut tell = |pilot: &mut Box<dyn Policy>, now: u64, event: Event, times: &mut Times| {
        let begin = Clock::now();
        pilot.observe(Instant(now), event, &mut actions);
        times
            .0
            .push(begin.elapsed().as_nanos().min(u128::from(u32::MAX)) as u32);
        actions.clear();
    };
    let room = Room {
        node: NodeId(0),
        memory: Bytes(1 << 50),
        instances: u32::MAX,
    };
    tell(&mut pilot, 0, Event::Node(room), &mut others);
    let runtime = Runtime::Python;
    for version in (0..versions).map(VersionId) {
        let deployed = Deployed {
            version,
            runtime,
            memory: Bytes::mib(100),
            keep_alive: None,
            after: None,
            weight: 1.0,
        };
        tell(&mut pilot, 0, Event::Deployed(deployed), &mut others);
    }
    // Each version every 1 to 200 minutes, a third of them irregularly.
    let mut state = 1u64;
    let mut draw = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state >> 33
    };
    let mut instance = 0;
    for minute in 1..MINUTES {
        for version in 0..versions {
            let every = 1 + u64::from(version) % 200;
            let due = if version % 3 == 0 {
                draw() % every == 0
            } else {
                (minute + u64::from(version)) % every == 0
            };
            if !due {
                continue;
            }
            let now = minute * MINUTE + u64::from(version) * (MINUTE / u64::from(versions));
            while let Some(at) = pilot.wake_at().filter(|at| at.0 < now) {
                tell(
                    &mut pilot,
                    at.0.max(minute * MINUTE),
                    Event::Tick,
                    &mut ticks,
                );
            }
            let version = VersionId(version);
            tell(
                &mut pilot,
                now,
                Event::Arrived(Arrived {
                    version,
                    requests: 1,
                    cause: None,
                }),
                &mut arrivals,
            );
            instance += 1;
            let id = InstanceId(instance);
            let node = NodeId(0);
            tell(
                &mut pilot,
                now,
                Event::Starting(Starting {
                    instance: id,
                    version,
                    node,
                    ticket: None,
                }),
                &mut others,
            );
            let took = Duration::from_millis(100);
            tell(
                &mut pilot,
                now,
                Event::Started(Started {
                    instance: id,
                    kind: StartKind::Zygote,
                    took,
                }),
                &mut others,
            );
            tell(&mut pilot, now, Event::Busy(id), &mut others);
            tell(
                &mut pilot,
                now,
                Event::Idle(Idle {
                    instance: id,
                    memory: Bytes::mib(100),
                }),
                &mut others,
            );
            tell(&mut pilot, now, Event::Gone(id), &mut others);
        }
    }
    let grown = resident().saturating_sub(before + noted(&[&arrivals, &others, &ticks]));
    println!(
        "{policy}: {} bytes a version",
        grown / u64::from(versions.max(1))
    );
    arrivals.print("arrivals");
    others.print("others");
    ticks.print("ticks");
}
