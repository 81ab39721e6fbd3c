//! Tells the node which versions call which, as far as chains declare it: after a start, and whenever chains or what their
//! names mean have changed.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use pilotlight_model::error::Causes;
use pilotlight_model::names::Target;
use pilotlight_model::node::{Caller, Declaration, Route};
use pilotlight_model::{FunctionSpec, VersionKey};
use tokio_util::sync::CancellationToken;

use crate::catalog::CatalogError;
use crate::catalog::chains::Chain;
use crate::control::Parts;

/// Between two looks at what names mean, at least: a deployment changes it several times.
const REST: Duration = Duration::from_millis(100);
/// Rest after a fault of the catalog.
const FAULT_REST: Duration = Duration::from_secs(5);

/// Calls by caller and callee.
type Links = BTreeMap<(VersionKey, VersionKey), Link>;

/// What is declared of one version's calls to another.
#[derive(Debug, Clone)]
struct Link {
    caller: Arc<FunctionSpec>,
    callee: Arc<FunctionSpec>,
    part: f64,
    after: Option<Duration>,
}

impl Link {
    /// Whether the node knows all of it that has heard of the other.
    fn is(&self, other: &Self) -> bool {
        self.says(other)
            && self.caller.revision == other.caller.revision
            && self.callee.revision == other.callee.revision
    }

    fn says(&self, other: &Self) -> bool {
        self.part == other.part && self.after == other.after
    }

    fn declaration(&self, part: f64) -> Declaration {
        Declaration {
            caller: Arc::clone(&self.caller),
            callee: Arc::clone(&self.callee),
            part,
            after: self.after,
        }
    }
}

/// The worker; runs until stopped.
pub(crate) async fn run(parts: Arc<Parts>, stop: CancellationToken) {
    let mut told = Links::new();
    let (mut chains, mut changed) = (Vec::new(), true);
    while !stop.is_cancelled() {
        let mut rest = REST;
        if changed {
            let read = parts.catalog.read(|session| session.all_chains()).await;
            match read {
                Ok(read) => (chains, changed) = (read, false),
                Err(error) => {
                    let error: CatalogError = error;
                    tracing::error!(error = %Causes(&error), "chains cannot be read");
                    rest = FAULT_REST;
                }
            }
        }
        tell(&parts, &mut told, links(&parts, &chains));
        tokio::select! {
            () = stop.cancelled() => return,
            () = tokio::time::sleep(rest) => {}
        }
        if changed {
            continue;
        }
        tokio::select! {
            // What is declared comes before what it means: names may change all the time.
            biased;
            () = stop.cancelled() => {}
            () = parts.chains_changed.notified() => changed = true,
            () = parts.catalog.index().renamed.notified() => {}
        }
    }
}

/// What the chains mean now. A function that there is not, or not yet, calls nothing.
fn links(parts: &Parts, chains: &[Chain]) -> Links {
    let mut links = Links::new();
    for chain in chains {
        for call in &chain.calls {
            let callers = routes(parts, &chain.owner, &call.caller);
            let callees = routes(parts, &chain.owner, &call.callee);
            let pairs = callers
                .iter()
                .flat_map(|one| callees.iter().map(move |other| (one, other)));
            for (caller, callee) in pairs {
                let link = Link {
                    caller: Arc::clone(&caller.resolved.spec),
                    callee: Arc::clone(&callee.resolved.spec),
                    part: call.part * f64::from(callee.weight),
                    after: (call.waits > 0.0)
                        .then(|| Duration::try_from_secs_f64(call.waits).ok())
                        .flatten(),
                };
                let pair = (link.caller.key.clone(), link.callee.key.clone());
                // Where two chains say it, the one that says more of it.
                let known = links.entry(pair).or_insert_with(|| link.clone());
                if known.part < link.part {
                    *known = link;
                }
            }
        }
    }
    links.retain(|(caller, callee), _| caller != callee);
    links
}

/// The versions that a name means to that account.
fn routes(parts: &Parts, owner: &Caller, name: &str) -> Vec<Route> {
    let target = Target::resolve(owner, name, None);
    let own = target
        .ok()
        .filter(|it| it.account == owner.account && it.region == owner.region);
    own.and_then(|target| parts.routes(&target).ok())
        .unwrap_or_default()
}

/// Tells the node what is new, and takes back what is no more.
fn tell(parts: &Parts, told: &mut Links, links: Links) {
    let is_there = |key: &VersionKey| parts.catalog.index().serving(key).is_some();
    for ((caller, callee), link) in &*told {
        let stays = links.get(&(caller.clone(), callee.clone()));
        // The node has forgotten what it knew of a version that is no more.
        if stays.is_none_or(|it| !it.says(link)) && is_there(caller) && is_there(callee) {
            parts.node.declare(link.declaration(0.0));
        }
    }
    for (pair, link) in &links {
        if told.get(pair).is_none_or(|it| !it.is(link)) {
            parts.node.declare(link.declaration(link.part));
        }
    }
    *told = links;
}
