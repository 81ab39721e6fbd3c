//! Freezing and forking fake processes. A frozen one is a task that waits for an answer that never comes; a
//! fork of it is another task of the same script that goes on where the first one waits.

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use pilotlight_model::node::BoxFuture;
use pilotlight_sandbox::Demand;
use tokio::sync::{Semaphore, watch};

use super::{ApiPort, FakeLauncher, Frozen, Living, Position, Task};
use crate::extensions::Accompaniment;
use crate::ladder::berths::BERTH_BYTES;
use crate::launcher::{
    Berth, Company, Exit, FreezeError, Furnishing, LaunchError, Launched, Marks, Template,
};

/// What every template and every spare has for itself.
pub(in crate::tests) const TEMPLATE_BYTES: u64 = 10 << 20;
pub(in crate::tests) const SPARE_BYTES: u64 = 2 << 20;

/// What was frozen and forked, and what is to go wrong.
#[derive(Default)]
pub(in crate::tests) struct Forks {
    /// Answers to the next attempts to freeze something else than a zygote; then all go well.
    pub(in crate::tests) refusals: Mutex<VecDeque<FreezeError>>,
    /// Answers to the next attempts to freeze a zygote.
    pub(in crate::tests) zygote_refusals: Mutex<VecDeque<FreezeError>>,
    /// Templates, in the order of their freezing; dead ones too.
    templates: Mutex<Vec<Weak<FakeTemplate>>>,
    /// Forks that came about, and all that were tried.
    pub(in crate::tests) made: AtomicUsize,
    pub(in crate::tests) tried: AtomicUsize,
    /// Forks of templates, and of zygotes, that are to fail.
    pub(in crate::tests) failing: AtomicUsize,
    pub(in crate::tests) failing_zygote: AtomicUsize,
    /// Where forks wait, if they do.
    pub(in crate::tests) gate: Mutex<Option<Arc<Semaphore>>>,
    pub(in crate::tests) berths: Arc<AtomicUsize>,
    /// Berths that a start waited for.
    pub(in crate::tests) waited_for: AtomicUsize,
    pub(in crate::tests) furnished: Mutex<Vec<Furnishing>>,
}

pub(in crate::tests) struct FakeTemplate {
    this: Weak<FakeTemplate>,
    launcher: Arc<FakeLauncher>,
    forks: Arc<Forks>,
    frozen: Frozen,
    task: Arc<Task>,
    exit: watch::Receiver<Option<Exit>>,
    dead: AtomicBool,
}

impl Forks {
    pub(super) fn freeze(
        launcher: &Arc<FakeLauncher>,
        frozen: Frozen,
        task: &Arc<Task>,
        exit: &watch::Receiver<Option<Exit>>,
    ) -> Result<Arc<FakeTemplate>, FreezeError> {
        let forks = Arc::clone(
            launcher
                .forks
                .as_ref()
                .expect("nothing is frozen elsewhere"),
        );
        let refusals = match frozen.position.expect("only what waits is frozen") {
            Position::Assignment => &forks.zygote_refusals,
            Position::Restore | Position::Next => &forks.refusals,
        };
        if let Some(refused) = refusals.lock().pop_front() {
            return Err(refused);
        }
        let template = Arc::new_cyclic(|this| FakeTemplate {
            this: Weak::clone(this),
            launcher: Arc::clone(launcher),
            forks: Arc::clone(&forks),
            frozen,
            task: Arc::clone(task),
            exit: exit.clone(),
            dead: AtomicBool::new(false),
        });
        forks.templates.lock().push(Arc::downgrade(&template));
        Ok(template)
    }

    pub(in crate::tests) fn made(&self) -> usize {
        self.made.load(Ordering::SeqCst)
    }

    /// Templates that live, zygotes apart.
    pub(in crate::tests) fn templates(&self) -> Vec<Arc<FakeTemplate>> {
        self.frozen(|position| position != Position::Assignment)
    }

    pub(in crate::tests) fn zygotes(&self) -> Vec<Arc<FakeTemplate>> {
        self.frozen(|position| position == Position::Assignment)
    }

    fn frozen(&self, is: impl Fn(Position) -> bool) -> Vec<Arc<FakeTemplate>> {
        let templates = self.templates.lock();
        let living = templates.iter().filter_map(Weak::upgrade);
        living
            .filter(|it| !it.dead.load(Ordering::SeqCst) && it.frozen.position.is_some_and(&is))
            .collect()
    }
}

impl FakeTemplate {
    /// As by a signal from outside.
    pub(in crate::tests) fn kill(&self) {
        self.dead.store(true, Ordering::SeqCst);
        self.task.0.abort();
    }
}

impl Template for FakeTemplate {
    fn berth(&self, demand: Demand) -> BoxFuture<'_, Result<Box<dyn Berth>, LaunchError>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            if demand == Demand::Start {
                self.forks.waited_for.fetch_add(1, Ordering::SeqCst);
            }
            let berth: Box<dyn Berth> = Box::new(FakeBerth {
                _living: Living::one_of(&self.forks.berths),
                template: Weak::clone(&self.this),
                api: ApiPort::open(),
            });
            Ok(berth)
        })
    }

    fn died(&self) -> BoxFuture<'_, ()> {
        let mut exit = self.exit.clone();
        Box::pin(async move {
            let _ = exit.wait_for(Option::is_some).await;
        })
    }

    fn private_bytes(&self) -> u64 {
        match self.frozen.position {
            Some(Position::Assignment) => TEMPLATE_BYTES,
            // With the berth that is kept for it.
            _ => TEMPLATE_BYTES - BERTH_BYTES,
        }
    }
}

struct FakeBerth {
    _living: Living,
    template: Weak<FakeTemplate>,
    api: ApiPort,
}

impl Berth for FakeBerth {
    fn is_alive(&self) -> bool {
        true
    }

    fn make_ready(&mut self) {}

    fn take_listeners(&mut self) -> Option<pilotlight_sandbox::Listeners> {
        self.api.listeners.take()
    }

    fn furnish(&mut self, furnishing: Furnishing) -> BoxFuture<'_, Result<(), LaunchError>> {
        if let Some(template) = self.template.upgrade() {
            template.forks.furnished.lock().push(furnishing);
        }
        Box::pin(async { Ok(()) })
    }

    fn accompany(
        &mut self,
        company: Company,
    ) -> BoxFuture<'_, Result<Option<(Accompaniment, Marks)>, LaunchError>> {
        let template = self.template.upgrade();
        let started = template.and_then(|it| it.launcher.accompany(&company, self.api.address));
        Box::pin(async { Ok(started) })
    }

    fn fork(
        self: Box<Self>,
        request_socket: Option<OwnedFd>,
    ) -> BoxFuture<'static, Result<Launched, LaunchError>> {
        Box::pin(async move {
            let dead = || LaunchError::platform("fork", "the template is dead");
            let template = self.template.upgrade().ok_or_else(dead)?;
            template.forks.tried.fetch_add(1, Ordering::SeqCst);
            let gate = template.forks.gate.lock().clone();
            if let Some(gate) = gate {
                gate.acquire().await.unwrap().forget();
            }
            if template.dead.load(Ordering::SeqCst) {
                return Err(dead());
            }
            let failing = match template.frozen.position {
                Some(Position::Assignment) => &template.forks.failing_zygote,
                _ => &template.forks.failing,
            };
            let count = |left: usize| left.checked_sub(1);
            let told = failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, count);
            if told.is_ok() {
                return Err(LaunchError::platform("fork", "it was told to fail"));
            }
            template.forks.made.fetch_add(1, Ordering::SeqCst);
            Ok(template
                .launcher
                .run(template.frozen.clone(), request_socket, self.api.address))
        })
    }
}
