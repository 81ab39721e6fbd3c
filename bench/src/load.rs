//! Closed-loop load: so many connections, each sending its next request when it has its answer.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use crate::http::Connection;

/// Runs `connections` loops of `request` against `address` for `length`; returns how many answers came per
/// second. Every answer must be a 200.
pub(crate) fn run(
    name: &str,
    address: &str,
    request: &[u8],
    connections: usize,
    length: Duration,
) -> anyhow::Result<f64> {
    let stop = AtomicBool::new(false);
    let answers = AtomicU64::new(0);
    let begin = Instant::now();
    std::thread::scope(|scope| {
        let loops: Vec<_> = (0..connections)
            .map(|_| {
                scope.spawn(|| -> anyhow::Result<()> {
                    let mut connection = Connection::open(address)?;
                    while !stop.load(Ordering::Relaxed) {
                        let answer = connection.call(request)?;
                        ensure!(answer.status == 200, "{name} answered {}", answer.status);
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok(())
                })
            })
            .collect();
        std::thread::sleep(length);
        stop.store(true, Ordering::Relaxed);
        for handle in loops {
            handle
                .join()
                .map_err(|_| anyhow::anyhow!("a load loop panicked"))?
                .context("load loop")?;
        }
        anyhow::Ok(())
    })?;
    Ok(answers.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64())
}
