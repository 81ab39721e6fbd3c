//! Reading the `Server-Timing` header of an invocation's answer.

use pilotlight_model::start::PhaseLength;
use pilotlight_model::{Phase, StartKind};

/// How an invocation got its instance, and where the time went.
#[derive(Debug, PartialEq)]
pub(crate) struct ServerTiming {
    pub(crate) kind: StartKind,
    pub(crate) phases: Vec<PhaseLength>,
}

impl ServerTiming {
    /// Reads `start;desc="warm", gateway;dur=0.041, …`; phases that this client does not know are left out.
    pub(crate) fn parse(header: &str) -> Option<Self> {
        let mut kind = None;
        let mut phases = Vec::new();
        for metric in header.split(',') {
            let (name, value) = metric.trim().split_once(';')?;
            if name == "start" {
                let text = value.strip_prefix("desc=\"")?.strip_suffix('"')?;
                kind = StartKind::from_name(text);
            } else if let Some(phase) = Phase::ALL.into_iter().find(|phase| phase.as_str() == name)
            {
                let ms: f64 = value.strip_prefix("dur=")?.parse().ok()?;
                phases.push(PhaseLength {
                    phase,
                    us: (ms * 1e3).round() as u64,
                });
            }
        }
        Some(Self {
            kind: kind?,
            phases,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_the_gateway_writes() {
        let header = "start;desc=\"booted\", gateway;dur=0.041, later;dur=1, user_init;dur=12.500";
        let expected = ServerTiming {
            kind: StartKind::Booted,
            phases: vec![
                PhaseLength {
                    phase: Phase::Gateway,
                    us: 41,
                },
                PhaseLength {
                    phase: Phase::UserInit,
                    us: 12_500,
                },
            ],
        };
        assert_eq!(ServerTiming::parse(header), Some(expected));
        for garbage in [
            "",
            "start",
            "start;desc=\"hot\"",
            "start;desc=\"warm\", gateway;dur=x",
        ] {
            assert_eq!(ServerTiming::parse(garbage), None, "{garbage}");
        }
    }
}
