//! One invocation: find an instance, hand it the event, wait for the answer.

use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::limits;
use pilotlight_model::node::{InvokeReply, InvokeRequest, NodeError};
use pilotlight_model::start::{Cold, StartKind};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::agent::Node;
use crate::clock;
use crate::instance::{Ended, Instance, found_idle};
use crate::live;
use crate::pool::{Grant, Place};

/// How often a request is given to another instance because one died before it took the event.
const ATTEMPTS: usize = 4;
/// How long a request waits for an instance that is about to be idle before a start is made for it. A
/// runtime asks for its next event some hundred microseconds after it has answered, unless the machine
/// is busy, and a client that calls again at once must not cost a cold start. Waiting about as long as
/// a cold start takes costs at most twice the better choice, whichever that turns out to be.
const ABOUT_TO_BE_IDLE: Duration = Duration::from_millis(25);
/// The same where the start would find a spare.
const ABOUT_TO_BE_IDLE_BESIDE_A_SPARE: Duration = Duration::from_millis(2);
/// How long a policy may keep a request from a start, so that it gets an instance that is busy now. No start
/// takes longer than the longest init.
const HELD_BACK: Duration = limits::INIT;
/// How long a request waits for a start before it is sent away.
const WAIT: Duration = Duration::from_secs(60);

/// Runs one invocation. Dropping the future leaves the instance to finish its request.
pub(crate) async fn run(
    node: &Arc<Node>,
    mut request: InvokeRequest,
) -> Result<InvokeReply, NodeError> {
    live::freshen(node, &request.spec).await?;
    // The warm path: no task, no queue, no timer. An instance that is there, idle or spare, gets the event
    // now, and the next thing to happen is its answer.
    if let Some((instance, kind)) = node.pool.take_ready(&request)? {
        found_idle(&mut request.timeline, clock::now());
        match instance.deliver(request, kind) {
            Ok(answer) => {
                // The event is on its way before the policy hears of it.
                node.pool.catch_up();
                match answered(answer).await? {
                    Ended::Answered(reply) => return Ok(*reply),
                    Ended::Undelivered(given_back) => request = *given_back,
                }
            }
            Err(given_back) => request = *given_back,
        }
    }
    // Everything else runs on when the caller is gone.
    node.handle
        .spawn(wait_and_run(Arc::clone(node), request))
        .await
        .unwrap_or_else(|ended| match ended.is_panic() {
            true => Err(NodeError::Internal(ended.to_string())),
            // The process is going away.
            false => Err(NodeError::Draining),
        })
}

/// Waits for an instance, whichever way one comes first.
async fn wait_and_run(
    node: Arc<Node>,
    mut request: InvokeRequest,
) -> Result<InvokeReply, NodeError> {
    for _ in 0..ATTEMPTS {
        let place = node.pool.queue(&request.spec, request.cold)?;
        let (instance, kind) = acquire(place).await?;
        if kind.was_ready() {
            found_idle(&mut request.timeline, clock::now());
        }
        let asked = match request.cold {
            Some(Cold::Kind(kind)) => Some(kind),
            _ => None,
        };
        let ended = deliver(&instance, request, kind).await?;
        // A start that was asked for and is no cheaper for that says nothing of what is missed.
        if asked.is_none_or(|asked| asked < kind) {
            node.ladder.used(&node, &instance.spec, kind);
        }
        match ended {
            Ended::Answered(reply) => return Ok(*reply),
            Ended::Undelivered(given_back) => request = *given_back,
        }
    }
    Err(NodeError::Internal(
        "instances end before they take the request".to_owned(),
    ))
}

/// What the request's place in the queue comes to.
async fn acquire(mut place: Place) -> Result<(Arc<Instance>, StartKind), NodeError> {
    let patience = match place.cheap {
        true => ABOUT_TO_BE_IDLE_BESIDE_A_SPARE,
        false => ABOUT_TO_BE_IDLE,
    };
    let early = match place.soon {
        true => timeout(patience, place.grant()).await.ok(),
        false => None,
    };
    let grant = match early {
        Some(grant) => grant,
        None => {
            if place.soon {
                place.want_start();
            }
            match timeout(HELD_BACK, place.grant()).await {
                Ok(grant) => grant,
                Err(_) => {
                    place.insist();
                    timeout(WAIT - HELD_BACK, place.grant())
                        .await
                        .map_err(|_| NodeError::Overloaded)?
                }
            }
        }
    };
    match grant {
        Grant::Instance(instance, kind) => Ok((instance, kind)),
        Grant::Refused(error) => Err(error),
    }
}

async fn deliver(
    instance: &Instance,
    request: InvokeRequest,
    kind: StartKind,
) -> Result<Ended, NodeError> {
    match instance.deliver(request, kind) {
        Ok(answer) => answered(answer).await,
        Err(given_back) => Ok(Ended::Undelivered(given_back)),
    }
}

async fn answered(answer: oneshot::Receiver<Ended>) -> Result<Ended, NodeError> {
    answer
        .await
        .map_err(|_| NodeError::Internal("the instance gave no answer".to_owned()))
}
