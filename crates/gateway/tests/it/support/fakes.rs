//! Everything behind the gateway: by a function's name it is there or not, and may be invoked or not.

use std::sync::Arc;

use bytes::Bytes;
use http::{Request, Response};
use parking_lot::Mutex;
use pilotlight_model::error::ErrorKind;
use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::function_policy::{
    Conditions, Effect, INVOKE_FUNCTION, INVOKE_FUNCTION_URL, Policy, Principal, Statement,
};
use pilotlight_model::ladder::{LadderCounters, Rung, ZygoteStatus};
use pilotlight_model::names::Target;
use pilotlight_model::node::{
    Announcement, Api, BoxFuture, CallCounters, Caller, CallsAnswer, CallsAsked, Compiled,
    Declaration, Directory, EventQueue, Folder, ForecastCounters, InvokeReply, InvokeRequest,
    LogLine, Node, NodeError, NodeStatus, QueuedEvent, Resolved, Route, Shift, VersionCounts,
    WarmUpOrder, WarmedUp, Why,
};
use pilotlight_model::provisioned::{Provisioned, Usage};
use pilotlight_model::url::FunctionUrl;
use pilotlight_model::{
    AccountId, Digest, FunctionName, LambdaError, Region, Runtime, UrlId, Weight,
};
use serde_json::json;

use super::Behaviour;
use super::functions::{SPLIT, draw, share, spec, version};

/// Directory, node, queue and control plane in one.
pub(crate) struct Fakes {
    pub(super) behaviour: Behaviour,
    pub(crate) invoked: Mutex<Vec<InvokeRequest>>,
    pub(crate) queued: Mutex<Vec<QueuedEvent>>,
    pub(crate) logs: Mutex<Vec<LogLine>>,
    pub(crate) urls: Mutex<Vec<Arc<FunctionUrl>>>,
}

impl Directory for Fakes {
    /// As many loops as it likes, if that is its name.
    fn may_loop<'a>(&'a self, version: &'a VersionKey) -> BoxFuture<'a, bool> {
        Box::pin(async { version.name.as_str() == "looping" })
    }

    fn resolve(
        &self,
        account: &AccountId,
        region: &Region,
        name: &FunctionName,
        qualifier: Option<&str>,
    ) -> Result<Resolved, LambdaError> {
        let mut arn = format!("arn:aws:lambda:{region}:{account}:function:{name}");
        if let Some(qualifier) = qualifier {
            arn = format!("{arn}:{qualifier}");
        }
        match name.as_str() {
            "missing" => Err(LambdaError::function_not_found(&arn)),
            "pending" => Err(LambdaError::new(
                ErrorKind::ResourceConflict,
                "The operation cannot be performed at this time. The function is currently in the \
                 following state: Pending",
            )),
            "split" => Ok(Resolved {
                spec: version(account, region, name, SPLIT.choose(draw)),
                invoked_arn: arn,
                share: share(name),
            }),
            _ => Ok(Resolved {
                spec: spec(account, region, name),
                invoked_arn: arn,
                share: share(name),
            }),
        }
    }

    fn routes(&self, target: &Target) -> Result<Vec<Route>, LambdaError> {
        let Target {
            account,
            region,
            name,
            qualifier,
        } = target;
        let resolved = self.resolve(account, region, name, qualifier.as_deref())?;
        let route = |(number, weight)| Route {
            resolved: Resolved {
                spec: version(account, region, name, number),
                ..resolved.clone()
            },
            weight,
        };
        Ok(match name.as_str() {
            "split" => SPLIT.shares().map(route).collect(),
            _ => vec![Route {
                resolved,
                weight: Weight::ALL,
            }],
        })
    }

    /// The function `shared` may be invoked by everybody; so may the URLs of `public`, and those of `partner`
    /// by whoever signs.
    fn policy(&self, target: &Target) -> Arc<Policy> {
        let statement = |action: &str, auth_type: Option<&str>| Statement {
            sid: "everybody".to_owned(),
            effect: Effect::Allow,
            principal: Principal::Everyone,
            action: action.to_owned(),
            resource: target.function_arn(),
            condition: Conditions {
                string_equals: auth_type
                    .map(|it| ("lambda:FunctionUrlAuthType".to_owned(), it.to_owned()))
                    .into_iter()
                    .collect(),
                ..Conditions::default()
            },
        };
        let statement = match target.name.as_str() {
            "shared" => Some(statement(INVOKE_FUNCTION, None)),
            "public" => Some(statement(INVOKE_FUNCTION_URL, Some("NONE"))),
            "partner" => Some(statement(INVOKE_FUNCTION_URL, Some("AWS_IAM"))),
            _ => None,
        };
        Arc::new(Policy {
            statements: statement.into_iter().collect(),
        })
    }

    fn function_url(&self, id: &UrlId) -> Option<Arc<FunctionUrl>> {
        let urls = self.urls.lock();
        urls.iter().find(|url| url.id == *id).cloned()
    }
}

impl Node for Fakes {
    fn invoke(&self, request: InvokeRequest) -> BoxFuture<'_, Result<InvokeReply, NodeError>> {
        self.invoked.lock().push(request.clone());
        (self.behaviour)(request)
    }

    fn prepare(&self, _: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), NodeError>> {
        unreachable!("the gateway prepares nothing")
    }

    fn warm_up(&self, _: WarmUpOrder) -> BoxFuture<'_, Result<WarmedUp, NodeError>> {
        unreachable!("the gateway warms nothing up")
    }

    fn announce(&self, _: Announcement) {
        unreachable!("the gateway announces nothing")
    }

    fn declare(&self, _: Declaration) {
        unreachable!("the gateway declares nothing")
    }

    fn shift(&self, _: Shift) -> BoxFuture<'_, ()> {
        unreachable!("the gateway moves nothing")
    }

    fn restore(&self, _: Arc<FunctionSpec>) -> BoxFuture<'_, Result<bool, NodeError>> {
        Box::pin(async { Ok(true) })
    }

    fn provision(&self, _: &Arc<FunctionSpec>, _: u32) {
        unreachable!("the gateway provisions nothing")
    }

    fn provisioned(&self, _: &VersionKey) -> Option<Provisioned> {
        unreachable!("the gateway asks for the whole status")
    }

    fn most_used_first(&self, _: &mut [VersionKey]) {}

    fn retire(&self, _: &VersionKey) {
        unreachable!("the gateway retires nothing")
    }

    fn compile(
        &self,
        _: Runtime,
        _: Digest,
        _: Folder,
    ) -> BoxFuture<'_, Result<Compiled, NodeError>> {
        unreachable!("the gateway compiles nothing")
    }

    fn calls(&self, asked: &CallsAsked) -> CallsAnswer {
        CallsAnswer {
            policy: format!("{asked:?}"),
            calls: Vec::new(),
            next: Some(asked.from + 1),
        }
    }

    fn why(&self, key: &VersionKey) -> Why {
        Why {
            version: key.to_string(),
            policy: "fixed".to_owned(),
            warm: 3,
            starts: Vec::new(),
            forecasts: None,
        }
    }

    fn status(&self) -> NodeStatus {
        let arn = |account: &str| format!("arn:aws:lambda:us-east-1:{account}:function:f:$LATEST");
        let counts = VersionCounts {
            busy: 1,
            idle: 2,
            starting: 3,
            spares: 1,
            berths: 1,
            rung: Rung::Idle,
            template_bytes: 2 << 20,
            spare_bytes: 1 << 20,
            refusal: None,
            without_template: None,
            provisioned: Some(Provisioned {
                wanted: 5,
                allocated: 3,
                available: 2,
                ..Provisioned::default()
            }),
        };
        NodeStatus {
            node: "node-1".to_owned(),
            slots: 4,
            promised_mb: 128,
            capacity_mb: 1024,
            dropped_log_lines: 5,
            dropped_events: 7,
            forecasts: Some(ForecastCounters {
                forecasts: 9,
                hits: 6,
                misses: 2,
                wasted_mb_s: 1.5,
            }),
            calls: Some(CallCounters {
                calls: 8,
                forecasts: 5,
                hits: 4,
                lead_s: 2.5,
                wasted_mb_s: 0.5,
            }),
            versions: ["123456789012", "000000000001"]
                .map(|account| (arn(account), counts.clone()))
                .into(),
            zygotes: vec![ZygoteStatus {
                runtime: "python3.11".to_owned(),
                ready: true,
                berths: 4,
                bytes: 9 << 20,
                note: None,
            }],
            ladder: LadderCounters {
                forks: 6,
                fork_us: 12_000,
                refusals: [("open_connection".to_owned(), 2)].into(),
                given_up: [("spare".to_owned(), 3)].into(),
            },
            provisioned: Usage {
                invocations: 7,
                spillovers: 1,
                idle_mb_ms: 512 * 3_000,
            },
        }
    }

    fn read_logs(
        &self,
        account: &AccountId,
        _: &Region,
        group: &str,
        position: u64,
        limit: usize,
    ) -> BoxFuture<'_, std::io::Result<Vec<LogLine>>> {
        let found = match (account.as_str(), group) {
            ("123456789012", "/aws/lambda/hello" | "shared") => Ok(self
                .logs
                .lock()
                .iter()
                .filter(|line| line.position > position)
                .take(limit)
                .cloned()
                .collect()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        };
        Box::pin(async { found })
    }
}

impl EventQueue for Fakes {
    fn enqueue(&self, event: QueuedEvent) -> BoxFuture<'_, Result<(), LambdaError>> {
        Box::pin(async move {
            if event.payload == "\"full\"" {
                return Err(LambdaError::new(ErrorKind::Service, "The queue is full."));
            }
            self.queued.lock().push(event);
            Ok(())
        })
    }
}

impl Api for Fakes {
    fn handle(&self, caller: Caller, request: Request<Bytes>) -> BoxFuture<'_, Response<Bytes>> {
        let body = json!({
            "account": caller.account,
            "region": caller.region,
            "method": request.method().as_str(),
            "path": request.uri().path(),
            "bytes": request.body().len(),
        });
        Box::pin(async move { Response::new(Bytes::from(body.to_string())) })
    }
}
