//! When templates and spares are made: at a deploy, when a version is used that has none, and when one is
//! lost.

use std::sync::{Arc, Weak};
use std::time::Duration;

use pilotlight_model::function::{FunctionSpec, VersionKey};
use pilotlight_model::ladder::Refusal;
use pilotlight_model::start::StartKind;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::books::Build;
use super::{Ladder, Parked};
use crate::agent::Node;
use crate::clock;
use crate::pool::{Done, Purpose};

/// How long who prepares a version waits for its template: for room and a turn, the init, and the rest.
const PREPARATION: Duration = Duration::from_secs(15);

/// Why a version has no template whose init failed, in the words of [`Refusal::reason`].
const INIT_FAILED: &str = "init_failed";

/// Dropped when an attempt to make a template is over.
struct Attempt {
    node: Weak<Node>,
    spec: Arc<FunctionSpec>,
    _done: watch::Sender<()>,
}

/// Dropped when an order for a spare is over.
struct SpareOrder {
    node: Weak<Node>,
    spec: Arc<FunctionSpec>,
    /// Who waits for it beside the ladder.
    _done: Option<Done>,
}

impl Ladder {
    /// Makes the version's template and a spare, unless it is to have none or has them; returns when they
    /// are there, or will not be.
    pub(crate) async fn prepare(&self, node: &Arc<Node>, spec: &Arc<FunctionSpec>) {
        self.books.lock().note(spec);
        if !self.wants_template(spec) {
            node.pool.refused(spec);
            return;
        }
        if let Some(keeper) = self.zygote_of(spec) {
            keeper.risen().await;
        }
        let Some(mut done) = self.build(node, spec, false) else {
            return;
        };
        // Nobody knows when others will leave room: a version is ready without its template, too. Otherwise the
        // sender goes without a word.
        let waited = match node.pool.is_short_of_room(&spec.key) {
            true => Duration::ZERO,
            false => PREPARATION,
        };
        if timeout(waited, done.changed()).await.is_ok() {
            return;
        }
        match node.pool.is_short_of_room(&spec.key) {
            true => tracing::info!(
                version = %spec.key,
                "the node has no room for its template, which is made when there is"
            ),
            false => {
                tracing::warn!(version = %spec.key, "its template takes long, and is made in the background");
            }
        }
    }

    /// Whether what [`Ladder::prepare`] would make of the version has room without taking it from others.
    pub(crate) fn has_room(&self, node: &Node, spec: &FunctionSpec) -> bool {
        !self.wants_template(spec) || node.pool.has_room_to_hold(spec)
    }

    /// A start of that kind was made for a request: what it missed is made.
    pub(crate) fn used(&self, node: &Arc<Node>, spec: &Arc<FunctionSpec>, kind: StartKind) {
        match kind {
            StartKind::Warm | StartKind::Spare => {}
            StartKind::Forked => self.order_spare(node, spec),
            StartKind::Zygote | StartKind::Booted => self.missed_template(node, spec),
        }
    }

    /// Orders a template where none is there and one is to be.
    pub(crate) fn missed_template(&self, node: &Arc<Node>, spec: &Arc<FunctionSpec>) {
        if self.wants_template(spec) {
            self.build(node, spec, true);
        }
    }

    /// The version is no more.
    pub(crate) fn forget(&self, key: &VersionKey) {
        let entry = self.books.lock().forget(key);
        drop(entry);
        self.uses.forget(key);
    }

    /// The node ends.
    pub(crate) fn close(&self) {
        let entries = self.books.lock().clear();
        drop(entries);
    }

    /// Orders a template if none is there; `careful` heeds what went wrong before. What is returned ends
    /// when the attempt has.
    fn build(
        &self,
        node: &Arc<Node>,
        spec: &Arc<FunctionSpec>,
        careful: bool,
    ) -> Option<watch::Receiver<()>> {
        let now = careful.then(clock::now);
        let build = self.books.lock().build(spec, now);
        match build {
            Build::Nothing => None,
            Build::UnderWay(done) => Some(done),
            Build::Start(sender, done) => {
                let attempt = Attempt {
                    node: Arc::downgrade(node),
                    spec: Arc::clone(spec),
                    _done: sender,
                };
                node.pool
                    .order(Arc::clone(spec), Purpose::Template(Box::new(attempt)));
                Some(done)
            }
        }
    }

    /// A template has died: it is made again after a rest, unless the version has been retired meanwhile.
    pub(super) fn rebuild(&self, node: &Arc<Node>, spec: &Arc<FunctionSpec>, rest: Duration) {
        let (node, spec) = (Arc::clone(node), Arc::clone(spec));
        let handle = node.handle.clone();
        handle.spawn(async move {
            sleep(rest).await;
            let known = node.ladder.books.lock().get(&spec.key).is_some();
            if known {
                node.ladder.build(&node, &spec, false);
            }
        });
    }

    /// Orders a spare if none is there.
    pub(crate) fn order_spare(&self, node: &Arc<Node>, spec: &Arc<FunctionSpec>) {
        self.spare(node, spec, None);
    }

    /// Orders the first spare of a new template, for which someone waits.
    pub(super) fn order_first_spare(&self, node: &Arc<Node>, spec: &Arc<FunctionSpec>, done: Done) {
        self.spare(node, spec, Some(done));
    }

    fn spare(&self, node: &Arc<Node>, spec: &Arc<FunctionSpec>, done: Option<Done>) {
        let ready = node.pool.spares(&spec.key) > 0;
        let wanted = self.books.lock().order_spare(spec, ready, clock::now());
        if wanted {
            let order = SpareOrder {
                node: Arc::downgrade(node),
                spec: Arc::clone(spec),
                _done: done,
            };
            node.pool
                .order(Arc::clone(spec), Purpose::Spare(Box::new(order)));
        }
    }

    /// A spare is ready: what failed before counts no more.
    pub(crate) fn spare_made(&self, spec: &FunctionSpec) {
        self.books.lock().spare_made(spec);
    }

    /// The version's template has learned what forks need first: berths are made that have it.
    pub(crate) fn taught(&self, spec: &FunctionSpec) {
        let template = self.books.lock().template(spec);
        if let Some(template) = template {
            template.berths.renew();
        }
    }

    /// A template's turn has come.
    pub(super) fn build_begun(&self, spec: &FunctionSpec) {
        self.books.lock().build_begun(spec);
    }

    /// A new template is there; what it replaces is let go by the pool. False if the version has moved on.
    pub(super) fn install(&self, parked: &Arc<Parked>) -> bool {
        let replaced = self.books.lock().install(parked);
        replaced.is_ok()
    }

    /// That template is no more; see [`super::books::Books::uninstall`].
    pub(super) fn uninstall(&self, parked: &Arc<Parked>, well: bool) -> Option<Duration> {
        self.books.lock().uninstall(parked, well, clock::now())
    }

    pub(super) fn refuse(&self, spec: &FunctionSpec, refusal: Refusal) {
        self.count_refusal(&refusal);
        self.books.lock().refuse(spec, refusal);
    }

    /// How the last init that was to make a template of that revision ended, if it failed.
    pub(crate) fn init_failure(&self, spec: &FunctionSpec) -> Option<String> {
        self.books.lock().init_failure(spec)
    }

    /// The init that was to make a template failed, with that status.
    pub(super) fn init_failed(&self, spec: &FunctionSpec, status: &str) {
        let failure = Refusal {
            reason: INIT_FAILED.into(),
            detail: status.replace('\t', ", "),
        };
        self.count_refusal(&failure);
        self.books.lock().init_failed(spec, failure);
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if let Some(node) = self.node.upgrade() {
            let mut books = node.ladder.books.lock();
            books.build_over(&self.spec, clock::now());
        }
    }
}

impl Drop for SpareOrder {
    fn drop(&mut self) {
        let Some(node) = self.node.upgrade() else {
            return;
        };
        let again = node.ladder.books.lock().spare_over(&self.spec);
        if again {
            node.ladder.order_spare(&node, &self.spec);
        }
    }
}
