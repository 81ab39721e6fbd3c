//! The report as one HTML file that needs nothing else: plots are inline SVG, colours follow the reader's
//! light or dark setting, and nothing is loaded from anywhere.

mod plot;

use std::fmt::Write;

use super::table::memory_time;
use super::{Report, Summary, sorted_shares};
use plot::{Plot, Scale, Series};

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1b1f24;--soft:#5b6470;--line:#d5dae1;--page:#fff;--card:#f6f8fa}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ee;--soft:#9aa4b1;--line:#3a424d;--page:#14171b;--card:#1c2127}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--page);max-width:72rem;margin:2rem auto;\
padding:0 1rem}h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}table{border-collapse:collapse;\
font-variant-numeric:tabular-nums}th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid var(--line);\
white-space:nowrap}th:first-child,td:first-child{text-align:left}.wide{overflow-x:auto}p,dd,figcaption{color:\
var(--soft)}figure{margin:1rem 0;background:var(--card);padding:1rem;border-radius:.5rem}svg{width:100%;height:auto}\
svg text{fill:var(--soft);font:12px system-ui,sans-serif}svg .axis{stroke:var(--line)}dl{display:grid;\
grid-template-columns:max-content 1fr;gap:.15rem 1rem}dt{color:var(--soft)}dd{margin:0;color:var(--ink)}";

/// The points of the policy of that number.
type PointsOf<'a> = dyn Fn(usize, &Summary) -> Vec<(f64, f64)> + 'a;

impl Report {
    /// The report as a page.
    pub fn html(&self) -> String {
        let mut page = format!(
            "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width\">\n<title>Pilotlight simulation</title>\n\
             <style>{STYLE}</style>\n</head>\n<body>\n<h1>Pilotlight simulation</h1>\n"
        );
        self.setting_list(&mut page);
        self.summary_table(&mut page);
        self.kinds_table(&mut page);
        self.plots(&mut page);
        page.push_str("</body>\n</html>\n");
        page
    }

    fn setting_list(&self, page: &mut String) {
        let setting = serde_json::to_value(&self.setting).expect("plain values are JSON");
        page.push_str("<dl>\n");
        for (name, value) in setting.as_object().into_iter().flatten() {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let name = name.replace('_', " ");
            put(
                page,
                format_args!("<dt>{}</dt><dd>{}</dd>\n", escaped(&name), escaped(&value)),
            );
        }
        page.push_str("</dl>\n");
    }

    fn summary_table(&self, page: &mut String) {
        page.push_str(
            "<h2>Cold starts, waits and memory</h2>\n<p>Cold: paid user init. Wasted: memory-time of what did \
             not run. Starts in milliseconds.</p>\n",
        );
        let head = [
            "policy",
            "cold mean",
            "p50",
            "p75",
            "p90",
            "by request",
            "wasted",
            "relative",
            "start mean",
            "p50",
            "p90",
            "p99",
            "p99.9",
        ];
        let rows = self.policies.iter().map(|summary| {
            let (cold, latency) = (summary.cold_by_function, summary.latency_ms);
            let mut row = vec![summary.policy.clone()];
            row.extend(
                [cold.mean, cold.p50, cold.p75, cold.p90]
                    .map(|share| format!("{:.2} %", share * 100.0)),
            );
            row.push(format!("{:.4} %", summary.cold_by_request * 100.0));
            row.push(memory_time(summary.wasted_mb_s));
            row.push(format!("{:.3}", summary.wasted_relative));
            row.extend(
                [
                    latency.mean,
                    latency.p50,
                    latency.p90,
                    latency.p99,
                    latency.p999,
                ]
                .map(|ms| format!("{ms:.2}")),
            );
            row
        });
        table(page, &head, rows);
    }

    fn kinds_table(&self, page: &mut String) {
        page.push_str("<h2>Kinds of starts, and forecasts</h2>\n");
        let head = [
            "policy",
            "warm",
            "spare",
            "forked",
            "zygote",
            "booted",
            "started ahead",
            "template",
            "spare",
            "idle",
            "ran",
            "precision",
            "recall",
            "lead",
            "forecast waste",
        ];
        let percent = |share: Option<f64>| {
            share.map_or("–".to_owned(), |share| format!("{:.1} %", share * 100.0))
        };
        let rows = self.policies.iter().map(|summary| {
            let (kinds, held, forecasts) =
                (summary.starts, summary.memory_mb_s, &summary.forecasts);
            let mut row = vec![summary.policy.clone()];
            let counts = [
                kinds.warm,
                kinds.spare,
                kinds.forked,
                kinds.zygote,
                kinds.booted,
            ];
            row.extend(counts.map(|count| format!("{count:.0}")));
            row.push(summary.started_ahead.to_string());
            row.extend([held.template, held.spare, held.idle, held.busy].map(memory_time));
            row.extend([forecasts.precision, forecasts.recall].map(percent));
            row.push(
                forecasts
                    .lead_s
                    .map_or("–".to_owned(), |lead| format!("{lead:.0} s")),
            );
            row.push(memory_time(forecasts.wasted_mb_s));
            row
        });
        table(page, &head, rows);
    }

    fn plots(&self, page: &mut String) {
        let series = |of: &PointsOf<'_>| -> Vec<Series> {
            let all = self.policies.iter().enumerate();
            all.map(|(number, summary)| Series {
                name: summary.policy.clone(),
                points: of(number, summary),
            })
            .collect()
        };
        let weights: Vec<f64> = self.names.iter().map(|(_, weight)| *weight).collect();
        let by_function =
            series(&|number, _| cumulated(&sorted_shares(&self.runs[number].outcome, &weights)));
        figure(
            page,
            "Cold share by function",
            &Plot {
                x: (
                    "share of a function's arrivals that were cold",
                    Scale::Share,
                ),
                y: ("share of functions with at most that", Scale::Share),
                series: by_function,
                dots: false,
            },
        );
        let trade =
            series(&|_, summary| vec![(summary.wasted_relative, summary.cold_by_function.mean)]);
        figure(
            page,
            "Cold share against wasted memory",
            &Plot {
                x: (
                    "wasted memory-time relative to the reference",
                    Scale::Linear,
                ),
                y: ("mean cold share over functions", Scale::Share),
                series: trade,
                dots: true,
            },
        );
        let stated = |summary: &Summary| -> Vec<(f64, f64)> {
            let tenths = summary.forecasts.reliability.iter();
            tenths.map(|it| (it.stated, it.came_true)).collect()
        };
        if self.policies.iter().any(|it| it.forecasts.made > 0) {
            let mut reliability = series(&|_, summary| stated(summary));
            reliability.push(Series {
                name: "as stated".to_owned(),
                points: vec![(0.0, 0.0), (1.0, 1.0)],
            });
            figure(
                page,
                "Confidence of forecasts against what came true",
                &Plot {
                    x: ("confidence, by tenths", Scale::Share),
                    y: ("share of forecasts that came true", Scale::Share),
                    series: reliability
                        .into_iter()
                        .filter(|it| !it.points.is_empty())
                        .collect(),
                    dots: false,
                },
            );
        }
        let latency = series(&|number, _| self.runs[number].outcome.latency.distribution());
        figure(
            page,
            "Waits for an instance",
            &Plot {
                x: ("wait in milliseconds", Scale::Log),
                y: ("share of requests that waited longer", Scale::LogShare),
                series: latency
                    .into_iter()
                    .map(|one| Series {
                        points: one
                            .points
                            .into_iter()
                            .map(|(ms, share)| (ms, 1.0 - share))
                            .collect(),
                        ..one
                    })
                    .collect(),
                dots: false,
            },
        );
    }
}

/// Steps of a cumulative distribution, from sorted values with weights.
fn cumulated(sorted: &[(f64, f64)]) -> Vec<(f64, f64)> {
    let total: f64 = sorted.iter().map(|(_, weight)| weight).sum();
    let (mut sum, mut points) = (0.0, vec![(0.0, 0.0)]);
    for (value, weight) in sorted {
        points.push((*value, sum / total));
        sum += weight;
        points.push((*value, sum / total));
    }
    points.push((1.0, 1.0));
    points
}

fn figure(page: &mut String, title: &str, plot: &Plot<'_>) {
    put(
        page,
        format_args!("<h2>{title}</h2>\n<figure>\n{}</figure>\n", plot.svg(title)),
    );
}

fn table(page: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    page.push_str("<div class=\"wide\"><table>\n<tr>");
    for name in head {
        put(page, format_args!("<th scope=\"col\">{name}</th>"));
    }
    page.push_str("</tr>\n");
    for row in rows {
        page.push_str("<tr>");
        for cell in row {
            put(page, format_args!("<td>{}</td>", escaped(&cell)));
        }
        page.push_str("</tr>\n");
    }
    page.push_str("</table></div>\n");
}

fn put(page: &mut String, text: std::fmt::Arguments<'_>) {
    page.write_fmt(text).expect("a string takes everything");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}
