//! Makes an event log of executions of Step Functions definitions: which function calls which is real, when
//! executions begin and how long steps take is drawn. What is measured on it is synthetic.
//!
//! `workflows FOLDER HOURS SEED > log.jsonl`, with definitions in the Amazon States Language as JSON. Every
//! Task is a function. A machine is started by a Poisson process, every ten minutes to every four hours; a step
//! takes 20 ms to 2 s on average, and each time between half and twice of that; a Choice goes each way as
//! often; a Map has one to four items; a Wait is at most a minute.

use std::collections::BTreeMap;
use std::error::Error;
use std::io::{BufWriter, Write};
use std::time::Duration;

use pilotlight_model::ids::InstanceId;
use pilotlight_model::start::Instant;
use pilotlight_model::workflow::{Does, Machine};
use pilotlight_policy::event::{Arrived, Calls, Cause, Deployed, Idle, Runtime, Starting};
use pilotlight_policy::eventlog::{Header, Line};
use pilotlight_policy::{Bytes, Event, NodeId, VersionId};
use pilotlight_sim::draw::{Draw, Stream};
use serde_json::Value;

/// Steps of one execution at most: definitions may loop.
const MAX_STEPS: u32 = 200;
const SECOND: f64 = 1e9;
const MEMORY: Bytes = Bytes::mib(170);

/// A request that has been made.
#[derive(Clone, Copy)]
struct Request {
    at: u64,
    version: VersionId,
    runs: u64,
    cause: Option<Cause>,
}

/// The step before, by which the next is caused.
#[derive(Clone, Copy)]
struct Step {
    request: usize,
    at: u64,
}

struct Generator {
    draw: Draw,
    draws: u64,
    steps: u32,
    names: Vec<String>,
    by_name: BTreeMap<String, VersionId>,
    requests: Vec<Request>,
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [folder, hours, seed] = args.as_slice() else {
        return Err("usage: workflows FOLDER HOURS SEED".into());
    };
    let (hours, seed): (f64, u64) = (hours.parse()?, seed.parse()?);
    let mut generator = Generator {
        draw: Draw::new(seed),
        draws: 0,
        steps: 0,
        names: Vec::new(),
        by_name: BTreeMap::new(),
        requests: Vec::new(),
    };
    let mut files: Vec<_> = std::fs::read_dir(folder)?.collect::<Result<_, _>>()?;
    files.sort_by_key(std::fs::DirEntry::path);
    for file in files.iter().map(std::fs::DirEntry::path) {
        let is_json = file.extension().is_some_and(|it| it == "json");
        let text = std::fs::read_to_string(&file)?;
        let mut definition = serde_json::from_str::<Value>(&text).unwrap_or_default();
        // One of the samples has something among its states that is none.
        if let Some(states) = definition["States"].as_object_mut() {
            states.retain(|_, state| state.is_object());
        }
        let machine = Machine::read(&definition, &BTreeMap::new());
        if let (true, Ok(machine)) = (is_json, machine) {
            let name = file
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned();
            generator.machine(&name, &machine, hours);
        }
    }
    let mut out = BufWriter::new(std::io::stdout().lock());
    generator.write(&mut out)?;
    out.flush()?;
    Ok(())
}

/// What ends last.
fn last_of(ends: Vec<(u64, Option<Step>)>) -> Option<(u64, Option<Step>)> {
    ends.into_iter().max_by_key(|(end, _)| *end)
}

impl Generator {
    fn unit(&mut self) -> f64 {
        self.draws += 1;
        self.draw.unit(Stream::Generate, self.draws, 1)
    }

    /// All executions of one machine.
    fn machine(&mut self, name: &str, machine: &Machine, hours: f64) {
        let every = 600.0 * 24f64.powf(self.unit());
        let mut at = 0.0;
        loop {
            at -= every * self.unit().ln();
            if at >= hours * 3_600.0 {
                return;
            }
            self.steps = 0;
            self.execute(name, machine, (at * SECOND) as u64, None);
        }
    }

    /// Runs states one after the other; gives back when they ended, and the last step.
    fn execute(
        &mut self,
        machine: &str,
        states: &Machine,
        mut at: u64,
        mut last: Option<Step>,
    ) -> (u64, Option<Step>) {
        let mut next = Some(states.start.as_str());
        while let Some(name) = next.take() {
            self.steps += 1;
            if self.steps > MAX_STEPS {
                break;
            }
            let Some(state) = states.states.get(name) else {
                break;
            };
            match &state.does {
                Does::Task(_) => (at, last) = self.task(&format!("{machine}/{name}"), at, last),
                Does::Wait(waits) => {
                    let seconds = waits.map_or(1.0, |it| it.as_secs_f64().min(60.0));
                    at += (seconds * SECOND) as u64;
                }
                Does::Parallel(branches) => {
                    let ends = branches.iter();
                    let ends: Vec<_> = ends
                        .map(|branch| self.execute(machine, branch, at, last))
                        .collect();
                    (at, last) = last_of(ends).unwrap_or((at, last));
                }
                Does::Map(each) => {
                    let items = 1 + (self.unit() * 4.0) as u32;
                    let ends: Vec<_> = (0..items)
                        .map(|_| self.execute(machine, each, at, last))
                        .collect();
                    (at, last) = last_of(ends).unwrap_or((at, last));
                }
                Does::Nothing => {}
            }
            let chosen = (self.unit() * state.ways.len() as f64) as usize;
            next = state.ways.get(chosen).map(String::as_str);
        }
        (at, last)
    }

    fn task(&mut self, name: &str, at: u64, last: Option<Step>) -> (u64, Option<Step>) {
        let name: String = name.chars().take(200).collect();
        let version = *self.by_name.entry(name.clone()).or_insert_with(|| {
            self.names.push(name);
            VersionId(self.names.len() as u32 - 1)
        });
        // The same for all executions of this step.
        let mean = 0.02 * 100f64.powf(self.draw.unit(Stream::Duration, u64::from(version.0), 0));
        let runs = (mean * 4f64.powf(self.unit() - 0.5) * SECOND) as u64;
        let cause = last.map(|step| Cause {
            version: self.requests[step.request].version,
            request: step.request as u64,
            after: Duration::from_nanos(at - step.at),
        });
        self.requests.push(Request {
            at,
            version,
            runs,
            cause,
        });
        let request = self.requests.len() - 1;
        (at + runs, Some(Step { request, at }))
    }

    /// The calls of the definitions, as they were made.
    fn calls(&self) -> Vec<Calls> {
        let mut callers = BTreeMap::new();
        let mut edges = BTreeMap::new();
        for request in &self.requests {
            *callers.entry(request.version).or_insert(0u32) += 1;
            if let Some(cause) = request.cause {
                let edge = edges
                    .entry((cause.version, request.version))
                    .or_insert((0u32, Duration::ZERO));
                *edge = (edge.0 + 1, edge.1 + cause.after);
            }
        }
        let call =
            |((caller, callee), (count, after)): (&(VersionId, VersionId), &(u32, Duration))| {
                Calls {
                    caller: *caller,
                    callee: *callee,
                    part: (*count as f32 / callers[caller] as f32).min(1.0),
                    after: Some(*after / *count),
                }
            };
        edges.iter().map(call).collect()
    }

    fn write(&self, out: &mut dyn Write) -> std::io::Result<()> {
        let header = Header::new("fixed:10m", 0, Instant(0));
        writeln!(out, "{}", header.line())?;
        let mut lines = Vec::new();
        for (version, name) in (0..).map(VersionId).zip(&self.names) {
            writeln!(out, "{}", Line::Name(version, name.clone()).line())?;
            lines.push((
                0,
                Event::Deployed(Deployed {
                    version,
                    runtime: Runtime::Python,
                    memory: MEMORY,
                    keep_alive: None,
                    after: None,
                    weight: 1.0,
                }),
            ));
        }
        lines.extend(
            self.calls()
                .into_iter()
                .map(|calls| (0, Event::Calls(calls))),
        );
        for (number, request) in (1..).zip(&self.requests) {
            let (instance, version) = (InstanceId(number), request.version);
            let starting = Starting {
                instance,
                version,
                node: NodeId(0),
                ticket: None,
            };
            lines.push((
                request.at,
                Event::Arrived(Arrived {
                    version,
                    requests: 1,
                    cause: request.cause,
                }),
            ));
            lines.push((request.at, Event::Starting(starting)));
            lines.push((request.at, Event::Busy(instance)));
            lines.push((
                request.at + request.runs,
                Event::Idle(Idle {
                    instance,
                    memory: MEMORY,
                }),
            ));
            lines.push((request.at + request.runs, Event::Gone(instance)));
        }
        // Stable: what happens at the same moment stays in its order.
        lines.sort_by_key(|(at, _)| *at);
        for (at, event) in lines {
            writeln!(out, "{}", Line::Event(Instant(at), event).line())?;
        }
        Ok(())
    }
}
