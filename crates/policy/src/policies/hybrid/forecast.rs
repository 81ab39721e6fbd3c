//! The next value of a short series, by a small family of ARIMA models.
//!
//! The paper takes pmdarima's `auto_arima`, for versions that are so rare that its cost does not matter. Here
//! the candidates are ARIMA(p, d, 0) with a constant for p + d up to 2: the mean, an autoregression of order
//! one or two, a random walk with drift, and an autoregression of order one of the differences; no moving
//! average. Each is fitted by least squares on the same targets, the values from the fourth on, and the least
//! corrected Akaike criterion wins, at a tie the earlier in that list.

/// Values that a forecast goes by at most: the latest.
pub const MOST: usize = 32;

/// Values before the first target, so that all candidates have the same ones.
const LAGS: usize = 3;

/// Targets that a candidate needs beyond its parameters.
const SPARE_TARGETS: usize = 2;

/// The next value, for a series of positive ones. Of fewer than six it is the mean; it is held within the
/// least and the greatest seen, because a trend of so few values is not to be trusted beyond them.
pub fn forecast(series: &[f64]) -> Option<f64> {
    let series = series.get(series.len().saturating_sub(MOST)..)?;
    let least = series.iter().copied().reduce(f64::min)?;
    let most = series.iter().copied().reduce(f64::max)?;
    let next = best(series).unwrap_or_else(|| mean(series));
    next.is_finite().then(|| next.clamp(least, most))
}

/// The forecast of the best candidate.
fn best(series: &[f64]) -> Option<f64> {
    const ORDERS: [Order; 5] = [
        Order {
            lags: 0,
            differences: 0,
        },
        Order {
            lags: 1,
            differences: 0,
        },
        Order {
            lags: 2,
            differences: 0,
        },
        Order {
            lags: 0,
            differences: 1,
        },
        Order {
            lags: 1,
            differences: 1,
        },
    ];
    let mut best: Option<(f64, f64)> = None;
    for order in ORDERS {
        if let Some((criterion, next)) = order.fit(series)
            && best.is_none_or(|(least, _)| criterion < least)
        {
            best = Some((criterion, next));
        }
    }
    best.map(|(_, next)| next)
}

fn mean(series: &[f64]) -> f64 {
    series.iter().sum::<f64>() / series.len() as f64
}

/// p and d.
#[derive(Debug, Clone, Copy)]
struct Order {
    lags: usize,
    differences: usize,
}

impl Order {
    /// The criterion and the forecast.
    fn fit(self, series: &[f64]) -> Option<(f64, f64)> {
        let targets = series.len().checked_sub(LAGS)?;
        let parameters = self.lags + 1;
        if targets < parameters + SPARE_TARGETS {
            return None;
        }
        let row = |index: usize| self.row(series, index);
        let value = |index: usize| match self.differences {
            0 => series[index],
            _ => series[index] - series[index - 1],
        };
        let weights = least_squares(
            (LAGS..series.len()).map(|index| (row(index), value(index))),
            parameters,
        )?;
        let predict = |row: [f64; 3]| -> f64 { row.iter().zip(weights).map(|(x, w)| x * w).sum() };
        let error: f64 = (LAGS..series.len())
            .map(|index| (value(index) - predict(row(index))).powi(2))
            .sum();
        let base = if self.differences == 0 {
            0.0
        } else {
            series[series.len() - 1]
        };
        Some((
            criterion(error, targets, parameters, mean(series)),
            base + predict(row(series.len())),
        ))
    }

    /// One, and the values or differences before `index`, the latest first.
    fn row(self, series: &[f64], index: usize) -> [f64; 3] {
        let lag = |lag: usize| match self.differences {
            0 => series[index - lag],
            _ => series[index - lag] - series[index - lag - 1],
        };
        let mut row = [1.0, 0.0, 0.0];
        for (number, value) in row.iter_mut().enumerate().skip(1).take(self.lags) {
            *value = lag(number);
        }
        row
    }
}

/// Akaike's information criterion, corrected for few values. An error below a millionth of the mean is none.
fn criterion(error: f64, targets: usize, parameters: usize, mean: f64) -> f64 {
    let n = targets as f64;
    let k = parameters as f64 + 1.0;
    let floor = (mean * 1e-6).powi(2).max(f64::MIN_POSITIVE);
    let correction = if n > k + 1.0 {
        2.0 * k * (k + 1.0) / (n - k - 1.0)
    } else {
        f64::MAX
    };
    n * (error / n).max(floor).ln() + 2.0 * k + correction
}

/// Solves the normal equations of up to three unknowns; none where they do not determine them.
fn least_squares(rows: impl Iterator<Item = ([f64; 3], f64)>, unknowns: usize) -> Option<[f64; 3]> {
    let mut equations = [[0.0; 4]; 3];
    for (row, value) in rows {
        for i in 0..unknowns {
            for j in 0..unknowns {
                equations[i][j] += row[i] * row[j];
            }
            equations[i][3] += row[i] * value;
        }
    }
    solve(&mut equations, unknowns)
}

/// Gauss's elimination with the greatest pivot.
fn solve(equations: &mut [[f64; 4]; 3], unknowns: usize) -> Option<[f64; 3]> {
    let scale = equations
        .iter()
        .flatten()
        .fold(0.0f64, |most, value| most.max(value.abs()));
    for column in 0..unknowns {
        let greatest = |a: &usize, b: &usize| {
            equations[*a][column]
                .abs()
                .total_cmp(&equations[*b][column].abs())
        };
        let pivot = (column..unknowns).max_by(greatest)?;
        equations.swap(column, pivot);
        if equations[column][column].abs() <= scale * 1e-12 {
            return None;
        }
        let by = equations[column];
        for row in (0..unknowns).filter(|row| *row != column) {
            let factor = equations[row][column] / by[column];
            for (value, by) in equations[row].iter_mut().zip(by) {
                *value -= factor * by;
            }
        }
    }
    let mut solution = [0.0; 3];
    for (index, value) in solution.iter_mut().enumerate().take(unknowns) {
        *value = equations[index][3] / equations[index][index];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn close(series: &[f64], expected: f64) {
        let next = forecast(series).unwrap();
        assert!((next - expected).abs() < 0.5, "{next} for {expected}");
    }

    #[test]
    fn few_values_give_their_mean_and_none_gives_none() {
        assert_eq!(forecast(&[]), None);
        close(&[300.0], 300.0);
        close(&[300.0, 400.0], 350.0);
    }

    #[test]
    fn what_is_always_the_same_stays() {
        close(&[300.0; 20], 300.0);
    }

    #[test]
    fn what_alternates_goes_on_alternating() {
        let series: Vec<f64> = (0..20)
            .map(|i| if i % 2 == 0 { 250.0 } else { 500.0 })
            .collect();
        close(&series, 250.0);
        close(&series[..19], 500.0);
    }

    #[test]
    fn a_cycle_of_three_goes_on() {
        let series: Vec<f64> = (0..24).map(|i| [260.0, 300.0, 400.0][i % 3]).collect();
        close(&series, 260.0);
    }

    #[test]
    fn noise_around_a_level_gives_about_the_level() {
        let noise = [
            3.0, -7.0, 5.0, 1.0, -4.0, 6.0, -2.0, -1.0, 4.0, -5.0, 2.0, 0.0,
        ];
        let series: Vec<f64> = noise.iter().map(|noise| 300.0 + noise).collect();
        let next = forecast(&series).unwrap();
        assert!((next - 300.0).abs() < 7.0, "{next}");
    }

    proptest! {
        #[test]
        fn is_always_within_what_was_seen(series in proptest::collection::vec(1.0..10_000.0f64, 1..60)) {
            let next = forecast(&series).unwrap();
            let recent = &series[series.len().saturating_sub(MOST)..];
            prop_assert!(recent.iter().any(|value| *value <= next + 1e-9));
            prop_assert!(recent.iter().any(|value| *value >= next - 1e-9));
        }
    }
}
