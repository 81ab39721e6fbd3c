//! The report as comma-separated values: a row for each policy, or for each policy and function.

use std::io::{self, Write};

use pilotlight_policy::VersionId;

use super::Report;

impl Report {
    /// A row for each policy.
    pub fn csv(&self) -> String {
        let mut text = "policy,cold_mean,cold_p50,cold_p75,cold_p90,cold_by_request,warm,spare,forked,zygote,\
            booted,latency_mean_ms,latency_p50_ms,latency_p90_ms,latency_p99_ms,latency_p999_ms,wasted_mb_s,\
            wasted_relative,peak_mb,started_ahead,forecasts,precision,recall,lead_s,forecast_wasted_mb_s\n"
            .to_owned();
        for summary in &self.policies {
            let (cold, starts, latency) =
                (summary.cold_by_function, summary.starts, summary.latency_ms);
            let forecasts = &summary.forecasts;
            let optional =
                |number: Option<f64>| number.map_or(String::new(), |number| number.to_string());
            let numbers = [
                cold.mean,
                cold.p50,
                cold.p75,
                cold.p90,
                summary.cold_by_request,
                starts.warm,
                starts.spare,
                starts.forked,
                starts.zygote,
                starts.booted,
                latency.mean,
                latency.p50,
                latency.p90,
                latency.p99,
                latency.p999,
                summary.wasted_mb_s,
                summary.wasted_relative,
                summary.peak_mb,
                summary.started_ahead as f64,
                forecasts.made as f64,
            ];
            let mut fields = vec![quoted(&summary.policy)];
            fields.extend(numbers.map(|number| number.to_string()));
            fields.extend([forecasts.precision, forecasts.recall, forecasts.lead_s].map(optional));
            fields.push(forecasts.wasted_mb_s.to_string());
            text.push_str(&fields.join(","));
            text.push('\n');
        }
        text
    }
}

/// Writes a row for each policy and function.
pub fn by_function(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "policy,function,weight,arrivals,cold_arrivals,cold_share,requests,warm,spare,forked,zygote,booted,\
         template_mb_s,spare_mb_s,idle_mb_s,busy_mb_s"
    )?;
    for run in &report.runs {
        let policy = quoted(&run.policy);
        for ((name, weight), function) in report.names.iter().zip(&run.outcome.functions) {
            let [warm, spare, forked, zygote, booted] = function.kinds;
            let (held, share) = (function.held, function.cold_share());
            writeln!(
                out,
                "{policy},{},{weight},{},{},{},{},{warm},{spare},{forked},{zygote},{booted},{},{},{},{}",
                quoted(name),
                function.arrivals,
                function.cold_arrivals,
                share.map_or(String::new(), |share| share.to_string()),
                function.requests(),
                held.template,
                held.spare,
                held.idle,
                held.busy,
            )?;
        }
    }
    Ok(())
}

/// Writes a row for each policy, caller and callee that it made forecasts for.
pub fn by_edge(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    writeln!(
        out,
        "policy,caller,callee,forecasts,hits,precision,lead_s,wasted_mb_s"
    )?;
    let name = |version: VersionId| {
        let known = report.names.get(version.0 as usize);
        known.map_or(String::new(), |(name, _)| quoted(name))
    };
    for run in &report.runs {
        for ((caller, callee), entry) in &run.outcome.ledger.by_edge {
            let of = |part: f64, whole: u64| match whole {
                0 => String::new(),
                whole => (part / whole as f64).to_string(),
            };
            writeln!(
                out,
                "{},{},{},{},{},{},{},{}",
                quoted(&run.policy),
                name(*caller),
                name(*callee),
                entry.made,
                entry.hit,
                of(entry.hit as f64, entry.made),
                of(entry.lead_s, entry.hit),
                entry.wasted_mb_s,
            )?;
        }
    }
    Ok(())
}

/// A field, in quotes where it needs them.
fn quoted(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", field.replace('"', "\"\""))
    } else {
        field.to_owned()
    }
}
