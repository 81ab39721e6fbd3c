//! The catalog: functions, versions, aliases, policies, tags and queued events in one SQLite file (WAL, full sync).
//!
//! One thread owns the writing connection. Work is handed to it as closures through a bounded channel;
//! it runs all that wait, each in a savepoint of one transaction, syncs once, and only then answers. So
//! concurrent writers share a sync (group commit), a write sees all writes before it, and the in-memory
//! index changes in commit order. Reads have a connection of their own and see what is committed, each as of
//! one moment; one is answered when the index has it, too, so that a function that is said to be active can be
//! invoked.

pub(crate) mod aliases;
pub(crate) mod asides;
pub(crate) mod chains;
mod columns;
pub(crate) mod concurrency;
pub(crate) mod deliveries;
pub(crate) mod event_invoke;
pub(crate) mod events;
pub(crate) mod firings;
mod functions;
pub(crate) mod layers;
pub(crate) mod logs;
mod open;
pub(crate) mod record;
mod row;
pub(crate) mod schedule_groups;
pub(crate) mod schedules;
mod sealed;
mod settings;
pub(crate) mod signing;
mod statements;
pub(crate) mod urls;
mod versions;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;

use parking_lot::{Mutex, RwLock};
use pilotlight_model::error::Causes;
use pilotlight_model::{ErrorKind, LambdaError};
use rusqlite::{Connection, Transaction, TransactionBehavior};
use tokio::sync::{mpsc, oneshot};

pub use open::OpenError;

use crate::index::{Change, Index};
use crate::sealing::{SealingKey, Unsealable};

/// Writes that wait for the writer; more wait in the callers. Bounds the memory of queued payloads.
const WAITING: usize = 128;
/// Writes that share one sync.
const BATCH: usize = 128;

/// Why the catalog could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CatalogError {
    #[error("the catalog's database failed")]
    Database(#[from] rusqlite::Error),
    #[error("a row of the catalog does not read")]
    Row(#[from] serde_json::Error),
    /// Shared by everyone whose work was in the transaction.
    #[error("the catalog could not commit")]
    Commit(#[source] Arc<rusqlite::Error>),
    #[error("an environment in the catalog does not open")]
    Sealed(#[from] Unsealable),
    #[error("the catalog is closed")]
    Closed,
}

impl From<CatalogError> for LambdaError {
    fn from(error: CatalogError) -> Self {
        tracing::error!(error = %Causes(&error), "catalog failed");
        LambdaError::new(ErrorKind::Service, "The catalog failed.")
    }
}

/// Handle of the catalog; dropping it ends the writer after what it was given.
pub(crate) struct Catalog {
    jobs: Option<mpsc::Sender<Job>>,
    writer: Option<JoinHandle<()>>,
    reader: Arc<Mutex<Connection>>,
    index: Arc<Index>,
    /// Locked for writing while the index may lack what a read sees: from before a commit that changes it until
    /// after the change. Who has read waits for it.
    behind: Arc<RwLock<()>>,
    sealing: SealingKey,
}

/// A connection within a piece of work: the queries of `functions` and `events` are methods of it.
pub(crate) struct Session<'a> {
    connection: &'a Connection,
    sealing: &'a SealingKey,
    changes: RefCell<Vec<Change>>,
}

type Job = Box<dyn FnOnce(&Connection, &SealingKey) -> Done + Send>;

/// A piece of work that ran but is not committed yet.
struct Done {
    keep: bool,
    changes: Vec<Change>,
    /// Tells the caller, once it is known whether the commit held.
    answer: Box<dyn FnOnce(Result<(), CatalogError>) + Send>,
}

impl Catalog {
    /// Opens or makes the catalog in `data_dir` and fills the index from it, whose accounts have that much
    /// concurrency. `sealing` must be the key that it was made with.
    pub(crate) fn open(
        data_dir: &Path,
        sealing: SealingKey,
        account_concurrency: u32,
    ) -> Result<Self, OpenError> {
        let (mut writer, reader) = open::connections(data_dir)?;
        sealed::check(&mut writer, &sealing)?;
        let index = Arc::new(Index::new(account_concurrency));
        let session = Session::new(&reader, &sealing);
        index.apply(session.index_entries()?);
        index.apply(session.index_aliases()?);
        index.apply(session.claims()?);
        index.apply(session.index_policies()?);
        index.apply(session.index_urls()?);
        let (jobs, queue) = mpsc::channel(WAITING);
        let (applied, key) = (Arc::clone(&index), sealing.clone());
        let behind = Arc::new(RwLock::new(()));
        let held = Arc::clone(&behind);
        let thread = std::thread::Builder::new()
            .name("catalog".to_owned())
            .spawn(move || write_loop(writer, queue, &applied, &held, &key))
            .map_err(OpenError::Thread)?;
        let reader = Arc::new(Mutex::new(reader));
        Ok(Self {
            jobs: Some(jobs),
            writer: Some(thread),
            reader,
            index,
            behind,
            sealing,
        })
    }

    /// What invocations are resolved from.
    pub(crate) fn index(&self) -> &Arc<Index> {
        &self.index
    }

    /// Runs `work` on the writer's connection. An error undoes what it wrote; success is on stable
    /// storage, and in the index, when this returns.
    pub(crate) async fn write<T, E>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<CatalogError> + Send + 'static,
    {
        let (sender, receiver) = oneshot::channel();
        let job: Job = Box::new(move |connection, sealing| {
            let session = Session::new(connection, sealing);
            let result = work(&session);
            let changes = session.changes.into_inner();
            Done {
                keep: result.is_ok(),
                changes: if result.is_ok() { changes } else { Vec::new() },
                answer: Box::new(move |committed| {
                    let result = match committed {
                        Ok(()) => result,
                        Err(error) => Err(error.into()),
                    };
                    // A caller that went away does not need the answer.
                    let _ = sender.send(result);
                }),
            }
        });
        let jobs = self.jobs.as_ref().ok_or(CatalogError::Closed)?;
        jobs.send(job).await.map_err(|_| CatalogError::Closed)?;
        receiver.await.map_err(|_| CatalogError::Closed)?
    }

    /// Runs `work` on the reading connection, on a thread that may block. All its queries see the catalog as
    /// it was at the first, and the index has what was read when this returns.
    pub(crate) async fn read<T, E>(
        &self,
        work: impl FnOnce(&Session<'_>) -> Result<T, E> + Send + 'static,
    ) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<CatalogError> + Send + 'static,
    {
        let (reader, sealing) = (Arc::clone(&self.reader), self.sealing.clone());
        let behind = Arc::clone(&self.behind);
        let reading = move || {
            let mut reader = reader.lock();
            let snapshot = reader.transaction().map_err(CatalogError::from)?;
            let read = work(&Session::new(&snapshot, &sealing));
            drop(snapshot);
            drop(reader);
            drop(behind.read());
            read
        };
        tokio::task::spawn_blocking(reading)
            .await
            .map_err(|_| CatalogError::Closed)?
    }
}

impl Drop for Catalog {
    fn drop(&mut self) {
        drop(self.jobs.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the catalog's writer panicked");
        }
    }
}

impl<'a> Session<'a> {
    fn new(connection: &'a Connection, sealing: &'a SealingKey) -> Self {
        Self {
            connection,
            sealing,
            changes: RefCell::new(Vec::new()),
        }
    }

    /// Changes the index once the work is committed.
    fn change(&self, change: Change) {
        self.changes.borrow_mut().push(change);
    }
}

fn write_loop(
    mut connection: Connection,
    mut queue: mpsc::Receiver<Job>,
    index: &Index,
    behind: &RwLock<()>,
    sealing: &SealingKey,
) {
    while let Some(job) = queue.blocking_recv() {
        let mut batch = vec![job];
        while batch.len() < BATCH
            && let Ok(job) = queue.try_recv()
        {
            batch.push(job);
        }
        let mut done = Vec::with_capacity(batch.len());
        let transaction = run(&mut connection, sealing, batch, &mut done);
        // Events, which come and go all the time, change nothing in it, and nobody waits for them.
        let changes = done.iter().any(|job| !job.changes.is_empty());
        let _behind = changes.then(|| behind.write());
        let committed = transaction.and_then(Transaction::commit).map_err(Arc::new);
        for Done {
            keep,
            changes,
            answer,
        } in done
        {
            match &committed {
                Ok(()) => {
                    index.apply(changes);
                    answer(Ok(()));
                }
                Err(error) if keep => answer(Err(CatalogError::Commit(Arc::clone(error)))),
                Err(_) => answer(Ok(())),
            }
        }
    }
}

/// Runs a batch in one transaction, which is left to be committed. A job that was not reached is dropped, which
/// its caller sees as [`CatalogError::Closed`]; that only happens when the database itself fails.
fn run<'a>(
    connection: &'a mut Connection,
    sealing: &SealingKey,
    batch: Vec<Job>,
    done: &mut Vec<Done>,
) -> Result<Transaction<'a>, rusqlite::Error> {
    let mut transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for job in batch {
        let savepoint = transaction.savepoint()?;
        let finished = job(&savepoint, sealing);
        let keep = finished.keep;
        done.push(finished);
        if keep {
            savepoint.commit()?;
        }
        // Dropped otherwise, which rolls it back.
    }
    Ok(transaction)
}

#[cfg(test)]
mod tests;
