//! Zygotes that are there because a policy wants them: only where nodes have none of their own. One is held
//! by any number of versions of its runtime, and weighs once.

use std::collections::BTreeSet;

use pilotlight_model::start::Instant;
use pilotlight_policy::{NodeId, VersionId};

use crate::profile::ClassName;

/// Of all nodes.
#[derive(Debug)]
pub(super) struct Zygotes {
    /// Who holds one, by node and class.
    holders: Vec<[BTreeSet<VersionId>; 4]>,
    /// Mebibytes of those that are there.
    mb: f64,
    since: Instant,
    mb_s: f64,
}

impl Zygotes {
    pub(super) fn new(nodes: u32, begin: Instant) -> Self {
        let mut holders = Vec::new();
        holders.resize_with(nodes as usize, Default::default);
        Self {
            holders,
            mb: 0.0,
            since: begin,
            mb_s: 0.0,
        }
    }

    pub(super) fn is_there(&self, node: NodeId, class: ClassName) -> bool {
        !self.holders[node.0 as usize][class as usize].is_empty()
    }

    /// A version holds it. False where it did already.
    pub(super) fn hold(
        &mut self,
        now: Instant,
        node: NodeId,
        class: ClassName,
        mb: f64,
        version: VersionId,
    ) -> bool {
        self.settle(now);
        let holders = &mut self.holders[node.0 as usize][class as usize];
        if holders.is_empty() {
            self.mb += mb;
        }
        holders.insert(version)
    }

    /// A version lets go of it. False where it did not hold it.
    pub(super) fn let_go(
        &mut self,
        now: Instant,
        node: NodeId,
        class: ClassName,
        mb: f64,
        version: VersionId,
    ) -> bool {
        self.settle(now);
        let holders = &mut self.holders[node.0 as usize][class as usize];
        let held = holders.remove(&version);
        if held && holders.is_empty() {
            self.mb -= mb;
        }
        held
    }

    fn settle(&mut self, now: Instant) {
        self.mb_s += self.mb * now.since(self.since).as_secs_f64();
        self.since = self.since.max(now);
    }

    /// Memory-time up to the end, in MB·s.
    pub(super) fn close(&mut self, end: Instant) -> f64 {
        self.settle(end);
        self.mb_s
    }
}
