//! A node that does as it is told.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use parking_lot::Mutex;
use pilotlight_model::node::{
    Announcement, BoxFuture, CallsAnswer, CallsAsked, Compiled, CompiledFile, Declaration, Folder,
    InvokeReply, InvokeRequest, LogLine, Node, NodeError, NodeStatus, Shift, WarmUpOrder, WarmedUp,
    Why,
};
use pilotlight_model::provisioned::Provisioned;
use pilotlight_model::start::StartKind;
use pilotlight_model::{AccountId, Digest, FunctionSpec, Region, Runtime, VersionKey};
use tokio::sync::Semaphore;

/// Versions that a node restores before it is full.
pub(crate) const ROOM: usize = 4;

/// An event that upsets the platform itself.
pub(crate) const POISON: &str = "\"poison\"";

/// Answers from its scripts, and well when they are empty. `prepare` and `warm_up` wait for a permit.
pub(crate) struct FakeNode {
    pub(crate) permits: Semaphore,
    pub(crate) prepares: Mutex<VecDeque<NodeError>>,
    pub(crate) invokes: Mutex<VecDeque<Result<bool, NodeError>>>,
    pub(crate) preparing: AtomicU64,
    /// How often there was no room to restore a version.
    pub(crate) full: AtomicU64,
    pub(crate) prepared: Mutex<Vec<Arc<FunctionSpec>>>,
    pub(crate) compiles_whole: Mutex<bool>,
    pub(crate) compiled: Mutex<Vec<(Runtime, Digest, Folder)>>,
    pub(crate) invoked: Mutex<Vec<InvokeRequest>>,
    pub(crate) warm_ups: Mutex<VecDeque<NodeError>>,
    pub(crate) warmed: Mutex<Vec<WarmUpOrder>>,
    /// What was moved, and where: by then nothing had been yet.
    pub(crate) shifts: Mutex<Vec<Shift>>,
    /// What was announced: how many requests of which version, and how many milliseconds ahead.
    pub(crate) announced: Mutex<Vec<(VersionKey, u32, u64)>>,
    pub(crate) declared: Mutex<Vec<Declaration>>,
    pub(crate) retired: Mutex<Vec<VersionKey>>,
    /// What is provisioned, and how it stands.
    pub(crate) provisions: Mutex<BTreeMap<VersionKey, Provisioned>>,
}

impl FakeNode {
    pub(super) fn new() -> Self {
        Self {
            permits: Semaphore::new(Semaphore::MAX_PERMITS),
            prepares: Mutex::default(),
            invokes: Mutex::default(),
            preparing: AtomicU64::new(0),
            full: AtomicU64::new(0),
            prepared: Mutex::default(),
            compiles_whole: Mutex::new(true),
            compiled: Mutex::default(),
            invoked: Mutex::default(),
            warm_ups: Mutex::default(),
            warmed: Mutex::default(),
            shifts: Mutex::default(),
            announced: Mutex::default(),
            declared: Mutex::default(),
            retired: Mutex::default(),
            provisions: Mutex::default(),
        }
    }

    /// Nothing is made ready or warmed up until [`FakeNode::release`].
    pub(crate) fn hold(&self) {
        self.permits.forget_permits(Semaphore::MAX_PERMITS);
    }

    pub(crate) fn release(&self) {
        self.permits.add_permits(Semaphore::MAX_PERMITS / 2);
    }
}

impl Node for FakeNode {
    fn invoke(&self, request: InvokeRequest) -> BoxFuture<'_, Result<InvokeReply, NodeError>> {
        let timeline = request.timeline.clone();
        let poison = request.payload == POISON;
        self.invoked.lock().push(request);
        assert!(!poison, "as asked");
        let scripted = self.invokes.lock().pop_front().unwrap_or(Ok(true));
        Box::pin(async move {
            let well = scripted?;
            Ok(InvokeReply {
                payload: Bytes::from_static(b"null"),
                function_error: (!well).then_some("Unhandled"),
                log_tail: None,
                instance: pilotlight_model::ids::InstanceId(1),
                kind: StartKind::Booted,
                timeline,
            })
        })
    }

    fn prepare(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<(), NodeError>> {
        Box::pin(async move {
            self.preparing.fetch_add(1, Ordering::SeqCst);
            let _permit = self.permits.acquire().await.expect("never closed");
            if let Some(error) = self.prepares.lock().pop_front() {
                return Err(error);
            }
            self.prepared.lock().push(spec);
            Ok(())
        })
    }

    fn warm_up(&self, order: WarmUpOrder) -> BoxFuture<'_, Result<WarmedUp, NodeError>> {
        self.warmed.lock().push(order.clone());
        let scripted = self.warm_ups.lock().pop_front();
        let done = WarmedUp {
            idle: order.instances,
            started: order.instances,
            called: order.call.map_or(0, |_| order.instances),
            failed: 0,
        };
        Box::pin(async move {
            let _permit = self.permits.acquire().await.unwrap();
            scripted.map_or(Ok(done), Err)
        })
    }

    fn announce(&self, announcement: Announcement) {
        let after_ms = announcement.after.as_millis() as u64;
        let key = announcement.spec.key.clone();
        self.announced
            .lock()
            .push((key, announcement.requests, after_ms));
    }

    fn declare(&self, declaration: Declaration) {
        self.declared.lock().push(declaration);
    }

    fn shift(&self, shift: Shift) -> BoxFuture<'_, ()> {
        self.shifts.lock().push(shift);
        Box::pin(async {
            let _permit = self.permits.acquire().await.unwrap();
        })
    }

    fn restore(&self, spec: Arc<FunctionSpec>) -> BoxFuture<'_, Result<bool, NodeError>> {
        Box::pin(async move {
            if self.prepared.lock().len() >= ROOM {
                self.full.fetch_add(1, Ordering::SeqCst);
                return Ok(false);
            }
            self.prepare(spec).await.map(|()| true)
        })
    }

    fn calls(&self, _: &CallsAsked) -> CallsAnswer {
        unreachable!("control asks for no calls")
    }

    fn why(&self, key: &VersionKey) -> Why {
        Why {
            version: key.to_string(),
            policy: String::new(),
            warm: 0,
            starts: Vec::new(),
            forecasts: None,
        }
    }

    fn provision(&self, spec: &Arc<FunctionSpec>, count: u32) {
        let mut provisions = self.provisions.lock();
        match count {
            0 => drop(provisions.remove(&spec.key)),
            count => provisions.entry(spec.key.clone()).or_default().wanted = count,
        }
    }

    fn provisioned(&self, key: &VersionKey) -> Option<Provisioned> {
        self.provisions.lock().get(key).cloned()
    }

    fn most_used_first(&self, _: &mut [VersionKey]) {}

    fn retire(&self, key: &VersionKey) {
        self.retired.lock().push(key.clone());
    }

    fn compile(
        &self,
        runtime: Runtime,
        image: Digest,
        folder: Folder,
    ) -> BoxFuture<'_, Result<Compiled, NodeError>> {
        self.compiled.lock().push((runtime, image, folder));
        let files = match runtime {
            Runtime::Python311 => vec![CompiledFile {
                path: "__pycache__/app.cpython-311.pyc".to_owned(),
                bytes: Bytes::from_static(b"byte code"),
            }],
            Runtime::Nodejs20x | Runtime::Java17 | Runtime::ProvidedAl2023 => Vec::new(),
        };
        let whole = *self.compiles_whole.lock();
        Box::pin(async move { Ok(Compiled { files, whole }) })
    }

    fn status(&self) -> NodeStatus {
        NodeStatus::default()
    }

    fn read_logs(
        &self,
        _: &AccountId,
        _: &Region,
        _: &str,
        _: u64,
        _: usize,
    ) -> BoxFuture<'_, std::io::Result<Vec<LogLine>>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}
