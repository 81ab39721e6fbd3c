//! The inner doors: the platform's API as functions reach it from within their sandboxes. Who calls is known by the
//! listener that the call came through; what a request says of itself (a signature, a host, an account) makes it nobody
//! else. Hostile code is at the other end: what an instance can hold here is bounded, for itself and for all together.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use http::Response;
use http::header::CONNECTION;
use http::request::Parts as Head;
use hyper::body::Body;
use pilotlight_model::error::ThrottleReason;
use pilotlight_model::names::Target;
use pilotlight_model::node::{BoxFuture, Caller, Cause, FunctionApi, Inhabitant, InnerDoor};
use pilotlight_model::service::ApiId;
use pilotlight_model::{ErrorKind, LambdaError};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use super::{ACCEPT_PAUSE, accept, connection};
use crate::answer_body::AnswerBody;
use crate::auth::{self, Claim};
use crate::body::{FREE_BYTES, Intake};
use crate::budget::{Budget, Share};
use crate::config::Config;
use crate::front::{Gateway, Parts};

/// How late an answer comes that tells of the function's own mistake: a flood of them must not cost the platform more than
/// it costs the sender.
const REFUSAL_PAUSE: Duration = Duration::from_millis(10);

/// What all inner doors share.
#[derive(Debug)]
pub(crate) struct Doors {
    /// Of their connections.
    slots: Arc<Semaphore>,
    /// Of what is held for them.
    budget: Arc<Budget>,
}

/// One inner door.
#[derive(Debug)]
pub(crate) struct Inside {
    inhabitant: Inhabitant,
    /// Reads the bodies of its requests.
    pub(crate) intake: Intake,
    budget: Arc<Budget>,
}

impl Doors {
    pub(crate) fn new(config: &Config) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(config.inner_connections)),
            budget: Arc::new(Budget::new(config.inner_bytes)),
        }
    }
}

impl InnerDoor for Gateway {
    fn serve_inside(
        &self,
        inhabitant: Inhabitant,
        listener: TcpListener,
    ) -> BoxFuture<'static, ()> {
        Box::pin(serve(self.clone(), inhabitant, listener))
    }
}

async fn serve(gateway: Gateway, inhabitant: Inhabitant, listener: TcpListener) {
    let listener = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => listener,
        Err(error) => {
            tracing::error!(version = %inhabitant.version, %error, "inner door not opened");
            return;
        }
    };
    let config = gateway.config();
    let doors = gateway.doors();
    let budget = Arc::new(Budget::within(&doors.budget, config.inner_instance_bytes));
    let inside = Arc::new(Inside {
        intake: Intake::within(config.body_timeout, Arc::clone(&budget)),
        budget,
        inhabitant,
    });
    let own = Arc::new(Semaphore::new(config.inner_instance_connections));
    // Nobody closes them in good order: they end with the instance, and those that it serves during a drain go on.
    let (_closing, watch_closing) = watch::channel(());
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            biased;
            Some(_) = connections.join_next() => continue,
            accepted = accept(&listener, &own) => accepted,
        };
        match accepted {
            Ok((stream, slot)) => {
                // Of those that wait for room among all, an instance has one at a time.
                let shared = Arc::clone(&doors.slots).acquire_owned().await;
                let slots = (slot, shared);
                let inside = Some(Arc::clone(&inside));
                let closing = watch_closing.clone();
                connections.spawn(connection(gateway.clone(), stream, closing, slots, inside));
            }
            Err(error) => {
                tracing::debug!(%error, "connection through an inner door not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

impl Inside {
    /// Whom a request comes from: the inhabitant's account, in the region that the request is signed for, or else in the
    /// inhabitant's.
    fn caller(&self, head: &Head) -> Caller {
        let key = &self.inhabitant.version;
        Caller {
            account: key.account.clone(),
            region: auth::region_of(head).unwrap_or_else(|| key.region.clone()),
            function: Some(key.name.clone()),
        }
    }

    /// The inhabitant's request that it calls for.
    pub(crate) fn request(&self) -> Option<Cause> {
        self.inhabitant.serving.request()
    }

    /// Whether it may ask for anything but an invocation.
    pub(crate) fn may_ask(&self, head: &Head, allowed: FunctionApi) -> Result<(), LambdaError> {
        let Head {
            method,
            uri,
            headers,
            ..
        } = head;
        let api = ApiId::of(method, uri, headers);
        // Who one is, AWS tells everybody.
        if allowed == FunctionApi::Account || api == ApiId::Sts {
            return Ok(());
        }
        let asked = api.operation(method, uri, headers);
        let (operation, resource) = match &asked {
            Some((operation, parts)) => {
                let name = parts.get("FunctionName");
                let target =
                    name.and_then(|name| Target::read(&self.caller(head), name, None).ok());
                (operation.name(), target.map(|target| target.arn()))
            }
            None => ("*", None),
        };
        let action = format!("{}:{operation}", api.signing_name());
        let resource = resource.as_deref().unwrap_or("*");
        Err(LambdaError::new(
            ErrorKind::AccessDenied,
            format!(
                "User: {} is not authorized to perform: {action} on resource: {resource} because no identity-based \
                 policy allows the {action} action",
                self.caller(head).arn()
            ),
        ))
    }

    /// Makes an answer one that this door may give, and holds its share of memory until it is written.
    pub(crate) async fn let_out(
        &self,
        mut response: Response<AnswerBody>,
        api: ApiId,
    ) -> (Response<AnswerBody>, Option<Share>) {
        if response.status().is_client_error() {
            tokio::time::sleep(REFUSAL_PAUSE).await;
        }
        let bytes = response.body().size_hint().exact().unwrap_or(0) as usize;
        let mut share = None;
        if bytes > FREE_BYTES {
            share = self.budget.try_take(bytes);
            if share.is_none() {
                // It takes nothing of the answers that it has: one more is not kept for it.
                let error = LambdaError::throttled(ThrottleReason::CallerRateLimitExceeded);
                response = error.response_of(api).map(AnswerBody::from);
            }
        }
        if self.inhabitant.one_answer {
            let close = http::HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        (response, share)
    }
}

impl Parts {
    /// What reads the body of a request that came that way.
    pub(crate) fn intake_of<'a>(&'a self, inside: Option<&'a Inside>) -> &'a Intake {
        inside.map_or(&self.intake, |inside| &inside.intake)
    }

    /// The claim of a request that came that way.
    pub(crate) fn claim(&self, inside: Option<&Inside>, head: &Head) -> Result<Claim, LambdaError> {
        match inside {
            Some(inside) => Claim::of_function(head, inside.caller(head)),
            None => self.authenticator.claim(head, (self.config.now)()),
        }
    }
}
