//! Makes a synthetic load, in the format of the Azure Functions 2021 trace: what a policy is up against where it is hard
//! to know what comes. What is measured on it is synthetic.
//!
//! `loads LOAD FUNCTIONS HOURS SEED > load.txt`; without arguments it prints the names of all loads.

use std::error::Error;
use std::io::{BufWriter, Write};

use pilotlight_sim::draw::{Draw, Stream, normal};

const MINUTE: f64 = 60.0;
const HOUR: f64 = 60.0 * MINUTE;
/// Requests of one function at most.
const MOST: usize = 100_000;

/// The times of one function's requests up to an end, in seconds.
type Times = fn(&mut Random, f64) -> Vec<f64>;

/// Their names, what makes the times of one function's requests, and what they are.
const LOADS: &[(&str, Times, &str)] = &[
    ("periodic", periodic, "every minute to six hours, exactly"),
    (
        "jitter",
        jitter,
        "the same, each a twentieth of the period early or late",
    ),
    (
        "skipping",
        skipping,
        "the same, exactly, and each tenth left out",
    ),
    ("crons", crons, "two schedules for each function"),
    (
        "herd",
        herd,
        "on the hour, all at the same moment, and by chance in between",
    ),
    (
        "poisson",
        poisson,
        "by chance, every minute to every six hours",
    ),
    (
        "heavy",
        heavy,
        "by chance, with gaps that have an infinite variance",
    ),
    (
        "on-off",
        on_off,
        "every ten seconds to five minutes for a while, then nothing for hours",
    ),
    ("bursts", bursts, "thirty in a second, at times by chance"),
    (
        "alternating",
        alternating,
        "a gap of minutes and one of hours in turn",
    ),
    (
        "change",
        change,
        "by one period, and from the middle on by another",
    ),
    (
        "beyond",
        beyond,
        "just when a keep-alive of ten minutes, an hour or four has ended",
    ),
];

/// Draws of one function.
struct Random {
    draw: Draw,
    function: u64,
    count: u64,
}

impl Random {
    fn unit(&mut self) -> f64 {
        self.count += 1;
        self.draw.unit(Stream::Generate, self.function, self.count)
    }

    /// Between both, any order of magnitude as likely.
    fn between(&mut self, least: f64, most: f64) -> f64 {
        least * (most / least).powf(self.unit())
    }

    fn exponential(&mut self, mean: f64) -> f64 {
        -mean * self.unit().ln()
    }

    fn period(&mut self) -> f64 {
        (self.between(MINUTE, 6.0 * HOUR) / MINUTE).round() * MINUTE
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let mut out = BufWriter::new(std::io::stdout().lock());
    let [name, functions, hours, seed] = args.as_slice() else {
        for (name, _, what) in LOADS {
            writeln!(out, "{name:12} {what}")?;
        }
        return Ok(out.flush()?);
    };
    let load = LOADS.iter().find(|(it, ..)| it == name);
    let (_, times, _) = load.ok_or("no such load; without arguments all are printed")?;
    let (functions, end): (u64, f64) = (functions.parse()?, hours.parse::<f64>()? * HOUR);
    let draw = Draw::new(seed.parse()?);
    let mut rows = Vec::new();
    for function in 0..functions {
        let mut random = Random {
            draw,
            function,
            count: 0,
        };
        let runs = random.between(0.01, 2.0);
        let within = times(&mut random, end);
        let within = within.into_iter().filter(|at| (0.0..end).contains(at));
        rows.extend(within.take(MOST).map(|at| (at + runs, function, runs)));
    }
    rows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    writeln!(out, "app,func,end_timestamp,duration")?;
    for (ends, function, runs) in rows.iter().filter(|(ends, ..)| *ends < end) {
        writeln!(out, "app,f{function:05},{ends:.3},{runs:.3}")?;
    }
    Ok(out.flush()?)
}

/// From a place within the first step on, one step after the other.
fn steps(random: &mut Random, end: f64, mut step: impl FnMut(&mut Random) -> f64) -> Vec<f64> {
    let mut at = step(random) * random.unit();
    let mut times = Vec::new();
    while at < end && times.len() < MOST {
        times.push(at);
        at += step(random).max(1e-3);
    }
    times
}

fn periodic(random: &mut Random, end: f64) -> Vec<f64> {
    let period = random.period();
    steps(random, end, |_| period)
}

fn jitter(random: &mut Random, end: f64) -> Vec<f64> {
    let period = random.period();
    let times = steps(random, end, |_| period);
    let early_or_late = |at| at + normal(random.unit()) * period / 20.0;
    times.into_iter().map(early_or_late).collect()
}

fn skipping(random: &mut Random, end: f64) -> Vec<f64> {
    let mut times = periodic(random, end);
    times.retain(|_| random.unit() > 0.1);
    times
}

fn crons(random: &mut Random, end: f64) -> Vec<f64> {
    let mut times = periodic(random, end);
    times.extend(periodic(random, end));
    times
}

fn herd(random: &mut Random, end: f64) -> Vec<f64> {
    let hours = (1..(end / HOUR).ceil() as u32).map(|hour| f64::from(hour) * HOUR);
    let mut times: Vec<f64> = hours.collect();
    let between = random.between(HOUR, 12.0 * HOUR);
    times.extend(steps(random, end, |random| random.exponential(between)));
    times
}

fn poisson(random: &mut Random, end: f64) -> Vec<f64> {
    let between = random.between(MINUTE, 6.0 * HOUR);
    steps(random, end, |random| random.exponential(between))
}

/// Pareto of index 1.2.
fn heavy(random: &mut Random, end: f64) -> Vec<f64> {
    let least = random.between(MINUTE / 4.0, HOUR);
    steps(random, end, |random| least * random.unit().powf(-1.0 / 1.2))
}

fn on_off(random: &mut Random, end: f64) -> Vec<f64> {
    let (on, off) = (
        random.between(5.0 * MINUTE, HOUR),
        random.between(HOUR, 6.0 * HOUR),
    );
    let between = random.between(10.0, 5.0 * MINUTE);
    let mut left = on;
    steps(random, end, |random| {
        let gap = random.exponential(between);
        left -= gap;
        if left > 0.0 {
            return gap;
        }
        left = random.exponential(on);
        gap + random.exponential(off)
    })
}

fn bursts(random: &mut Random, end: f64) -> Vec<f64> {
    let between = random.between(10.0 * MINUTE, 6.0 * HOUR);
    let begins = steps(random, end, |random| random.exponential(between));
    let thirty = |at: f64| (0..30).map(move |number| at + f64::from(number) / 30.0);
    begins.into_iter().flat_map(thirty).collect()
}

fn alternating(random: &mut Random, end: f64) -> Vec<f64> {
    let gaps = [
        random.between(MINUTE, 10.0 * MINUTE),
        random.between(HOUR, 6.0 * HOUR),
    ];
    let mut number = 0;
    steps(random, end, |_| {
        number += 1;
        gaps[number % 2]
    })
}

fn change(random: &mut Random, end: f64) -> Vec<f64> {
    let mut times = periodic(random, end / 2.0);
    let after = periodic(random, end / 2.0);
    times.extend(after.into_iter().map(|at| at + end / 2.0));
    times
}

fn beyond(random: &mut Random, end: f64) -> Vec<f64> {
    let windows = [10.0 * MINUTE, HOUR, 4.0 * HOUR];
    let window = windows[(random.unit() * 3.0) as usize];
    steps(random, end, |random| window + 1.0 + random.unit() * MINUTE)
}
