//! How values on the command line are read.

use std::time::{Duration, SystemTime};

use pilotlight_model::start::Cold;
use pilotlight_model::{RuntimeName, StartKind};

pub(super) fn runtime(text: &str) -> Result<RuntimeName, String> {
    RuntimeName::from_name(text).ok_or_else(|| {
        let names: Vec<&str> = RuntimeName::all().map(RuntimeName::as_str).collect();
        format!("not one of {}", names.join(", "))
    })
}

pub(super) fn start_kind(text: &str) -> Result<StartKind, String> {
    let names = StartKind::ALL.map(StartKind::as_str).join(", ");
    StartKind::from_name(text).ok_or_else(|| format!("not one of {names}"))
}

pub(super) fn cold(text: &str) -> Result<String, String> {
    match Cold::from_name(text) {
        Some(_) => Ok(text.to_owned()),
        None => Err("not one of spare, forked, zygote, booted".to_owned()),
    }
}

pub(super) fn pair(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected KEY=VALUE".to_owned()),
    }
}

/// When it was that long ago, in milliseconds since 1970.
pub(crate) fn moment_ms(age: Duration) -> u128 {
    let now = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    now.saturating_sub(age).as_millis()
}

pub(super) fn age(text: &str) -> Result<Duration, String> {
    let wrong = || "expected a number and s, m, h or d, such as 10m".to_owned();
    let unit = text.chars().last().ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(wrong()),
    };
    let number: u32 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    Ok(Duration::from_secs(u64::from(number) * seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_read_with_their_unit() {
        assert_eq!(age("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(age("2h"), Ok(Duration::from_secs(7_200)));
        for wrong in ["", "s", "10", "-1s", "1w", "ü"] {
            assert!(age(wrong).is_err(), "{wrong}");
        }
    }
}
