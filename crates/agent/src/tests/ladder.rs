//! The ladder: every way up, every way down, and what happens when both come at once.

mod pressure;
mod provisioned;
mod shifts;
mod starts;
mod templates;
mod warm_up;
mod zygotes;

use std::sync::atomic::Ordering;

use pilotlight_model::function::SnapStart;
use pilotlight_model::ladder::{Refusal, Rung};
use pilotlight_model::node::VersionCounts;
use pilotlight_model::start::{Cold, Phase, StartKind};

use super::fake::{Function, forks::Forks, program, step};
use super::*;
use crate::launcher::{Exit, FreezeError};

/// A node whose processes can be forked, with functions like that one, and its zygote up.
async fn node(function: Function) -> World {
    limited(function, Limits::default()).await
}

async fn limited(function: Function, limits: Limits) -> World {
    let launcher = FakeLauncher::forking(program(function));
    let world = World::on(launcher, limits, Folder::new());
    world
        .until(|world| world.agent.status().zygotes[0].ready)
        .await;
    world
}

/// A version that may have a template.
fn version() -> FunctionSpec {
    FunctionSpec {
        snap_start: SnapStart::Auto,
        ..spec()
    }
}

fn named(name: &str, memory_mb: u32) -> Arc<FunctionSpec> {
    let mut spec = version();
    spec.key.name = name.parse().unwrap();
    spec.memory_mb = memory_mb;
    Arc::new(spec)
}

impl World {
    fn forks(&self) -> &Arc<Forks> {
        self.launcher.forks.as_ref().unwrap()
    }

    /// A version made ready, with its template and its spare.
    async fn prepared(&self, spec: FunctionSpec) -> Arc<FunctionSpec> {
        let spec = Arc::new(spec);
        self.agent.prepare(Arc::clone(&spec)).await.unwrap();
        spec
    }

    pub(super) async fn invoke_cold(
        &self,
        spec: &Arc<FunctionSpec>,
        kind: StartKind,
    ) -> InvokeReply {
        let mut wanted = request(spec, "1");
        wanted.cold = Some(Cold::Kind(kind));
        self.try_invoke(wanted).await.unwrap()
    }

    fn of(&self, spec: &FunctionSpec) -> VersionCounts {
        let status = self.agent.status();
        let counts = status.versions.get(&spec.key.to_string());
        counts.cloned().unwrap_or_default()
    }

    /// Waits until a spare of the version is ready.
    async fn spare(&self, spec: &FunctionSpec) {
        self.until(|world| world.of(spec).spares == 1).await;
    }
}

fn phases(reply: &InvokeReply) -> Vec<Phase> {
    let phases = reply.timeline.phases();
    phases.into_iter().map(|(phase, _)| phase).collect()
}

fn refused(reason: &'static str) -> FreezeError {
    FreezeError::Refused(Refusal {
        reason: reason.into(),
        detail: "10.0.0.1:5432".to_owned(),
    })
}
