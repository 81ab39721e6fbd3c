//! Lines and dots in a frame with labelled axes, as SVG.

use super::{escaped, put};

const WIDTH: f64 = 760.0;
const HEIGHT: f64 = 380.0;
const LEFT: f64 = 76.0;
const RIGHT: f64 = 28.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 48.0;
/// Points of a line at most; more would not be seen.
const MAX_POINTS: usize = 1_500;
/// Told apart on light and on dark ground, also by most who are colour-blind (Okabe and Ito).
const COLOURS: [&str; 8] = [
    "#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6bb1", "#7f7f7f",
];
const DASHES: [&str; 3] = ["", "6 3", "2 2"];

/// How an axis is divided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scale {
    /// From 0 to 1, in percent.
    Share,
    /// From 0 to a little above the largest.
    Linear,
    /// By powers of ten.
    Log,
    /// By powers of ten, from 1 in 100,000 to all.
    LogShare,
}

/// One policy's points.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) points: Vec<(f64, f64)>,
}

/// A plot.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    pub(super) x: (&'a str, Scale),
    pub(super) y: (&'a str, Scale),
    pub(super) series: Vec<Series>,
    /// Dots with names beside them instead of lines.
    pub(super) dots: bool,
}

/// An axis with its range.
#[derive(Debug, Clone, Copy)]
struct Axis {
    scale: Scale,
    low: f64,
    high: f64,
}

impl Axis {
    fn over(scale: Scale, values: impl Iterator<Item = f64>) -> Self {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values.filter(|value| *value > 0.0) {
            (low, high) = (low.min(value), high.max(value));
        }
        let (low, high) = match scale {
            Scale::Share => (0.0, 1.0),
            Scale::LogShare => (1e-5, 1.0),
            Scale::Linear => (0.0, if high > 0.0 { high * 1.1 } else { 1.0 }),
            Scale::Log if high > 0.0 => {
                let power = |value: f64| 10f64.powf(value);
                (
                    power(low.log10().floor()),
                    power(high.log10().ceil().max(low.log10().floor() + 1.0)),
                )
            }
            Scale::Log => (0.1, 1.0),
        };
        Self { scale, low, high }
    }

    /// From 0 to 1, where the value stands.
    fn place(self, value: f64) -> f64 {
        let part = match self.scale {
            Scale::Share | Scale::Linear => (value - self.low) / (self.high - self.low),
            Scale::Log | Scale::LogShare => {
                (value.max(self.low) / self.low).log10() / (self.high / self.low).log10()
            }
        };
        part.clamp(0.0, 1.0)
    }

    fn ticks(self) -> Vec<(f64, String)> {
        match self.scale {
            Scale::Share => (0..=5)
                .map(|n| (f64::from(n) / 5.0, format!("{} %", n * 20)))
                .collect(),
            Scale::Linear => {
                let step = nice(self.high / 5.0);
                let count = (self.high / step) as u32;
                (0..=count)
                    .map(|n| (f64::from(n) * step, number(f64::from(n) * step)))
                    .collect()
            }
            Scale::Log | Scale::LogShare => {
                let from = self.low.log10().round() as i32;
                let to = self.high.log10().round() as i32;
                let label = |value: f64| match self.scale {
                    Scale::LogShare => format!("{} %", number(value * 100.0)),
                    _ => number(value),
                };
                (from..=to)
                    .map(|power| 10f64.powi(power))
                    .map(|value| (value, label(value)))
                    .collect()
            }
        }
    }
}

/// The next step of 1, 2 or 5 times a power of ten.
fn nice(step: f64) -> f64 {
    let power = 10f64.powf(step.log10().floor());
    let factor = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|factor| factor * power >= step);
    factor.unwrap_or(10.0) * power
}

/// A number without digits that say nothing.
fn number(value: f64) -> String {
    let text = format!("{value:.3}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

impl Plot<'_> {
    /// The plot as an SVG element.
    pub(super) fn svg(&self, title: &str) -> String {
        let points = || self.series.iter().flat_map(|series| &series.points);
        let x = Axis::over(self.x.1, points().map(|point| point.0));
        let y = Axis::over(self.y.1, points().map(|point| point.1));
        let legend = if self.dots {
            0.0
        } else {
            18.0 * self.series.len().div_ceil(4) as f64
        };
        let mut svg = format!(
            "<svg viewBox=\"0 0 {WIDTH} {}\" role=\"img\" aria-label=\"{}\">\n",
            HEIGHT + legend,
            escaped(title)
        );
        self.frame(&mut svg, x, y);
        let at = |point: &(f64, f64)| {
            let across = LEFT + x.place(point.0) * (WIDTH - LEFT - RIGHT);
            let down = HEIGHT - BOTTOM - y.place(point.1) * (HEIGHT - TOP - BOTTOM);
            (across, down)
        };
        for (number, series) in self.series.iter().enumerate() {
            let colour = COLOURS[number % COLOURS.len()];
            let dash = DASHES[number / COLOURS.len() % DASHES.len()];
            let name = escaped(&series.name);
            if self.dots {
                for (across, down) in series.points.iter().map(&at) {
                    put(
                        &mut svg,
                        format_args!(
                            "<circle cx=\"{across:.1}\" cy=\"{down:.1}\" r=\"5\" fill=\"{colour}\"><title>{name}</title>\
                         </circle><text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{name}</text>\n",
                            if across > WIDTH * 0.75 {
                                across - 9.0
                            } else {
                                across + 9.0
                            },
                            down + 4.0,
                            if across > WIDTH * 0.75 {
                                "end"
                            } else {
                                "start"
                            },
                        ),
                    );
                }
                continue;
            }
            let line: Vec<String> = thinned(&series.points)
                .map(&at)
                .map(|(across, down)| format!("{across:.1},{down:.1}"))
                .collect();
            let (row, column) = (number / 4, number % 4);
            let (across, down) = (
                LEFT + 170.0 * column as f64,
                HEIGHT + 12.0 + 18.0 * row as f64,
            );
            put(
                &mut svg,
                format_args!(
                    "<polyline fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\" stroke-dasharray=\"{dash}\" \
                 points=\"{}\"><title>{name}</title></polyline>\n<line x1=\"{across}\" x2=\"{}\" y1=\"{down}\" \
                 y2=\"{down}\" stroke=\"{colour}\" stroke-width=\"3\" stroke-dasharray=\"{dash}\"/>\
                 <text x=\"{}\" y=\"{}\">{name}</text>\n",
                    line.join(" "),
                    across + 22.0,
                    across + 28.0,
                    down + 4.0,
                ),
            );
        }
        svg.push_str("</svg>\n");
        svg
    }

    fn frame(&self, svg: &mut String, x: Axis, y: Axis) {
        let (bottom, right) = (HEIGHT - BOTTOM, WIDTH - RIGHT);
        for (value, label) in x.ticks() {
            let across = LEFT + x.place(value) * (right - LEFT);
            put(
                svg,
                format_args!(
                    "<line class=\"axis\" x1=\"{across:.1}\" x2=\"{across:.1}\" y1=\"{TOP}\" y2=\"{bottom}\"/>\
                 <text x=\"{across:.1}\" y=\"{}\" text-anchor=\"middle\">{label}</text>\n",
                    bottom + 16.0,
                ),
            );
        }
        for (value, label) in y.ticks() {
            let down = bottom - y.place(value) * (bottom - TOP);
            put(
                svg,
                format_args!(
                    "<line class=\"axis\" x1=\"{LEFT}\" x2=\"{right}\" y1=\"{down:.1}\" y2=\"{down:.1}\"/>\
                 <text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{label}</text>\n",
                    LEFT - 6.0,
                    down + 4.0,
                ),
            );
        }
        put(
            svg,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{}</text>\n<text transform=\"translate(14 {:.1}) \
             rotate(-90)\" text-anchor=\"middle\">{}</text>\n",
                (LEFT + right) / 2.0,
                HEIGHT - 10.0,
                escaped(self.x.0),
                (TOP + bottom) / 2.0,
                escaped(self.y.0),
            ),
        );
    }
}

/// At most [`MAX_POINTS`] of the points, the first and the last among them.
fn thinned(points: &[(f64, f64)]) -> impl Iterator<Item = &(f64, f64)> {
    let step = points.len().div_ceil(MAX_POINTS).max(1);
    let last = points.len().saturating_sub(1);
    let chosen = points
        .iter()
        .enumerate()
        .filter(move |(place, _)| place % step == 0 || *place == last);
    chosen.map(|(_, point)| point)
}
