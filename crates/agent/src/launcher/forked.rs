//! Templates of this machine, and what is forked from them.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox as sandbox;

use super::mounting::{Erofs, KeptRoot, rooted, rooted_beside};
use super::terms::{accompaniment, beside, launched};
use super::{Berth, Company, Furnishing, LaunchError, Launched, Marks, Template};
use crate::clock;
use crate::extensions::Accompaniment;
use crate::roots::Roots;

/// A frozen process.
pub(super) struct Frozen {
    pub(super) template: sandbox::Template,
    pub(super) roots: Arc<Roots<Erofs>>,
}

impl Template for Frozen {
    fn berth(&self, demand: sandbox::Demand) -> BoxFuture<'_, Result<Box<dyn Berth>, LaunchError>> {
        Box::pin(async move {
            let berth = self
                .template
                .berth(demand)
                .await
                .map_err(|error| LaunchError::platform("cannot make a sandbox", error))?;
            let berth: Box<dyn Berth> = Box::new(WaitingFork {
                berth,
                taken: false,
                root: None,
                roots: Arc::clone(&self.roots),
            });
            Ok(berth)
        })
    }

    fn died(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.template.died().await;
        })
    }

    fn private_bytes(&self) -> u64 {
        // One that has died has none.
        self.template.private_bytes().unwrap_or(0)
    }
}

struct WaitingFork {
    berth: sandbox::Berth,
    taken: bool,
    /// Mounted for as long as the berth is there; then its sandbox has a clone.
    root: Option<KeptRoot>,
    roots: Arc<Roots<Erofs>>,
}

impl Berth for WaitingFork {
    fn take_listeners(&mut self) -> Option<sandbox::Listeners> {
        (!std::mem::replace(&mut self.taken, true)).then(|| self.berth.take_listeners())
    }

    fn furnish(&mut self, furnishing: Furnishing) -> BoxFuture<'_, Result<(), LaunchError>> {
        Box::pin(async move {
            let rooted = rooted(&self.roots, Some(furnishing.owner), furnishing.root).await?;
            let furnishing = sandbox::Furnishing {
                root: &rooted.root,
                memory_mb: furnishing.memory_mb,
                tmp_mb: furnishing.tmp_mb,
            };
            self.berth
                .furnish(furnishing)
                .await
                .map_err(|error| LaunchError::platform("cannot furnish a sandbox", error))?;
            self.root = Some(rooted);
            Ok(())
        })
    }

    fn accompany(
        &mut self,
        company: Company,
    ) -> BoxFuture<'_, Result<Option<(Accompaniment, Marks)>, LaunchError>> {
        Box::pin(async move {
            let Some(rooted) = rooted_beside(&self.roots, &company).await? else {
                return Ok(None);
            };
            let companions = self
                .berth
                .accompany(beside(&company, &rooted))
                .await
                .map_err(|error| LaunchError::platform("cannot furnish a sandbox", error))?;
            let accompaniment = accompaniment(&rooted, companions)?;
            self.root = Some(rooted);
            let now = clock::now();
            let marks = Marks {
                cgroup: now,
                mounts: now,
                network: now,
                spawn: now,
            };
            Ok(Some((accompaniment, marks)))
        })
    }

    fn is_alive(&self) -> bool {
        self.berth.is_alive()
    }

    fn make_ready(&mut self) {
        self.berth.make_ready();
    }

    fn fork(
        self: Box<Self>,
        request_socket: Option<OwnedFd>,
    ) -> BoxFuture<'static, Result<Launched, LaunchError>> {
        Box::pin(async move {
            let process = self
                .berth
                .fork(request_socket)
                .await
                .map_err(|error| LaunchError::platform("cannot fork a template", error))?;
            launched(process, self.roots)
        })
    }
}
