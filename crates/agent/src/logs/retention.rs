//! What has been said of how long lines are kept, and has not been heeded yet: once per group, however often it is
//! said.

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::Mutex;

use super::LogGroup;

/// Left by those who say it, taken by the writer.
#[derive(Default)]
pub(super) struct Told(Mutex<News>);

/// What is to be heeded.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// Keep lines of these for so long, or as long as there is room.
    pub(super) groups: HashMap<LogGroup, Option<Duration>>,
    /// Let go of what has been kept long enough.
    pub(super) expire: bool,
}

impl Told {
    /// Says how long lines of a group are kept. Returns whether the writer must be told that there is something.
    pub(super) fn retain(&self, group: LogGroup, time: Option<Duration>) -> bool {
        let mut news = self.0.lock();
        let first = *news == News::default();
        news.groups.insert(group, time);
        first
    }

    /// Says that it is time to let go of what has been kept long enough; returns as [`Told::retain`] does.
    pub(super) fn expire(&self) -> bool {
        let mut news = self.0.lock();
        let first = *news == News::default();
        news.expire = true;
        first
    }

    /// What has been said since the last time.
    pub(super) fn take(&self) -> News {
        std::mem::take(&mut *self.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_writer_is_told_once_however_much_is_said() {
        let told = Told::default();
        let group = |name: &str| LogGroup {
            account: "000000000001".parse().unwrap(),
            region: "us-east-1".parse().unwrap(),
            name: name.to_owned(),
        };
        assert!(told.retain(group("a"), None));
        assert!(!told.retain(group("a"), Some(Duration::from_secs(1))));
        assert!(!told.expire());
        assert!(!told.retain(group("b"), None));
        let news = told.take();
        assert!(news.expire && news.groups.len() == 2);
        assert_eq!(news.groups[&group("a")], Some(Duration::from_secs(1)));
        assert!(told.expire());
    }
}
