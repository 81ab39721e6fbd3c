//! One version, as the books have it.

use std::time::Duration;

use pilotlight_model::ladder::Rung;

use super::State;
use crate::event::{Deployed, Runtime};
use crate::{Bytes, NodeId};

/// A version.
#[derive(Debug, Clone, PartialEq)]
pub struct Version {
    /// What it runs on.
    pub runtime: Runtime,
    /// How long its owner wants idle instances kept.
    pub keep_alive: Option<Duration>,
    /// How many versions like it it stands for.
    pub weight: f32,
    /// Instances being made.
    pub starting: u32,
    /// Instances with nothing to do.
    pub idle: u32,
    /// Instances that serve.
    pub busy: u32,
    /// Requests that wait for an instance.
    pub waiting: u32,
    /// What it holds for starts to come.
    pub(super) held: Vec<Holding>,
    limit: Bytes,
    measured: Option<Bytes>,
    retired: bool,
}

/// A zygote, template or spare of a version on a node.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Holding {
    /// Where.
    pub node: NodeId,
    /// What.
    pub rung: Rung,
    /// What it takes.
    pub memory: Bytes,
    /// How many versions like its own that one stood for when it was made.
    pub weight: f32,
}

impl Version {
    /// A version of which nothing is known.
    pub(super) const UNHEARD: Self = Self {
        runtime: Runtime::Native,
        keep_alive: None,
        weight: 1.0,
        starting: 0,
        idle: 0,
        busy: 0,
        waiting: 0,
        held: Vec::new(),
        limit: Bytes(0),
        measured: None,
        retired: false,
    };

    /// What the next instance is expected to take: what one took last, or before the first, the most that
    /// it may.
    pub fn instance_memory(&self) -> Bytes {
        self.measured.unwrap_or(self.limit)
    }

    /// Whether it can no longer be invoked.
    pub fn is_retired(&self) -> bool {
        self.retired
    }

    /// Instances, whatever they do.
    pub fn instances(&self) -> u32 {
        self.starting + self.idle + self.busy
    }

    /// The highest rung that it holds on a node, [`Rung::Absent`] if none.
    pub fn rung(&self, node: NodeId) -> Rung {
        self.held
            .iter()
            .filter(|holding| holding.node == node)
            .map(|holding| holding.rung)
            .max()
            .unwrap_or_default()
    }

    /// What it holds, everywhere.
    pub fn held(&self) -> &[Holding] {
        &self.held
    }

    pub(super) fn deploy(&mut self, deployed: &Deployed) {
        self.runtime = deployed.runtime;
        self.keep_alive = deployed.keep_alive;
        self.weight = deployed.weight;
        self.limit = deployed.memory;
        if std::mem::take(&mut self.retired) {
            self.measured = None;
        }
    }

    pub(super) fn retire(&mut self) {
        self.retired = true;
    }

    pub(super) fn measured(&mut self, memory: Bytes) {
        self.measured = Some(memory);
    }

    pub(super) fn count(&mut self, state: State, by: i32) {
        let count = match state {
            State::Starting => &mut self.starting,
            State::Idle => &mut self.idle,
            State::Busy => &mut self.busy,
        };
        *count = count.saturating_add_signed(by);
    }

    pub(super) fn lose(&mut self, node: NodeId, rung: Rung) -> Option<Holding> {
        let place = |holding: &Holding| holding.node == node && holding.rung == rung;
        let index = self.held.iter().position(place)?;
        Some(self.held.swap_remove(index))
    }
}

impl Default for Version {
    fn default() -> Self {
        Self::UNHEARD
    }
}
