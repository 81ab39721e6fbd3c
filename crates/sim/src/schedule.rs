//! A trace as it is replayed on a live platform: which functions there are, and when which of them is called. The
//! simulator runs the very same requests, so that what it says of them can be compared with what a platform did.

use std::time::Duration;

use pilotlight_policy::{Bytes, VersionId};

use crate::draw::Draw;
use crate::engine::MINUTE;
use crate::engine::arrivals::spread;
use crate::engine::facts::Facts;
use crate::options::Options;
use crate::profile::{ClassName, Profile};
use crate::trace::{Counts, Function, Minutes, Request, Trace};

/// The least time that a handler runs, in milliseconds: a request's times are whole ones.
const LEAST_MS: u32 = 1;

/// What of a trace is replayed, and how fast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// How many times faster than in the trace requests come and handlers run.
    pub speed: u32,
    /// Minutes of the trace, from its beginning; all of them unless given.
    pub minutes: Option<u32>,
    /// Requests of one function in one minute of the trace; of more, so many are called, and the others are counted.
    pub most: u32,
}

/// Functions and requests.
#[derive(Debug, Clone)]
pub struct Schedule {
    /// The functions that are called, in the order of the trace.
    pub functions: Vec<Planned>,
    /// All of it as a trace: [`Trace::requests`] are what is called, in the time of the replay.
    pub trace: Trace,
    /// Requests of the trace that are not called.
    pub left_out: u64,
}

/// A function that is called.
#[derive(Debug, Clone, PartialEq)]
pub struct Planned {
    /// Its name in the trace.
    pub name: String,
    /// What it runs on.
    pub class: ClassName,
    /// What an instance takes.
    pub memory: Bytes,
    /// What its own initialisation takes, at any speed.
    pub user_init: Duration,
}

impl Schedule {
    /// Draws when which function is called; all draws hang on the options' seed. Functions are of one of `classes`:
    /// of the first, where the trace or the draw says another.
    pub fn new(
        trace: &Trace,
        profile: &Profile,
        options: &Options,
        plan: Plan,
        classes: &[ClassName],
    ) -> Self {
        let facts = Facts::new(trace, profile, options);
        let end = plan
            .minutes
            .map_or(trace.end, |minutes| trace.begin.saturating_add(minutes))
            .min(trace.end);
        let (mut arrivals, mut left_out) = (Vec::new(), 0);
        let first = u64::from(trace.begin) * MINUTE;
        if trace.requests.is_empty() {
            let mut minutes = Minutes::new(&trace.counts, trace.begin, end);
            let (draw, how) = (Draw::new(options.seed), options.arrivals);
            let mut cells = Vec::new();
            for minute in trace.begin..end {
                minutes.take(minute, &mut cells);
                for cell in &mut cells {
                    left_out += u64::from(cell.requests.saturating_sub(plan.most));
                    cell.requests = cell.requests.min(plan.most);
                    let durations = &facts.of(VersionId(cell.function)).durations;
                    let begin = u64::from(minute) * MINUTE;
                    spread(draw, how, durations, *cell, begin, &mut arrivals);
                }
            }
        }
        let drawn = arrivals.iter().map(|it| (it.at, it.version, it.runs));
        let own = trace.requests.iter().map(|it| {
            let [at, runs] = [it.at_ms, u64::from(it.took_ms)].map(|ms| ms * 1_000_000);
            (at, it.function, runs)
        });
        let in_time = |at: u64| at >= first && at < u64::from(end) * MINUTE;
        let requests: Vec<_> = drawn
            .chain(own)
            .filter(|(at, ..)| in_time(*at))
            .map(|(at, function, runs)| Request {
                at_ms: (at - first) / u64::from(plan.speed) / 1_000_000,
                function,
                took_ms: in_ms(runs / u64::from(plan.speed)).max(LEAST_MS),
                caller: None,
            })
            .collect();
        // With a minute for what is under way at the end.
        let length = (end - trace.begin).div_ceil(plan.speed) + 1;
        let trace = compressed(trace, &facts, requests, length, classes);
        let facts = Facts::new(&trace, profile, options);
        let functions = trace.functions.iter().zip(facts.all());
        let functions = functions.map(|(function, fact)| Planned {
            name: function.name.clone(),
            class: fact.class,
            memory: fact.memory,
            user_init: Duration::from_secs_f64(fact.user_init_ms / 1e3),
        });
        Self {
            functions: functions.collect(),
            trace,
            left_out,
        }
    }
}

/// The trace of the functions that have requests among those, of so many minutes.
fn compressed(
    from: &Trace,
    facts: &Facts,
    mut requests: Vec<Request>,
    minutes: u32,
    classes: &[ClassName],
) -> Trace {
    let mut number: Vec<Option<u32>> = vec![None; from.functions.len()];
    for request in &requests {
        number[request.function as usize] = Some(0);
    }
    let called = (0u32..).zip(number.iter_mut().filter(|it| it.is_some()));
    called.for_each(|(place, number)| *number = Some(place));
    for request in &mut requests {
        request.function = number[request.function as usize].unwrap_or_default();
    }
    let functions = from.functions.iter().zip(facts.all()).zip(&number);
    let functions: Vec<_> = functions
        .filter(|(_, number)| number.is_some())
        .map(|((function, fact), _)| Function {
            name: function.name.clone(),
            weight: 1.0,
            memory: Some(fact.memory),
            class: Some(fact.class)
                .filter(|class| classes.contains(class))
                .or(classes.first().copied()),
            ..Function::default()
        })
        .collect();
    let mut trace = Trace {
        counts: vec![Counts::default(); functions.len()],
        functions,
        requests,
        begin: 0,
        end: minutes,
        ..Trace::default()
    };
    trace.count_requests();
    trace
}

fn in_ms(nanoseconds: u64) -> u32 {
    u32::try_from(nanoseconds.div_ceil(1_000_000)).unwrap_or(u32::MAX)
}
