//! Day series: `series_id,weight,daily_total,minute_counts`, one row for each function, of one day. The last
//! field lists the minutes with requests as `minute:count`, from 0 on, with blanks between them. The weight
//! is what the row counts for in statistics over functions.

use super::fields::{Columns, count, decimal, shortened};
use super::input::Lines;
use super::{Builder, ReadError};
use crate::trace::MINUTES_PER_DAY;

pub(super) fn read(
    lines: &mut Lines,
    header: &str,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let names = ["series_id", "weight", "daily_total", "minute_counts"];
    let columns = Columns::of(header, &names).map_err(|what| lines.wrong(what))?;
    builder.cover(0, MINUTES_PER_DAY);
    let mut cells = Vec::new();
    lines.each(|line| {
        let [name, weight, total, minutes] = columns.take::<4>(line)?;
        let weight = decimal(weight)?;
        if weight <= 0.0 {
            return Err(format!("a weight of {weight}"));
        }
        cells.clear();
        let mut sum = 0u64;
        for cell in minutes.split_ascii_whitespace() {
            let cell = read_cell(cell)?;
            sum += u64::from(cell.1);
            cells.push(cell);
        }
        if sum != u64::from(count(total)?) {
            return Err(format!(
                "{sum} requests in its minutes, and {total} in the day"
            ));
        }
        if builder.known(name).is_some() {
            return Err(format!("{:?} a second time", shortened(name)));
        }
        let function = builder.function(name, None)?;
        builder.trace.functions[function as usize].weight = weight;
        builder.minutes(function, cells.iter().copied())
    })
}

fn read_cell(cell: &str) -> Result<(u32, u32), String> {
    let wrong = || format!("{:?} is not minute:count", shortened(cell));
    let (minute, requests) = cell.split_once(':').ok_or_else(wrong)?;
    let minute: u32 = minute.parse().map_err(|_| wrong())?;
    if minute >= MINUTES_PER_DAY {
        return Err(format!("{minute} is not a minute of the day"));
    }
    Ok((minute, count(requests).map_err(|_| wrong())?))
}
