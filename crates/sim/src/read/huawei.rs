//! Huawei 2023, private and public (Joosen et al., "How Does It Function? Characterizing Long-term Trends in
//! Production Serverless Workloads", SoCC 2023): `requests_minute/day_NNN.csv` and the like, `day,time,0,1,…`,
//! one row for each minute (or second), one column for each function; the time is in seconds since the first
//! day of the data set, and a function that does not exist has an empty field.
//!
//! Of the other matrices, `function_delay_minute` gives run times: the mean over all rows, as one value for a
//! function, for the data set has no distribution. Its description names no unit; milliseconds are assumed.
//! What a matrix holds shows in the name of its folder (or file) alone.

use super::fields::{count, decimal, shortened};
use super::input::Lines;
use super::{Builder, ReadError};
use crate::trace::{Durations, MAX_DAYS, MINUTES_PER_DAY};

/// Columns before the functions.
const BEFORE: usize = 2;

/// Names of the functions, from the head.
fn names(header: &str) -> Vec<String> {
    header
        .split(',')
        .skip(BEFORE)
        .map(|name| name.trim().to_owned())
        .collect()
}

/// The minute of a row, and its fields.
fn row(line: &str, columns: usize) -> Result<(u32, impl Iterator<Item = &str>), String> {
    if line.split(',').count() != columns + BEFORE {
        return Err(format!("not {} fields, as the head has", columns + BEFORE));
    }
    let mut fields = line.split(',').map(str::trim);
    let _day = fields.next();
    let time = decimal(fields.next().unwrap_or_default())?;
    if !(0.0..f64::from(MAX_DAYS * MINUTES_PER_DAY) * 60.0).contains(&time) {
        return Err(format!("a time of {time} s"));
    }
    Ok(((time / 60.0) as u32, fields))
}

fn is_none(field: &str) -> bool {
    field.is_empty() || field.eq_ignore_ascii_case("nan")
}

pub(super) fn requests(
    lines: &mut Lines,
    header: &str,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let names = names(header);
    let functions: Result<Vec<u32>, String> = names
        .iter()
        .map(|name| builder.function(name, None))
        .collect();
    let functions = functions.map_err(|what| lines.wrong(what))?;
    // Rows of seconds are added up to their minute.
    let mut sums = vec![0u32; functions.len()];
    let mut current = None;
    lines.each(|line| {
        let (minute, fields) = row(line, functions.len())?;
        if current != Some(minute) {
            flush(builder, &functions, &mut sums, current)?;
            current = Some(minute);
            let day = minute / MINUTES_PER_DAY * MINUTES_PER_DAY;
            builder.cover(day, day + MINUTES_PER_DAY);
        }
        for (sum, field) in sums.iter_mut().zip(fields) {
            if !is_none(field) {
                *sum = sum.saturating_add(count(field)?);
            }
        }
        Ok(())
    })?;
    flush(builder, &functions, &mut sums, current).map_err(|what| lines.wrong(what))
}

fn flush(
    builder: &mut Builder,
    functions: &[u32],
    sums: &mut [u32],
    minute: Option<u32>,
) -> Result<(), String> {
    let Some(minute) = minute else {
        return Ok(());
    };
    for (function, sum) in functions.iter().zip(sums) {
        let requests = std::mem::take(sum);
        if requests > 0 {
            builder.minutes(*function, std::iter::once((minute, requests)))?;
        }
    }
    Ok(())
}

pub(super) fn delays(
    lines: &mut Lines,
    header: &str,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let names = names(header);
    let mut sums = vec![(0.0, 0u32); names.len()];
    lines.each(|line| {
        let (_, fields) = row(line, names.len())?;
        for (sum, field) in sums.iter_mut().zip(fields) {
            if !is_none(field) {
                let ms = decimal(field)?;
                if ms < 0.0 {
                    return Err(format!("a delay of {}", shortened(field)));
                }
                *sum = (sum.0 + ms, sum.1 + 1);
            }
        }
        Ok(())
    })?;
    for (name, (sum, count)) in names.iter().zip(sums) {
        if count > 0 {
            builder.set_durations(name, Durations::constant((sum / f64::from(count)) as f32));
        }
    }
    Ok(())
}
