//! A log store that nothing has been written to, and that takes nothing in.

use std::io;
use std::time::Duration;

use pilotlight_model::logs::{
    GroupFacts, LogGroup, LogPage, LogQuery, Logs, NewEvent, StreamFacts,
};
use pilotlight_model::node::BoxFuture;
use pilotlight_model::{AccountId, Region};

pub(crate) struct NoLogs;

fn answer<T: Send + 'static>(value: T) -> BoxFuture<'static, io::Result<T>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl Logs for NoLogs {
    fn groups(&self, _: &AccountId, _: &Region) -> BoxFuture<'_, io::Result<Vec<String>>> {
        answer(Vec::new())
    }

    fn facts(&self, groups: Vec<LogGroup>) -> BoxFuture<'_, io::Result<Vec<Option<GroupFacts>>>> {
        answer(vec![None; groups.len()])
    }

    fn streams(&self, _: &LogGroup) -> BoxFuture<'_, io::Result<Vec<StreamFacts>>> {
        answer(Vec::new())
    }

    fn query(&self, _: &LogGroup, _: LogQuery) -> BoxFuture<'_, io::Result<LogPage>> {
        answer(LogPage::default())
    }

    fn put(&self, _: &LogGroup, _: &str, _: Vec<NewEvent>) -> BoxFuture<'_, io::Result<()>> {
        Box::pin(std::future::ready(Err(io::ErrorKind::Unsupported.into())))
    }

    fn delete_stream(&self, _: &LogGroup, _: &str) -> BoxFuture<'_, io::Result<()>> {
        answer(())
    }

    fn delete_group(&self, _: &LogGroup) -> BoxFuture<'_, io::Result<()>> {
        answer(())
    }

    fn retain(&self, _: &LogGroup, _: Option<Duration>) {}
}
