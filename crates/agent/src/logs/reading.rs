//! Groups, streams and events of the store, for the API of CloudWatch Logs.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;
use pilotlight_model::ids::{AccountId, Region};
use pilotlight_model::logs::{
    GroupFacts, LogGroup, LogPage, LogQuery, Logs, NewEvent, StreamFacts,
};
use pilotlight_model::node::BoxFuture;
use tokio::sync::oneshot;
use tokio::task::spawn_blocking;

use super::index::Index;
use super::{Batch, Command, Line, LogStore, groups, permits, select};
use crate::clock;

/// Bytes of all indexes that are kept in memory; beyond it, those used longest ago are made anew when they
/// are needed.
const INDEX_BYTES: usize = 64 * 1024 * 1024;

/// What an index is taken to weigh besides what is in it.
const ENTRY_BYTES: usize = 512;

/// The indexes of journals that have been read.
#[derive(Default)]
pub(crate) struct Indexes {
    /// Held for a look; an index has a lock of its own, held while the journal is read.
    kept: Mutex<HashMap<LogGroup, Kept>>,
    uses: AtomicU64,
}

struct Kept {
    index: Arc<Mutex<Index>>,
    weight: usize,
    used: u64,
}

impl Indexes {
    /// Looks at the index of a group once it knows everything that has been written.
    fn look<T>(
        &self,
        group: &LogGroup,
        folder: &Path,
        look: impl FnOnce(&Index) -> T,
    ) -> io::Result<T> {
        let used = self.uses.fetch_add(1, Ordering::Relaxed);
        let index = {
            let mut kept = self.kept.lock();
            let kept = kept.entry(group.clone()).or_insert_with(|| Kept {
                index: Arc::default(),
                weight: 0,
                used,
            });
            kept.used = used;
            Arc::clone(&kept.index)
        };
        let mut index = index.lock();
        index.refresh(folder)?;
        let (seen, weight) = (
            look(&index),
            index.weight() + ENTRY_BYTES + group.name.len(),
        );
        drop(index);
        self.weigh(group, weight);
        Ok(seen)
    }

    fn weigh(&self, group: &LogGroup, weight: usize) {
        let mut kept = self.kept.lock();
        if let Some(kept) = kept.get_mut(group) {
            kept.weight = weight;
        }
        let mut total: usize = kept.values().map(|it| it.weight).sum();
        while total > INDEX_BYTES && kept.len() > 1 {
            let oldest = kept.iter().min_by_key(|(_, it)| it.used);
            let Some(oldest) = oldest.map(|(group, _)| group.clone()) else {
                return;
            };
            total -= kept.remove(&oldest).map_or(0, |it| it.weight);
        }
    }

    fn forget(&self, group: &LogGroup) {
        self.kept.lock().remove(group);
    }
}

impl LogStore {
    /// Lets go of what has been kept long enough, in its own time.
    pub(crate) fn expire(&self) {
        if self.retention.expire() {
            // An error means that the writer has ended.
            let _ = self.commands.send(Command::Retain);
        }
    }

    /// Reads in a thread that may wait for a disk, once everything pushed before has been written.
    pub(super) async fn read_blocking<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader) -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        let _turn = self
            .readers
            .acquire()
            .await
            .expect("the semaphore is never closed");
        self.written().await;
        let reader = Reader {
            folder: Arc::clone(&self.folder),
            indexes: Arc::clone(&self.indexes),
        };
        spawn_blocking(move || read(&reader))
            .await
            .map_err(io::Error::other)?
    }

    /// Has something deleted, in its turn.
    async fn delete(
        &self,
        command: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Command,
    ) -> io::Result<()> {
        let _turn = self
            .deletions
            .acquire()
            .await
            .expect("the semaphore is never closed");
        self.done(command).await
    }

    async fn done(
        &self,
        command: impl FnOnce(oneshot::Sender<io::Result<()>>) -> Command,
    ) -> io::Result<()> {
        let (done, wait) = oneshot::channel();
        let ended = || io::Error::other("the log store is closed");
        self.commands.send(command(done)).map_err(|_| ended())?;
        wait.await.map_err(|_| ended())?
    }
}

/// What reading needs of the store; unlike a handle, it does not keep the writer waiting for commands.
pub(super) struct Reader {
    folder: Arc<PathBuf>,
    indexes: Arc<Indexes>,
}

impl Reader {
    pub(super) fn folder_of(&self, group: &LogGroup) -> PathBuf {
        groups::folder_of(&self.folder, group)
    }

    fn look<T>(&self, group: &LogGroup, look: impl FnOnce(&Index) -> T) -> io::Result<T> {
        self.indexes.look(group, &self.folder_of(group), look)
    }
}

impl Logs for LogStore {
    fn groups(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> BoxFuture<'_, io::Result<Vec<String>>> {
        let (account, region) = (account.clone(), region.clone());
        Box::pin(self.read_blocking(move |reader| groups::names(&reader.folder, &account, &region)))
    }

    fn facts(&self, groups: Vec<LogGroup>) -> BoxFuture<'_, io::Result<Vec<Option<GroupFacts>>>> {
        Box::pin(self.read_blocking(move |reader| {
            let facts = |group| groups::facts(&reader.folder_of(group));
            groups.iter().map(facts).collect()
        }))
    }

    fn streams(&self, group: &LogGroup) -> BoxFuture<'_, io::Result<Vec<StreamFacts>>> {
        let group = group.clone();
        Box::pin(self.read_blocking(move |reader| reader.look(&group, Index::streams)))
    }

    fn query(&self, group: &LogGroup, query: LogQuery) -> BoxFuture<'_, io::Result<LogPage>> {
        let group = group.clone();
        Box::pin(self.read_blocking(move |reader| {
            let plan = reader.look(&group, |index| index.plan(&query))?;
            select::page(plan, &query)
        }))
    }

    fn put(
        &self,
        group: &LogGroup,
        stream: &str,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'_, io::Result<()>> {
        let lines = events.into_iter().map(|event| Line {
            at_ms: event.at_ms,
            message: event.message,
        });
        let batch = Batch {
            group: Arc::new(group.clone()),
            stream: stream.into(),
            lines: lines.collect(),
            ingested_ms: Some(clock::unix_ms()),
        };
        Box::pin(async move {
            let room = Arc::clone(&self.room)
                .acquire_many_owned(permits(&batch))
                .await
                .expect("the semaphore is never closed");
            self.done(|done| Command::Store(batch, room, done)).await
        })
    }

    fn delete_stream(&self, group: &LogGroup, stream: &str) -> BoxFuture<'_, io::Result<()>> {
        let (group, stream) = (Arc::new(group.clone()), stream.to_owned());
        Box::pin(self.delete(|done| Command::DeleteStream(group, stream, done)))
    }

    fn delete_group(&self, group: &LogGroup) -> BoxFuture<'_, io::Result<()>> {
        let group = Arc::new(group.clone());
        Box::pin(async move {
            self.delete(|done| Command::DeleteGroup(Arc::clone(&group), done))
                .await?;
            self.indexes.forget(&group);
            Ok(())
        })
    }

    fn retain(&self, group: &LogGroup, time: Option<Duration>) {
        if self.retention.retain(group.clone(), time) {
            // An error means that the writer has ended.
            let _ = self.commands.send(Command::Retain);
        }
    }
}
