//! Bringing a version to a number of idle instances before requests come, with or without a call of their
//! handlers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pilotlight_model::RequestId;
use pilotlight_model::function::FunctionSpec;
use pilotlight_model::node::{
    InvokeRequest, NodeError, WARM_UP_CONTEXT, WarmUpCall, WarmUpOrder, WarmedUp,
};
use pilotlight_model::start::{StartKind, Timeline};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::agent::Node;
use crate::clock;
use crate::instance::{Ended, Instance};
use crate::live;
use crate::pool::Purpose;
use crate::runtime_api::{OnFree, Then, Via};
use crate::start::released;

/// How long a warm-up waits for the instances that it has ordered: for their turns and their inits.
const PATIENCE: Duration = Duration::from_secs(60);
/// A call for nobody's request belongs to no trace, and is not sampled.
const NO_TRACE: &str = "Root=1-00000000-000000000000000000000000;Parent=0000000000000000;Sampled=0";

/// An instance that a warm-up waits for. Dropped when its start is over, whichever way.
pub(crate) struct Expected {
    ready: Arc<AtomicU32>,
    _over: mpsc::Sender<()>,
}

/// Brings the version to that many idle instances, as far as there is room.
pub(crate) async fn run(node: &Arc<Node>, order: WarmUpOrder) -> Result<WarmedUp, NodeError> {
    let spec = &order.spec;
    node.image(spec.runtime.image())?;
    if node.pool.is_draining() {
        return Err(NodeError::Draining);
    }
    live::freshen(node, spec).await?;
    let idle = node.pool.keep(spec, order.instances);
    let missing = (order.instances as usize).saturating_sub(idle);
    let started = start(node, spec, missing).await;
    // Only now: a policy that hears of it before would start them, too.
    node.pool.announce(spec, order.instances, clock::now());
    // As after any start, what it missed is made; but not in the room of what has just been warmed up, or of others.
    if started > 0 && node.ladder.has_room(node, spec) {
        node.ladder.missed_template(node, spec);
    }
    let mut warmed = WarmedUp {
        idle: u32::try_from(node.pool.keep(spec, 0)).unwrap_or(u32::MAX),
        started,
        ..WarmedUp::default()
    };
    if let Some(call) = order.call {
        let instances = node.pool.take_idle(spec, order.instances);
        (warmed.called, warmed.failed) = call_all(spec, instances, &call).await;
    }
    Ok(warmed)
}

/// Starts that many instances; returns how many of them became ready.
async fn start(node: &Arc<Node>, spec: &Arc<FunctionSpec>, count: usize) -> u32 {
    let (sender, mut over) = mpsc::channel::<()>(1);
    let ready = Arc::new(AtomicU32::new(0));
    for _ in 0..count {
        let expected = Expected {
            ready: Arc::clone(&ready),
            _over: sender.clone(),
        };
        node.pool.order(Arc::clone(spec), Purpose::WarmUp(expected));
    }
    drop(sender);
    // Nothing is ever sent: it ends when the last that is expected is over.
    if timeout(PATIENCE, over.recv()).await.is_err() {
        tracing::warn!(version = %spec.key, "a warm-up takes long, and goes on in the background");
    }
    ready.load(Ordering::Relaxed)
}

/// Calls the handler of each instance; returns how many were called, and how many of them failed.
async fn call_all(
    spec: &Arc<FunctionSpec>,
    instances: Vec<Arc<Instance>>,
    call: &WarmUpCall,
) -> (u32, u32) {
    let mut calls = JoinSet::new();
    for instance in instances {
        let request = InvokeRequest {
            spec: Arc::clone(spec),
            request_id: RequestId::new(),
            invoked_arn: call.invoked_arn.clone(),
            payload: call.payload.clone(),
            client_context: Some(WARM_UP_CONTEXT.to_owned()),
            trace_id: NO_TRACE.to_owned(),
            cause: None,
            log_tail: false,
            cold: None,
            stream: None,
            timeline: Timeline::begin(clock::now()),
            at_ms: call.at_ms,
        };
        // One that has ended meanwhile is warm no more.
        if let Ok(answer) = instance.deliver(request, StartKind::Warm) {
            calls.spawn(answer);
        }
    }
    let (mut called, mut failed) = (0, 0);
    while let Some(ended) = calls.join_next().await {
        let well = match ended {
            Ok(Ok(Ended::Answered(reply))) => reply.function_error.is_none(),
            _ => false,
        };
        called += 1;
        failed += u32::from(!well);
    }
    (called, failed)
}

/// Puts an instance among the idle when it is ready.
pub(crate) struct Ready {
    node: Arc<Node>,
    /// Who waits for it, if anyone does. Locked to take it, once.
    expected: Mutex<Option<Expected>>,
}

impl Ready {
    pub(crate) fn of(node: &Arc<Node>, expected: Option<Expected>) -> Arc<dyn OnFree> {
        Arc::new(Self {
            node: Arc::clone(node),
            expected: Mutex::new(expected),
        })
    }
}

impl OnFree for Ready {
    fn free(&self, instance: &Arc<Instance>, first: bool, _via: Via, _then: Then) {
        let expected = self.expected.lock().take();
        if !first {
            return released(&self.node, instance, None);
        }
        // It has served nobody: there is nothing to be learned from it yet.
        self.node.pool.release(instance, None);
        if let Some(expected) = expected {
            expected.ready.fetch_add(1, Ordering::Relaxed);
        }
    }
}
