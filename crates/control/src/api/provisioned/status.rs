//! How far what is provisioned is there: what the node says of the versions, as the configuration's owner
//! sees it.

use pilotlight_model::VersionKey;
use pilotlight_model::provisioned::{Provisioned, Trouble};
use serde::Serialize;

use crate::catalog::concurrency::ProvisionedConfig;
use crate::claims::Allotment;
use crate::control::Parts;
use crate::dates;

/// A configuration as the API shows it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(in crate::api) struct Shown {
    requested_provisioned_concurrent_executions: u32,
    available_provisioned_concurrent_executions: u32,
    allocated_provisioned_concurrent_executions: u32,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    status_reason: Option<&'static str>,
    last_modified: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
enum Status {
    InProgress,
    Ready,
    Failed,
}

/// What one version has, with what is wanted of it.
#[derive(Debug, Clone)]
struct Part {
    allotment: Allotment,
    /// By all qualifiers together.
    wanted: u32,
    /// What the node has been told of it and made.
    found: Option<Provisioned>,
}

impl Shown {
    /// As the answer to the request that has just made it what it is.
    pub(super) fn begun(self) -> Self {
        Self {
            status: Status::InProgress,
            status_reason: None,
            ..self
        }
    }
}

/// The configuration as it is now.
pub(super) fn of(parts: &Parts, function: &VersionKey, config: &ProvisionedConfig) -> Shown {
    let allotments = parts
        .catalog
        .index()
        .allotments(function, &config.qualifier);
    let pieces: Vec<Part> = allotments
        .into_iter()
        .map(|(allotment, wanted)| Part {
            allotment,
            wanted,
            found: parts.node.provisioned(&VersionKey {
                version: allotment.version,
                ..function.clone()
            }),
        })
        .collect();
    show(config, &pieces)
}

/// Pure: where several qualifiers provision the same version, those before this one have theirs first.
fn show(config: &ProvisionedConfig, parts: &[Part]) -> Shown {
    let own = |part: &Part, count: fn(&Provisioned) -> u32| {
        let count = part.found.as_ref().map_or(0, count);
        count
            .saturating_sub(part.allotment.before)
            .min(part.allotment.count)
    };
    let sum = |count: fn(&Provisioned) -> u32| parts.iter().map(|part| own(part, count)).sum();
    let allocated: u32 = sum(|found| found.allocated);
    // What the node tells of another number is no answer to this one.
    let troubles = parts.iter().filter_map(|part| {
        let found = part.found.as_ref()?;
        found.trouble.filter(|_| found.wanted == part.wanted)
    });
    let (status, status_reason) = match troubles.max_by_key(|trouble| *trouble as u8) {
        _ if allocated >= config.requested => (Status::Ready, None),
        Some(trouble) => (Status::Failed, Some(reason(trouble))),
        None => (Status::InProgress, None),
    };
    Shown {
        requested_provisioned_concurrent_executions: config.requested,
        available_provisioned_concurrent_executions: sum(|found| found.available),
        allocated_provisioned_concurrent_executions: allocated,
        status,
        status_reason,
        last_modified: dates::written(config.modified_ms, dates::OF_PROVISIONED),
    }
}

fn reason(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::InitFailed => "FUNCTION_ERROR_INIT_FAILURE",
        Trouble::NoRoom => "The node has no room for more instances. They are made when there is.",
        Trouble::Platform => "The platform failed to make an instance. It is tried again.",
    }
}

#[cfg(test)]
mod tests {
    use pilotlight_model::Version;
    use pilotlight_model::names::Qualifier;

    use super::*;

    fn part(before: u32, count: u32, allocated: u32, trouble: Option<Trouble>) -> Part {
        Part {
            allotment: Allotment {
                version: Version::Number(1),
                count,
                before,
            },
            wanted: 10,
            found: Some(Provisioned {
                wanted: 10,
                allocated,
                available: allocated / 2,
                trouble,
                ..Provisioned::default()
            }),
        }
    }

    fn shown(requested: u32, parts: &[Part]) -> (Status, u32, u32, Option<&'static str>) {
        let config = ProvisionedConfig {
            qualifier: Qualifier::Version(Version::Number(1)),
            requested,
            modified_ms: 1_767_323_045_678,
        };
        let shown = show(&config, parts);
        assert_eq!(shown.last_modified, "2026-01-02T03:04:05+0000");
        (
            shown.status,
            shown.allocated_provisioned_concurrent_executions,
            shown.available_provisioned_concurrent_executions,
            shown.status_reason,
        )
    }

    #[test]
    fn the_status_follows_what_is_there() {
        use Status::{Failed, InProgress, Ready};
        assert_eq!(shown(4, &[part(0, 4, 2, None)]), (InProgress, 2, 1, None));
        assert_eq!(shown(4, &[part(0, 4, 4, None)]), (Ready, 4, 2, None));
        let failing = part(0, 4, 1, Some(Trouble::InitFailed));
        let reason = Some("FUNCTION_ERROR_INIT_FAILURE");
        assert_eq!(
            shown(4, std::slice::from_ref(&failing)),
            (Failed, 1, 0, reason)
        );
        let untold = Part {
            wanted: 9,
            ..failing
        };
        assert_eq!(shown(4, &[untold]), (InProgress, 1, 0, None));
        assert_eq!(
            shown(4, &[]),
            (InProgress, 0, 0, None),
            "its alias points at $LATEST"
        );
    }

    #[test]
    fn qualifiers_of_one_version_have_theirs_in_order() {
        assert_eq!(shown(4, &[part(0, 4, 6, None)]).1, 4);
        assert_eq!(shown(6, &[part(4, 6, 6, None)]).1, 2);
        let two = [part(0, 3, 3, None), part(0, 1, 1, None)];
        assert_eq!(
            shown(4, &two).0,
            Status::Ready,
            "of both versions of an alias"
        );
    }
}
