//! `pilot doctor`: is this machine fit?

use pilotlight_sandbox::probe::{self, Check, Outcome};

use crate::cli::{DoctorArgs, Format, UpArgs};
use crate::exit::Exit;
use crate::output;
use crate::up::Config;

/// Tries everything that sandboxes need, and says what to do about what is missing.
pub(crate) fn run(args: DoctorArgs) -> anyhow::Result<Exit> {
    let config = Config::resolve(&UpArgs::at(args.data_dir, args.config))?;
    let checks = probe::run(&config.data_dir);
    match args.output {
        Format::Json => output::print(&format!("{}\n", serde_json::to_string_pretty(&checks)?))?,
        Format::Table => output::print(&table(&checks))?,
    }
    let failed = checks
        .iter()
        .filter(|check| check.outcome == Outcome::Fail)
        .count();
    if failed > 0 {
        eprintln!("{failed} checks failed: functions cannot run here yet");
        return Ok(Exit::Failed);
    }
    Ok(Exit::Done)
}

/// One line per check, and below it what to do.
fn table(checks: &[Check]) -> String {
    let line = |check: &Check| {
        let outcome = match check.outcome {
            Outcome::Ok => "ok",
            Outcome::Warn => "warn",
            Outcome::Fail => "FAIL",
        };
        vec![
            outcome.to_owned(),
            check.name.to_owned(),
            check.found.clone(),
        ]
    };
    let lines = output::table(&checks.iter().map(line).collect::<Vec<_>>(), &[]);
    let advice = checks.iter().map(|check| check.advice.as_deref());
    lines
        .lines()
        .zip(advice)
        .map(|(line, advice)| match advice {
            Some(advice) => format!("{line}\n      → {advice}\n"),
            None => format!("{line}\n"),
        })
        .collect()
}
