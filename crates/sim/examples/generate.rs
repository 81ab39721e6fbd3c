//! Draws functions from a trace by their weights and writes them as day series, each of weight one: a day of
//! any size with the distribution of a sample. The figures of `docs/simulate.md` on speed come from it.
//!
//! `generate TRACE FUNCTIONS SEED > day.csv`

use std::io::{BufWriter, Write};
use std::path::PathBuf;

use pilotlight_sim::draw::{Draw, Stream};
use pilotlight_sim::read::read;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [path, functions, seed] = args.as_slice() else {
        return Err("usage: generate TRACE FUNCTIONS SEED".into());
    };
    let trace = read(&[PathBuf::from(path)], &mut |_| {})?;
    let (functions, draw): (u64, Draw) = (functions.parse()?, Draw::new(seed.parse()?));
    let mut sum = 0.0;
    let sums: Vec<f64> = trace
        .functions
        .iter()
        .map(|function| {
            sum += function.weight;
            sum
        })
        .collect();
    let mut out = BufWriter::new(std::io::stdout().lock());
    writeln!(out, "series_id,weight,daily_total,minute_counts")?;
    for number in 0..functions {
        let drawn = draw.unit(Stream::Generate, number, 0) * sum;
        let row = sums
            .partition_point(|sum| *sum <= drawn)
            .min(sums.len() - 1);
        let counts = &trace.counts[row];
        write!(out, "G{number:07},1,{},", counts.total())?;
        for (place, (minute, requests)) in counts.iter().enumerate() {
            write!(
                out,
                "{}{minute}:{requests}",
                if place > 0 { " " } else { "" }
            )?;
        }
        writeln!(out)?;
    }
    out.flush()?;
    Ok(())
}
