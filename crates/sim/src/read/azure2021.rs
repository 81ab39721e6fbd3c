//! Azure Functions 2021 (Zhang et al., "Faster and Cheaper Serverless Computing on Harvested Resources", SOSP
//! 2021): `AzureFunctionsInvocationTraceForTwoWeeksJan2021.txt`, `app,func,end_timestamp,duration`, one row for
//! each request, times in seconds since the trace began. A request came its duration before its end, and
//! never before the trace began.

use super::fields::{Columns, decimal};
use super::input::Lines;
use super::{Builder, ReadError};
use crate::trace::{MAX_DAYS, MAX_REQUESTS, MINUTES_PER_DAY, Request};

/// The longest run of a handler that a row may have, in seconds.
const MAX_DURATION: f64 = 1e6;

pub(super) fn read(
    lines: &mut Lines,
    header: &str,
    builder: &mut Builder,
) -> Result<(), ReadError> {
    let names = ["app", "func", "end_timestamp", "duration"];
    let columns = Columns::of(header, &names).map_err(|what| lines.wrong(what))?;
    let longest = f64::from(MAX_DAYS * MINUTES_PER_DAY) * 60.0;
    lines.each(|line| {
        let [app, name, end, duration] = columns.take::<4>(line)?;
        let (end, duration) = (decimal(end)?, decimal(duration)?);
        if !(0.0..longest).contains(&end) || !(0.0..MAX_DURATION).contains(&duration) {
            return Err(format!("a request of {duration} s that ends after {end} s"));
        }
        if builder.trace.requests.len() == MAX_REQUESTS {
            return Err(format!("more than {MAX_REQUESTS} requests"));
        }
        // 64 hexadecimal digits each: sixteen tell a million apart.
        let short = |hash: &str| hash.chars().take(16).collect::<String>();
        let function = builder.function(&format!("{}/{}", short(app), short(name)), None)?;
        builder.trace.requests.push(Request {
            at_ms: ((end - duration).max(0.0) * 1e3) as u64,
            function,
            took_ms: (duration * 1e3) as u32,
            caller: None,
        });
        builder.cover(0, (end / 60.0) as u32 + 1);
        Ok(())
    })
}
