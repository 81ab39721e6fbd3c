//! One attempt at a firing, within a transaction: an event goes into the asynchronous queue in the very
//! transaction that notes the firing, so that neither a crash before nor one after it loses or repeats it.

use std::sync::Arc;

use bytes::Bytes;
use pilotlight_model::node::QueuedEvent;
use pilotlight_model::{AccountId, LambdaError, RequestId};
use uuid::Uuid;

use super::delivery::{Context, Delivery};
use super::retry::{self, Verdict};
use crate::catalog::deliveries::{Kind, Message};
use crate::catalog::firings::Firing;
use crate::catalog::{CatalogError, Session};
use crate::control::Parts;
use crate::events::record::Attributes;
use crate::events::schedule::Entry;
use crate::warm_up;

/// What a transaction hands on. Its places in the asynchronous queue are given back unless it is committed.
pub(crate) struct Handed {
    parts: Arc<Parts>,
    /// Of events of these sizes.
    places: Vec<(AccountId, usize)>,
    events: Vec<Entry>,
    deliveries: Vec<Entry>,
}

impl Handed {
    pub(crate) fn new(parts: &Arc<Parts>) -> Self {
        Self {
            parts: Arc::clone(parts),
            places: Vec::new(),
            events: Vec::new(),
            deliveries: Vec::new(),
        }
    }

    /// Places in the queue for an event of that size, if there are so many for that account.
    fn enter(&mut self, account: &AccountId, bytes: usize) -> bool {
        let entered = self.parts.queue.enter(account, bytes);
        if entered {
            self.places.push((account.clone(), bytes));
        }
        entered
    }

    /// It is committed: deliveries begin.
    pub(crate) fn announce(mut self) {
        self.places.clear();
        let events = std::mem::take(&mut self.events);
        let deliveries = std::mem::take(&mut self.deliveries);
        if !events.is_empty() {
            self.parts.queue.entered(events);
        }
        self.parts.deliveries.add(deliveries);
    }
}

impl Drop for Handed {
    fn drop(&mut self) {
        for (account, bytes) in &self.places {
            self.parts.queue.leave(account, *bytes);
        }
    }
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) enum Attempted {
    /// The event is in the queue.
    Done,
    /// It takes time, and none of it is in the transaction.
    WarmUp(warm_up::Request),
    /// With the reason why not.
    Failed(Failed),
}

/// Why a firing could not be handed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failed {
    /// As an error of the API is called.
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl From<LambdaError> for Failed {
    fn from(error: LambdaError) -> Self {
        Self {
            code: error.kind.type_name(),
            message: error.message,
        }
    }
}

/// Tries to hand a firing on.
pub(crate) fn attempt(
    session: &Session<'_>,
    firing: &Firing,
    now_ms: u64,
    handed: &mut Handed,
) -> Result<Attempted, CatalogError> {
    let delivery = match Delivery::of(&firing.target, &context(firing)) {
        Ok(delivery) => delivery,
        // It was judged when the schedule was made; limits may have become narrower since.
        Err(unusable) => {
            return Ok(Attempted::Failed(Failed {
                code: "ValidationException",
                message: unusable.0,
            }));
        }
    };
    let (function, payload, client_context) = match delivery {
        Delivery::WarmUp(request) => return Ok(Attempted::WarmUp(request)),
        Delivery::Queue { arn, body } => {
            let message = message(firing, Kind::Scheduled, arn, body, now_ms);
            handed.deliveries.push(session.deliver(&message, now_ms)?);
            return Ok(Attempted::Done);
        }
        Delivery::Invoke {
            function,
            payload,
            client_context,
        } => (function, payload, client_context),
    };
    let (account, region) = (function.account, function.region);
    let resolved = handed.parts.resolve(
        &account,
        &region,
        &function.name,
        function.qualifier.as_deref(),
    );
    if let Err(error) = resolved {
        return Ok(Attempted::Failed(error.into()));
    }
    if !handed.enter(&account, payload.len()) {
        return Ok(Attempted::Failed(Failed {
            code: "TooManyRequestsException",
            message: "Rate Exceeded.".to_owned(),
        }));
    }
    let event = QueuedEvent {
        request_id: RequestId::new(),
        account,
        region,
        name: function.name,
        qualifier: function.qualifier,
        payload,
        client_context,
        trace_id: trace_id(now_ms),
        cause: None,
    };
    handed.events.push(session.enqueue(&event, now_ms)?);
    Ok(Attempted::Done)
}

/// Writes down that an attempt at a firing has failed. A firing that is new has no row yet.
pub(crate) fn failed(
    session: &Session<'_>,
    firing: &Firing,
    failed: &Failed,
    new: bool,
    now_ms: u64,
    handed: &mut Handed,
) -> Result<(), CatalogError> {
    let attempts = firing.attempts + 1;
    let policy = firing.target.retry_policy;
    let Failed { code, message } = failed;
    match retry::judge(policy, firing.fired_ms, attempts, now_ms) {
        Verdict::Again(retry_ms) => {
            tracing::info!(
                schedule = firing.schedule_arn,
                code,
                cause = message,
                retry_ms,
                "firing put off"
            );
            let error = format!("{code}: {message}");
            match new {
                true => session.insert_firing(&Firing {
                    attempts,
                    retry_ms,
                    last_error: Some(error),
                    ..firing.clone()
                })?,
                false => session.put_firing_off(firing.id, attempts, retry_ms, &error)?,
            }
        }
        Verdict::GivenUp(exhausted) => {
            tracing::warn!(
                schedule = firing.schedule_arn,
                execution = firing.execution_id,
                code,
                cause = message,
                exhausted,
                attempts,
                "firing given up"
            );
            if !new {
                session.remove_firing(firing.id)?;
            }
            dead_letter(session, firing, failed, exhausted, now_ms, handed)?;
        }
    }
    Ok(())
}

/// Tells of a firing that is given up, where its schedule says that this is to be told.
pub(crate) fn dead_letter(
    session: &Session<'_>,
    firing: &Firing,
    failed: &Failed,
    exhausted: &str,
    now_ms: u64,
    handed: &mut Handed,
) -> Result<(), CatalogError> {
    let config = firing.target.dead_letter_config.as_ref();
    let Some(queue) = config.and_then(|config| config.arn.clone()) else {
        return Ok(());
    };
    let context = context(firing);
    let input = firing.target.input.as_deref();
    let body = input.map_or_else(String::new, |input| context.fill_in(input));
    let mut message = message(firing, Kind::DeadLetter, queue, body.into(), now_ms);
    let others = [
        ("ERROR_CODE", failed.code.to_owned()),
        ("ERROR_MESSAGE", failed.message.clone()),
        ("EXECUTION_ID", firing.execution_id.clone()),
        ("EXHAUSTED_RETRY_CONDITION", exhausted.to_owned()),
        ("IS_PAYLOAD_TRUNCATED", "false".to_owned()),
        ("RETRY_ATTEMPTS", firing.attempts.to_string()),
        ("SCHEDULED_TIME", context.scheduled_time()),
        ("SCHEDULE_ARN", firing.schedule_arn.clone()),
        ("TARGET_ARN", firing.target.arn.clone()),
    ];
    message.attributes = Some(Attributes {
        others: others
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value))
            .collect(),
        ..Attributes::default()
    });
    handed.deliveries.push(session.deliver(&message, now_ms)?);
    Ok(())
}

fn message(firing: &Firing, kind: Kind, target: String, body: Bytes, now_ms: u64) -> Message {
    let name = firing.schedule_arn.rsplit('/').next().unwrap_or_default();
    Message {
        kind,
        target,
        body,
        attributes: None,
        trace_id: trace_id(now_ms),
        cause: None,
        account: firing.caller.account.to_string(),
        region: firing.caller.region.to_string(),
        name: name.to_owned(),
        request_id: firing.execution_id.clone(),
    }
}

/// What the input may refer to.
pub(crate) fn context(firing: &Firing) -> Context {
    Context {
        caller: firing.caller.clone(),
        schedule_arn: firing.schedule_arn.clone(),
        scheduled_ms: firing.scheduled_ms,
        execution_id: firing.execution_id.clone(),
        attempt: firing.attempts + 1,
    }
}

/// A trace of its own for every firing ("Tracing header", AWS X-Ray developer guide).
fn trace_id(now_ms: u64) -> String {
    let unique = &Uuid::new_v4().simple().to_string()[..24];
    format!("Root=1-{:08x}-{unique};Sampled=0", (now_ms / 1_000) as u32)
}
