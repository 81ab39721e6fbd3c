//! The ladder of a node: what starts are forked from. A zygote for each runtime, a template and a spare
//! for each version that can have them; each is made off the path, and made again when it is lost.
//!
//! A start asks for its origin and gets what saves it most. Whatever is missing costs that start the next
//! lower rung, never an error.

pub(crate) mod berths;
mod books;
mod freezing;
mod orders;
pub(crate) mod preparation;
mod uses;
mod variables;
mod zygotes;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pilotlight_model::Runtime;
use pilotlight_model::function::{FunctionSpec, SnapStart, VersionKey};
use pilotlight_model::ladder::{LadderCounters, Refusal, Rung, ZygoteStatus};
use pilotlight_model::node::VersionCounts;
use pilotlight_model::start::StartKind;
use tokio_util::task::AbortOnDropHandle;

use crate::agent::Node;
use crate::instance::Instance;
use crate::launcher::Template;
use crate::runtime::RuntimeImage;
use crate::runtime_api::{Outstanding, Via};
use berths::Berths;
pub(crate) use berths::START_FIRST;
use books::Books;
use uses::Uses;
use zygotes::Keeper;

pub(crate) use zygotes::Zygote;

/// Forks of one template or zygote that may fail one after the other before it is let go.
const FAILURES: u32 = 3;
/// How often use counts are written down.
const FLUSH: Duration = Duration::from_secs(60);

/// The ladder. Its locks are held for look-ups alone.
pub(crate) struct Ladder {
    books: Mutex<Books>,
    /// By runtime, of those that can have one.
    zygotes: BTreeMap<Runtime, Arc<Keeper>>,
    counters: Mutex<LadderCounters>,
    uses: Uses,
    /// Whether processes can be forked here at all.
    forks: bool,
}

/// A version's template, ready to be forked.
pub(crate) struct Parked {
    pub(crate) spec: Arc<FunctionSpec>,
    pub(crate) berths: Arc<Berths>,
    template: Arc<dyn Template>,
    /// What it waits for, and where its forks are to hear it.
    pub(crate) outstanding: Outstanding,
    pub(crate) via: Via,
    /// Whether it has inherited a connection.
    pub(crate) inherits: bool,
    /// Whether extensions are started before each fork.
    pub(crate) accompanied: bool,
    /// Forks that failed since the last that did not.
    failures: AtomicU32,
    /// The instance that it would have been.
    instance: Arc<Instance>,
}

/// What a start is made from.
pub(crate) enum Origin {
    Template(Arc<Parked>),
    Zygote(Arc<Zygote>),
    /// It boots.
    Nothing,
}

impl Origin {
    /// Whether the fork of it came about. A template of which none does is of no use.
    pub(crate) fn forked(&self, well: bool) {
        match self {
            Origin::Template(template) if well => template.failures.store(0, Ordering::Relaxed),
            Origin::Template(template) => {
                template.failures.fetch_add(1, Ordering::Relaxed);
                if template.is_useless() {
                    template.instance.stop();
                }
            }
            Origin::Zygote(zygote) => zygote.used(well),
            Origin::Nothing => {}
        }
    }
}

impl Parked {
    /// Whether one fork after the other failed.
    fn is_useless(&self) -> bool {
        self.failures.load(Ordering::Relaxed) >= FAILURES
    }
}

impl Drop for Parked {
    fn drop(&mut self) {
        self.berths.close();
    }
}

/// Of a version whose template was given up, by the policy or for want of room, or for which there has been none.
const NOT_KEPT: &str = "none is kept now; made again when it is used and there is room";

/// The platform serves before its zygotes stand; people who measure want to know from when on.
async fn tell_when_risen(keepers: Vec<Arc<Keeper>>) {
    let began = std::time::Instant::now();
    for keeper in &keepers {
        keeper.risen().await;
    }
    let ready = keepers.iter().filter(|keeper| keeper.is_ready()).count();
    let after_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    tracing::info!(
        ready,
        of = keepers.len(),
        after_ms,
        "zygotes stand, starts are forked from now on"
    );
}

impl Ladder {
    /// The ladder of a node with those runtimes and that data folder.
    pub(crate) fn new(
        runtimes: &BTreeMap<Runtime, RuntimeImage>,
        data_dir: &Path,
        forks: bool,
    ) -> Self {
        let keeps = |(_, image): &(&Runtime, &RuntimeImage)| forks && image.zygote;
        let keeper =
            |(&runtime, image): (&Runtime, &RuntimeImage)| (runtime, Keeper::new(image.clone()));
        Self {
            books: Mutex::default(),
            zygotes: runtimes.iter().filter(keeps).map(keeper).collect(),
            counters: Mutex::default(),
            uses: Uses::read(data_dir.join("uses.json")),
            forks,
        }
    }

    /// Raises the zygotes, and writes use counts down from time to time, until the handles are dropped.
    pub(crate) fn run(&self, node: &Arc<Node>) -> Vec<AbortOnDropHandle<()>> {
        let keepers = self.zygotes.values().cloned();
        let mut tasks: Vec<_> = keepers
            .map(|keeper| tokio::spawn(keeper.keep(Arc::clone(node))))
            .collect();
        let raised: Vec<_> = self.zygotes.values().cloned().collect();
        tasks.push(tokio::spawn(tell_when_risen(raised)));
        let counting = Arc::clone(node);
        tasks.push(tokio::spawn(async move {
            loop {
                tokio::time::sleep(FLUSH).await;
                counting.ladder.write_uses(&counting).await;
            }
        }));
        tasks.into_iter().map(AbortOnDropHandle::new).collect()
    }

    /// The cheapest that a start of that version can be made from, from that kind on.
    pub(crate) fn origin(&self, spec: &FunctionSpec, cheapest: StartKind) -> Origin {
        if cheapest <= StartKind::Forked
            && let Some(template) = self.books.lock().template(spec)
        {
            return Origin::Template(template);
        }
        if cheapest <= StartKind::Zygote
            && let Some(zygote) = self.zygote_of(spec).and_then(|keeper| keeper.ready())
        {
            return Origin::Zygote(zygote);
        }
        Origin::Nothing
    }

    /// Who keeps the zygote that instances of that version can be.
    fn zygote_of(&self, spec: &FunctionSpec) -> Option<&Arc<Keeper>> {
        let keeper = self.zygotes.get(&spec.runtime.image());
        keeper.filter(|_| variables::suits(spec))
    }

    /// Whether that version is to have a template.
    fn wants_template(&self, spec: &FunctionSpec) -> bool {
        self.unwanted(spec).is_none()
    }

    /// Why that version is to have none, if so.
    fn unwanted(&self, spec: &FunctionSpec) -> Option<&'static str> {
        if !self.forks {
            Some("this machine cannot fork processes, see `pilot doctor`")
        } else if spec.snap_start == SnapStart::None {
            Some("opted out by SnapStart: None")
        } else if spec.live_code.is_some() {
            // What is edited live must be seen by the next start.
            Some("its code is a live folder")
        } else {
            None
        }
    }

    // ---- what happened, for people to see ----

    pub(crate) fn count_fork(&self, length: Duration) {
        let mut counters = self.counters.lock();
        counters.forks += 1;
        counters.fork_us += length.as_micros() as u64;
    }

    pub(crate) fn count_refusal(&self, refusal: &Refusal) {
        let reason = refusal.reason.to_string();
        *self.counters.lock().refusals.entry(reason).or_default() += 1;
    }

    pub(crate) fn count_given_up(&self, rung: Rung) {
        let rung = rung.as_str().to_owned();
        *self.counters.lock().given_up.entry(rung).or_default() += 1;
    }

    pub(crate) fn counters(&self) -> LadderCounters {
        self.counters.lock().clone()
    }

    pub(crate) fn zygotes(&self) -> Vec<ZygoteStatus> {
        self.zygotes
            .values()
            .map(|keeper| keeper.status())
            .collect()
    }

    /// Adds to what the pool counts the rungs that need no process of the version, berths, and refusals.
    pub(crate) fn complete(&self, versions: &mut BTreeMap<String, VersionCounts>) {
        let known = self.books.lock().known();
        for known in known {
            let counts = versions.entry(known.spec.key.to_string()).or_default();
            let zygote = self.zygote_of(&known.spec).is_some_and(|it| it.is_ready());
            let below = if zygote { Rung::Zygote } else { Rung::Cached };
            counts.rung = counts.rung.max(below);
            counts.berths = known.berths;
            counts.without_template = match (&known.refusal, known.templated) {
                (Some(_), _) | (_, true) => None,
                (None, false) => Some(self.unwanted(&known.spec).unwrap_or(NOT_KEPT).to_owned()),
            };
            counts.refusal = known.refusal;
        }
    }

    // ---- use counts ----

    pub(crate) fn most_used_first(&self, keys: &mut [VersionKey]) {
        self.uses.sort(keys);
    }

    /// Writes down how often versions were used.
    pub(crate) async fn write_uses(&self, node: &Arc<Node>) {
        let (node, uses) = (Arc::clone(node), node.pool.take_uses());
        let write = move || {
            if let Err(error) = node.ladder.uses.add(uses) {
                tracing::warn!(%error, "use counts not written");
            }
        };
        let _ = tokio::task::spawn_blocking(write).await;
    }
}
