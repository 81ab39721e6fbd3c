//! What the control plane asks of the log store: groups, streams and events, as CloudWatch Logs has them.

use std::collections::BTreeSet;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use crate::ids::{AccountId, Region};
use crate::node::BoxFuture;

/// A log group of one account in one region.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogGroup {
    /// Owner.
    pub account: AccountId,
    /// Region.
    pub region: Region,
    /// Name, such as `/aws/lambda/hello`.
    pub name: String,
}

/// What the store knows of a group that has been written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupFacts {
    /// When it was first written to, in milliseconds since 1970.
    pub created_ms: u64,
    /// Bytes on disk.
    pub bytes: u64,
}

/// What the store knows of a stream that has been written to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamFacts {
    /// Name.
    pub name: Arc<str>,
    /// When it was first written to, in milliseconds since 1970. So are all times.
    pub created_ms: u64,
    /// Time of its oldest event.
    pub first_ms: u64,
    /// Time of its newest event.
    pub last_ms: u64,
    /// When its last event came in.
    pub ingested_ms: u64,
}

/// An event to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEvent {
    /// Its own time, in milliseconds since 1970.
    pub at_ms: u64,
    /// Text.
    pub message: String,
}

/// An event as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Where it stands in the order of its group.
    pub cursor: Cursor,
    /// When it came in, in milliseconds since 1970.
    pub ingested_ms: u64,
    /// Its stream.
    pub stream: Arc<str>,
    /// Its text. A line of a function ends with a line feed, as Lambda writes it.
    pub message: String,
}

/// A place in the order of a group's events: by time, and by position where times are equal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cursor {
    /// Milliseconds since 1970.
    pub at_ms: u64,
    /// Position in the store; different for every event of a group.
    pub position: u64,
}

/// Decides whether a message is looked for.
pub type Matcher = Arc<dyn Fn(&str) -> bool + Send + Sync>;

/// Streams that are looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Streams {
    /// All of the group.
    All,
    /// Those of these names.
    Named(BTreeSet<String>),
    /// Those whose names begin so.
    Prefix(String),
}

impl Streams {
    /// Whether the stream of that name is one of them.
    pub fn contain(&self, name: &str) -> bool {
        match self {
            Streams::All => true,
            Streams::Named(names) => names.contains(name),
            Streams::Prefix(prefix) => name.starts_with(prefix),
        }
    }
}

/// The function that writes to a stream of that name: one of its instances made it, as
/// `YYYY/MM/DD/<function>[<version>]<id>`. The name is left out in the function's own group.
pub fn stream_function<'a>(group: &'a str, stream: &'a str) -> Option<&'a str> {
    let (date, instance) = stream.split_at_checked("YYYY/MM/DD/".len())?;
    if !date.ends_with('/') || !instance.contains(']') {
        return None;
    }
    match instance.split_once('[')?.0 {
        "" => group.strip_prefix("/aws/lambda/"),
        name => Some(name),
    }
}

/// Which events are wanted.
#[derive(Clone)]
pub struct LogQuery {
    /// Of which streams.
    pub streams: Streams,
    /// Not older than this, in milliseconds since 1970.
    pub from_ms: u64,
    /// Older than this.
    pub until_ms: u64,
    /// Behind this place, or before it when reading backwards.
    pub after: Option<Cursor>,
    /// Newest first, from the end.
    pub backwards: bool,
    /// Only what matches.
    pub matcher: Option<Matcher>,
    /// Events at most.
    pub limit: usize,
    /// Bytes of messages at most; one event always fits.
    pub bytes: usize,
}

impl fmt::Debug for LogQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LogQuery")
            .field("streams", &self.streams)
            .field("from_ms", &self.from_ms)
            .field("until_ms", &self.until_ms)
            .field("after", &self.after)
            .field("backwards", &self.backwards)
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// A part of what was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LogPage {
    /// Oldest first, whichever way was read.
    pub events: Vec<LogEvent>,
    /// Where reading goes on; `None` when everything has been looked at. A page may be empty and have it:
    /// a call looks at so much and no more.
    pub next: Option<Cursor>,
}

/// The log store of a node.
pub trait Logs: Send + Sync + 'static {
    /// Names of the groups that have been written to, in order.
    fn groups(
        &self,
        account: &AccountId,
        region: &Region,
    ) -> BoxFuture<'_, io::Result<Vec<String>>>;

    /// What is known of each of some groups, if it has been written to.
    fn facts(&self, groups: Vec<LogGroup>) -> BoxFuture<'_, io::Result<Vec<Option<GroupFacts>>>>;

    /// Streams of a group that have been written to, in no order.
    fn streams(&self, group: &LogGroup) -> BoxFuture<'_, io::Result<Vec<StreamFacts>>>;

    /// Events; everything written before the call is seen.
    fn query(&self, group: &LogGroup, query: LogQuery) -> BoxFuture<'_, io::Result<LogPage>>;

    /// Writes events of one stream; they are on stable storage when this resolves.
    fn put(
        &self,
        group: &LogGroup,
        stream: &str,
        events: Vec<NewEvent>,
    ) -> BoxFuture<'_, io::Result<()>>;

    /// Forgets what a stream has said so far.
    fn delete_stream(&self, group: &LogGroup, stream: &str) -> BoxFuture<'_, io::Result<()>>;

    /// Forgets everything of a group.
    fn delete_group(&self, group: &LogGroup) -> BoxFuture<'_, io::Result<()>>;

    /// Says how long events are kept; `None`: until there is no room for them. The store forgets this at
    /// its end and must be told again.
    fn retain(&self, group: &LogGroup, time: Option<Duration>);
}

#[cfg(test)]
mod tests {
    use super::stream_function;

    #[test]
    fn streams_of_instances_tell_their_function() {
        let id = "0123456789abcdef0123456789abcdef";
        let own = format!("2026/03/04/[$LATEST]{id}");
        let shared = format!("2026/03/04/hello[7]{id}");
        assert_eq!(stream_function("/aws/lambda/hello", &own), Some("hello"));
        assert_eq!(stream_function("/my/group", &shared), Some("hello"));
        assert_eq!(stream_function("/aws/lambda/other", &shared), Some("hello"));
        for other in [
            "",
            "mine",
            "2026/03/04/",
            "2026/03/04/hello",
            "2026-03-04-hello[7]",
            &own,
        ] {
            assert_eq!(stream_function("/my/group", other), None, "{other}");
        }
    }
}
