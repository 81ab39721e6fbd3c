//! The states of a function and how they follow each other. Pure: the catalog keeps them, the deploy
//! worker moves them on.

use pilotlight_model::{ErrorKind, LambdaError};
use serde::{Deserialize, Serialize};

use crate::index::not_ready;

/// `State` of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum State {
    Pending,
    Active,
    Failed,
}

/// `LastUpdateStatus` of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum UpdateStatus {
    InProgress,
    Successful,
    Failed,
}

/// Why something is in its state: text for people, code for programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reason {
    pub(crate) text: String,
    pub(crate) code: String,
}

/// Where a function stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Lifecycle {
    pub(crate) state: State,
    pub(crate) state_reason: Option<Reason>,
    /// Absent until the creation is done.
    pub(crate) update: Option<UpdateStatus>,
    pub(crate) update_reason: Option<Reason>,
}

impl State {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            State::Pending => "Pending",
            State::Active => "Active",
            State::Failed => "Failed",
        }
    }
}

impl UpdateStatus {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            UpdateStatus::InProgress => "InProgress",
            UpdateStatus::Successful => "Successful",
            UpdateStatus::Failed => "Failed",
        }
    }
}

impl Reason {
    /// AWS says so for creations and updates alike.
    fn creating() -> Self {
        Self {
            text: "The function is being created.".to_owned(),
            code: "Creating".to_owned(),
        }
    }
}

impl Lifecycle {
    /// A function that was just created.
    pub(crate) fn created() -> Self {
        Self {
            state: State::Pending,
            state_reason: Some(Reason::creating()),
            update: None,
            update_reason: None,
        }
    }

    /// Whether nothing waits to be made ready.
    pub(crate) fn settled(&self) -> bool {
        self.state != State::Pending && self.update != Some(UpdateStatus::InProgress)
    }

    /// Whether what serves is what is configured.
    pub(crate) fn current(&self) -> bool {
        self.state == State::Active && self.update == Some(UpdateStatus::Successful)
    }

    /// The same function with a change that must be made ready. One change at a time.
    pub(crate) fn updating(&self, function_arn: &str) -> Result<Self, LambdaError> {
        if self.state == State::Pending {
            return Err(not_ready(self.state));
        }
        if self.update == Some(UpdateStatus::InProgress) {
            return Err(LambdaError::new(
                ErrorKind::ResourceConflict,
                format!(
                    "The operation cannot be performed at this time. An update is in progress for \
                     resource: {function_arn}"
                ),
            ));
        }
        Ok(Self {
            update: Some(UpdateStatus::InProgress),
            update_reason: Some(Reason::creating()),
            ..self.clone()
        })
    }

    /// What waited has been made ready, or could not be. A failed update leaves the function as it was;
    /// a good one mends a function whose creation failed.
    pub(crate) fn settle(&self, failure: Option<Reason>) -> Self {
        match failure {
            None => Self {
                state: State::Active,
                state_reason: None,
                update: Some(UpdateStatus::Successful),
                update_reason: None,
            },
            Some(reason) if self.state == State::Pending => Self {
                state: State::Failed,
                state_reason: Some(reason.clone()),
                update: Some(UpdateStatus::Failed),
                update_reason: Some(reason),
            },
            Some(reason) => Self {
                update: Some(UpdateStatus::Failed),
                update_reason: Some(reason),
                ..self.clone()
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reason() -> Reason {
        Reason {
            text: "no room".to_owned(),
            code: "InternalError".to_owned(),
        }
    }

    #[test]
    fn creation_ends_active_or_failed() {
        let created = Lifecycle::created();
        assert!(!created.settled());
        assert_eq!(
            created.updating("arn").unwrap_err().message,
            "The operation cannot be performed at this time. The function is currently in the \
             following state: Pending"
        );
        assert_eq!(created.settle(None).state, State::Active);
        let failed = created.settle(Some(reason()));
        assert_eq!((failed.state, failed.settled()), (State::Failed, true));
        assert_eq!(
            failed.updating("arn").unwrap().settle(None),
            created.settle(None)
        );
    }

    #[test]
    fn one_update_at_a_time_and_a_failed_one_keeps_the_function() {
        let updating = Lifecycle::created().settle(None).updating("arn").unwrap();
        assert!(!updating.settled());
        assert_eq!(
            updating.updating("arn:f").unwrap_err().message,
            "The operation cannot be performed at this time. An update is in progress for resource: \
             arn:f"
        );
        let failed = updating.settle(Some(reason()));
        assert_eq!(
            (failed.state, failed.update),
            (State::Active, Some(UpdateStatus::Failed))
        );
    }
}
