//! Azure Functions 2019 (Shahrad et al., "Serverless in the Wild", USENIX ATC 2020), as published, and the
//! samples of it that have fewer minutes as columns and memory by function.
//!
//! - `invocations_per_function_md.anon.dNN.csv`: `HashOwner,HashApp,HashFunction,Trigger,1,…,1440`, one row
//!   for each function, one file for each day. Columns from `a` to `b` mean that the trace covers these
//!   minutes alone.
//! - `function_durations_percentiles.anon.dNN.csv`: percentiles of averages over 30 seconds, in milliseconds.
//! - `app_memory_percentiles.anon.dNN.csv`: megabytes of an application. Functions of an application share
//!   them in equal parts; where the file has `HashFunction`, they are that function's.
//!
//! Of durations and memory the first day's row counts. A function with a second row of the same day, for another
//! trigger, is another function: the trigger is in its name.

use std::collections::{HashMap, HashSet};

use pilotlight_policy::Bytes;

use super::fields::{Columns, count, decimal, shortened};
use super::input::Lines;
use super::{Builder, ReadError};
use crate::trace::{Durations, MINUTES_PER_DAY};

/// Columns before the minutes.
const BEFORE: usize = 4;
const PERCENTILES: [&str; 7] = ["0", "1", "25", "50", "75", "99", "100"];

pub(super) fn invocations(
    lines: &mut Lines,
    header: &str,
    day: Option<u32>,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let (begin, end) = window(header).map_err(|what| lines.wrong(what))?;
    let day = builder.day(day);
    builder.cover(day + begin, day + end);
    let columns = (end - begin) as usize;
    let mut cells = Vec::with_capacity(columns);
    let mut seen = HashSet::new();
    lines.each(|line| {
        let mut fields = line.split(',');
        let mut next = || fields.next().ok_or("fewer than 4 fields");
        let [owner, app, name, trigger] = [next()?, next()?, next()?, next()?];
        cells.clear();
        for (minute, field) in (begin..).zip(fields) {
            if cells.len() == columns {
                return Err(format!("more than {columns} minutes"));
            }
            cells.push((day + minute, count(field)?));
        }
        if cells.len() != columns {
            return Err(format!(
                "{} minutes where the head has {columns}",
                cells.len()
            ));
        }
        let app = app_name(owner, app);
        let name = function_name(&app, name);
        let mut function = builder.function(&name, Some(&app))?;
        // A function that has a row for each of its triggers counts as several.
        if !seen.insert(function) {
            let trigger: String = trigger.trim().chars().take(16).collect();
            function = builder.function(&format!("{name}#{trigger}"), Some(&app))?;
            if !seen.insert(function) {
                return Err(format!("{name} with the trigger {trigger:?} a second time"));
            }
        }
        builder.minutes(function, cells.iter().copied())
    })
}

/// First minute of the day that the head names, and the first after the last.
fn window(header: &str) -> Result<(u32, u32), String> {
    let mut window: Option<(u32, u32)> = None;
    for field in header.split(',').skip(BEFORE) {
        let number: Option<u32> = field.trim().parse().ok();
        let minute = number
            .filter(|number| (1..=MINUTES_PER_DAY).contains(number))
            .ok_or_else(|| format!("{:?} is not a minute of 1 to 1440", shortened(field)))?;
        match &mut window {
            None => window = Some((minute - 1, minute)),
            Some((_, end)) if minute == *end + 1 => *end = minute,
            Some((_, end)) => return Err(format!("minute {minute} follows {end}")),
        }
    }
    window.ok_or_else(|| "no minutes in the head".to_owned())
}

pub(super) fn durations(
    lines: &mut Lines,
    header: &str,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let names: Vec<String> = PERCENTILES
        .iter()
        .map(|it| format!("percentile_Average_{it}"))
        .collect();
    let mut all = vec!["HashOwner", "HashApp", "HashFunction"];
    all.extend(names.iter().map(String::as_str));
    let columns = Columns::of(header, &all).map_err(|what| lines.wrong(what))?;
    lines.each(|line| {
        let [owner, app, name, percentiles @ ..] = columns.take::<10>(line)?;
        let mut at = [0.0; 7];
        for (value, field) in at.iter_mut().zip(percentiles) {
            *value = decimal(field)? as f32;
        }
        builder.set_durations(
            &function_name(&app_name(owner, app), name),
            Durations::new(at),
        );
        Ok(())
    })
}

pub(super) fn memory(
    lines: &mut Lines,
    header: &str,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let by_function = header.split(',').any(|name| name == "HashFunction");
    let mut names = vec!["HashOwner", "HashApp", "AverageAllocatedMb"];
    // Without it, the application's name stands in its place and is not looked at.
    names.push(if by_function {
        "HashFunction"
    } else {
        "HashApp"
    });
    let columns = Columns::of(header, &names).map_err(|what| lines.wrong(what))?;
    let mut by_app = HashMap::new();
    lines.each(|line| {
        let [owner, app, average, name] = columns.take::<4>(line)?;
        let megabytes = decimal(average)?;
        if !(0.0..=1e7).contains(&megabytes) {
            return Err(format!("{average} MB of memory"));
        }
        let app = app_name(owner, app);
        if by_function {
            builder.set_memory(&function_name(&app, name), bytes(megabytes));
        } else if builder.per_app.contains_key(&*app) {
            by_app.entry(app).or_insert(megabytes);
        }
        Ok(())
    })?;
    if !by_function {
        share(builder, &by_app);
    }
    Ok(())
}

/// An application's memory, in equal parts for its functions.
fn share(builder: &mut Builder, by_app: &HashMap<String, f64>) {
    for function in &mut builder.trace.functions {
        let app = function.name.rsplit_once('/').map_or("", |(app, _)| app);
        if let (Some(megabytes), Some(parts)) = (by_app.get(app), builder.per_app.get(app)) {
            let part = bytes(megabytes / f64::from((*parts).max(1)));
            function.memory.get_or_insert(part);
        }
    }
}

/// An application's name is unique within its owner's.
fn app_name(owner: &str, app: &str) -> String {
    // 64 hexadecimal digits each: sixteen tell a million apart.
    let short = |hash: &str| hash.trim().chars().take(16).collect::<String>();
    format!("{}/{}", short(owner), short(app))
}

fn function_name(app: &str, name: &str) -> String {
    let short: String = name.trim().chars().take(16).collect();
    format!("{app}/{short}")
}

fn bytes(megabytes: f64) -> Bytes {
    Bytes((megabytes * f64::from(1 << 20)) as u64)
}
