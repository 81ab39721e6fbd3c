//! What a node does for the rest of the platform.

use std::io;
use std::sync::Arc;

use pilotlight_model::Runtime;
use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ids::{AccountId, Digest, Region};
use pilotlight_model::node::{
    Announcement, BoxFuture, CallsAnswer, CallsAsked, Compiled, Declaration, Folder, InvokeReply,
    InvokeRequest, LogLine, Node as NodeApi, NodeError, NodeStatus, Shift, WarmUpOrder, WarmedUp,
    Why,
};
use pilotlight_model::provisioned::Provisioned;

use super::{Agent, internal};
use crate::clock;
use crate::compile;
use crate::event_log::EventLogWriter;
use crate::invoke;
use crate::launcher::RootKey;
use crate::logs::LogGroup;
use crate::shift;
use crate::warm_up;

impl NodeApi for Agent {
    fn invoke(&self, request: InvokeRequest) -> BoxFuture<'_, Result<InvokeReply, NodeError>> {
        Box::pin(invoke::run(&self.node, request))
    }

    fn prepare(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(async move {
            let image = self.node.image(spec.runtime.image())?;
            // A folder that is edited is bound afresh for each start.
            if spec.live_code.is_none() {
                let root = RootKey::of(&spec, &image.digest);
                self.node
                    .launcher
                    .prepare(spec.key.clone(), root)
                    .await
                    .map_err(|error| internal(&error))?;
                self.node.live.forget(&spec.key);
            }
            self.node.ladder.prepare(&self.node, &spec).await;
            self.node.pool.refresh(&spec);
            // AWS publishes no snapshot of it, and so no version.
            match self.node.ladder.init_failure(&spec) {
                Some(status) if spec.snap_start.applies(spec.key.version) => {
                    Err(NodeError::InitFailed(status))
                }
                _ => Ok(()),
            }
        })
    }

    fn warm_up(&self, order: WarmUpOrder) -> BoxFuture<'_, Result<WarmedUp, NodeError>> {
        Box::pin(async move { warm_up::run(&self.node, order).await })
    }

    fn shift(&self, shift: Shift) -> BoxFuture<'_, ()> {
        Box::pin(async move {
            // With a template its instances are forks, whose memory costs next to nothing.
            if let Err(error) = self.prepare(Arc::clone(&shift.to)).await {
                tracing::warn!(%error, version = %shift.to.key, "not prepared for the requests that move to it");
            }
            shift::run(&self.node.pool, &shift).await;
        })
    }

    fn restore(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<bool, NodeError>> {
        Box::pin(async move {
            if !self.node.ladder.has_room(&self.node, &spec) {
                return Ok(false);
            }
            self.prepare(spec).await.map(|()| true)
        })
    }

    fn announce(&self, announcement: Announcement) {
        let Announcement {
            spec,
            requests,
            after,
        } = announcement;
        let at = pilotlight_policy::later(clock::now(), after);
        self.node.pool.announce(&spec, requests, at);
    }

    fn declare(&self, declaration: Declaration) {
        self.node.pool.declare(&declaration);
    }

    fn provision(&self, spec: &Arc<FunctionSpec>, count: u32) {
        self.node.pool.provision(spec, count);
    }

    fn provisioned(&self, key: &VersionKey) -> Option<Provisioned> {
        self.node.pool.provisioned(key)
    }

    fn most_used_first(&self, keys: &mut [VersionKey]) {
        self.node.ladder.most_used_first(keys);
    }

    fn retire(&self, key: &VersionKey) {
        self.node.ladder.forget(key);
        self.node.pool.retire(key);
        self.node.live.forget(key);
        self.node.launcher.forget(key);
    }

    fn compile(
        &self,
        runtime: Runtime,
        image: Digest,
        folder: Folder,
    ) -> BoxFuture<'_, Result<Compiled, NodeError>> {
        Box::pin(compile::run(&self.node, runtime, image, folder))
    }

    fn calls(&self, asked: &CallsAsked) -> CallsAnswer {
        self.node.pool.calls(asked, &self.node.policy)
    }

    fn why(&self, key: &VersionKey) -> Why {
        self.node.pool.why(key, &self.node.policy)
    }

    fn status(&self) -> NodeStatus {
        let (promised_mb, capacity_mb, mut versions) = self.node.pool.counts();
        self.node.ladder.complete(&mut versions);
        NodeStatus {
            node: self.node.name.clone(),
            slots: u32::try_from(self.node.launcher.pooled()).unwrap_or(u32::MAX),
            promised_mb,
            capacity_mb,
            dropped_log_lines: self.node.logs.dropped(),
            forecasts: self.node.pool.forecasts(),
            calls: self.node.pool.call_counters(),
            dropped_events: self.node.events.as_ref().map_or(0, EventLogWriter::dropped),
            versions,
            zygotes: self.node.ladder.zygotes(),
            ladder: self.node.ladder.counters(),
            provisioned: self.node.pool.provisioned_usage(),
        }
    }

    fn read_logs(
        &self,
        account: &AccountId,
        region: &Region,
        log_group: &str,
        position: u64,
        limit: usize,
    ) -> BoxFuture<'_, io::Result<Vec<LogLine>>> {
        let group = LogGroup {
            account: account.clone(),
            region: region.clone(),
            name: log_group.to_owned(),
        };
        Box::pin(self.node.logs.read(group, position, limit))
    }
}
