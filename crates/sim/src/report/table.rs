//! The report as columns for people.

use super::{Report, Summary};
use crate::outcome::TENTHS;

const HEAD: [&str; 13] = [
    "policy",
    "cold mean",
    "p50",
    "p75",
    "p90",
    "by request",
    "wasted",
    "relative",
    "start p50",
    "p99",
    "p99.9",
    "mean",
    "forecasts",
];

impl Report {
    /// The report as a table, and below it what was run.
    pub fn table(&self) -> String {
        let mut rows = vec![HEAD.map(str::to_owned).to_vec()];
        rows.extend(self.policies.iter().map(row));
        let setting = &self.setting;
        let mut text = columns(&rows);
        let forecasting = self.policies.iter().filter(|it| it.forecasts.made > 0);
        let stated: Vec<Vec<String>> = forecasting.map(stated_row).collect();
        if !stated.is_empty() {
            let mut rows = vec![stated_head()];
            rows.extend(stated);
            text.push('\n');
            text.push_str(&columns(&rows));
        }
        text.push_str(&format!(
            "\ncold: share of a function's arrivals that paid user init (mean and percentiles over functions), \
             and of all requests\nwasted: memory-time of what did not run, and relative to {}\n\
             start: wait for an instance in ms\nforecasts: precision / recall\n\
             {} functions, {:.0} requests, minutes {} to {}, model {:?}, seed {}\n",
            setting.reference,
            setting.functions,
            setting.requests,
            setting.minutes[0],
            setting.minutes[1],
            setting.model,
            setting.seed,
        ));
        text
    }
}

fn row(summary: &Summary) -> Vec<String> {
    let percent = |share: f64| format!("{:.2} %", share * 100.0);
    let ms = |ms: f64| format!("{ms:.2}");
    let cold = summary.cold_by_function;
    let latency = summary.latency_ms;
    let share = |share: Option<f64>| share.map_or("-".to_owned(), percent);
    let forecasts = &summary.forecasts;
    vec![
        summary.policy.clone(),
        percent(cold.mean),
        percent(cold.p50),
        percent(cold.p75),
        percent(cold.p90),
        format!("{:.4} %", summary.cold_by_request * 100.0),
        memory_time(summary.wasted_mb_s),
        format!("{:.3}", summary.wasted_relative),
        ms(latency.p50),
        ms(latency.p99),
        ms(latency.p999),
        ms(latency.mean),
        format!(
            "{} / {}",
            share(forecasts.precision),
            share(forecasts.recall)
        ),
    ]
}

/// Tenths of confidence.
fn stated_head() -> Vec<String> {
    let tenths = (0..TENTHS).map(|tenth| format!("{} %", tenth * 10));
    let mut head = vec!["came true of what was forecast with".to_owned()];
    head.extend(tenths);
    head
}

/// Of the forecasts of each tenth of confidence the share that came true, and how many there were.
fn stated_row(summary: &Summary) -> Vec<String> {
    let mut row = vec![summary.policy.clone()];
    let mut reliability = summary.forecasts.reliability.iter().peekable();
    for tenth in 0..TENTHS {
        let found = reliability.next_if(|it| (it.from * TENTHS as f64).round() as usize == tenth);
        row.push(found.map_or("-".to_owned(), |it| {
            format!("{:.0} % of {}", it.came_true * 100.0, it.made)
        }));
    }
    row
}

/// MB·s with their prefix.
pub(super) fn memory_time(mb_s: f64) -> String {
    match mb_s {
        ..1e4 => format!("{mb_s:.0} MB·s"),
        ..1e7 => format!("{:.2} GB·s", mb_s / 1e3),
        _ => format!("{:.2} TB·s", mb_s / 1e6),
    }
}

/// Rows as columns, all but the first aligned to the right.
fn columns(rows: &[Vec<String>]) -> String {
    let count = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (column, (cell, width)) in row.iter().zip(&widths).enumerate() {
            let gap = " ".repeat(width - cell.chars().count());
            if column == 0 {
                line.push_str(&format!("{cell}{gap}"));
            } else {
                line.push_str(&format!("  {gap}{cell}"));
            }
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
