//! What a fork touches before it has served: learned from one, done for the next while that waits for its start.
//!
//! A fork shares its template's pages until it writes to them, and knows of files' pages that are in memory only once it has
//! looked for them. Each first touch costs it a fault, of 1 to 2 µs, and there are some hundred on the way to the first
//! answer. They are the same ones in every fork, for the most part. The agent makes them in a berth by reading a byte, and
//! writing that same byte: the fork waits meanwhile and has not run any code of the function's.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::template::memory::{Mapping, Memory, head};

/// A berth that waits holds that much memory of its own at most: 4 MiB.
const MAX_WRITTEN: usize = 1024;
/// Windows of files' pages.
const MAX_READ: usize = 4096;
/// No more memory than that is looked through, 4 GiB, whatever the function has mapped.
const MAX_PAGES: u64 = 1 << 20;
/// Nor more mappings.
const MAX_MAPPINGS: usize = 4096;

const PAGE: u64 = 4096;
/// What one fault maps of a file where its pages are in memory (`fault_around_bytes`, as the kernel comes with it).
const WINDOW: u64 = 64 << 10;

/// Of an entry in /proc/PID/pagemap (Linux, admin-guide/mm/pagemap.rst).
const PRESENT: u64 = 1 << 63;
const OF_FILE: u64 = 1 << 61;
const EXCLUSIVE: u64 = 1 << 56;

/// From how much of a fork's life a template learns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lesson {
    /// It waits for its first request.
    Restored,
    /// It has answered one.
    Served,
}

/// Addresses that a fork reads or writes first.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Touches {
    /// One in each page.
    written: Vec<u64>,
    /// One in each window.
    read: Vec<u64>,
}

impl Touches {
    /// What that fork has touched until now, as long as its template lives. Looks through its page tables.
    pub(crate) fn of(pid: i32) -> io::Result<Touches> {
        let pagemap = File::open(format!("/proc/{pid}/pagemap"))?;
        let mut touches = Touches::default();
        let mut pages = MAX_PAGES;
        let maps = BufReader::new(File::open(format!("/proc/{pid}/maps"))?);
        for line in maps.split(b'\n').take(MAX_MAPPINGS) {
            let line = line?;
            let line = String::from_utf8_lossy(&line);
            if let Some(kind) = Kind::of(&line)
                && let Some(mapping) = head(&line)
            {
                pages -= touches.look_through(&pagemap, &mapping, kind, pages)?;
            }
        }
        Ok(touches)
    }

    /// At most that many pages; returns how many there were.
    fn look_through(
        &mut self,
        pagemap: &File,
        mapping: &Mapping,
        kind: Kind,
        most: u64,
    ) -> io::Result<u64> {
        let pages = ((mapping.end - mapping.begin) / PAGE).min(most);
        let mut entries = vec![0; (pages * 8) as usize];
        // The kernel's own mappings have none.
        let length = pagemap.read_at(&mut entries, mapping.begin / PAGE * 8)?;
        for (index, entry) in entries[..length].as_chunks().0.iter().enumerate() {
            let address = mapping.begin + index as u64 * PAGE;
            self.take(mapping.begin, address, u64::from_le_bytes(*entry), kind);
        }
        Ok(pages)
    }

    /// A page of the mapping that begins there.
    fn take(&mut self, begin: u64, address: u64, entry: u64, kind: Kind) {
        if entry & PRESENT == 0 {
            return;
        }
        let of_file = entry & OF_FILE != 0;
        if kind == Kind::Writable && !of_file && entry & EXCLUSIVE != 0 {
            if self.written.len() < MAX_WRITTEN {
                self.written.push(address);
            }
        } else if of_file && self.read.len() < MAX_READ {
            let window = |address: u64| address / WINDOW;
            // Not beyond the mapping.
            let last = self.read.last().filter(|last| **last >= begin);
            if last.is_none_or(|last| window(*last) != window(address)) {
                self.read.push(address);
            }
        }
    }

    /// Touches the same in another fork, which waits. What is not there is left out.
    pub(crate) fn repeat(&self, memory: &Memory) {
        let mut byte = [0];
        for &address in &self.read {
            let _ = memory.read(address, &mut byte);
        }
        for &address in &self.written {
            if memory.read(address, &mut byte).is_ok() {
                let _ = memory.write(address, &byte);
            }
        }
    }
}

/// What a template has learned.
#[derive(Debug, Default)]
pub(crate) struct Learned(Mutex<Lessons>);

#[derive(Debug, Default)]
struct Lessons {
    /// What somebody has begun with, or has had.
    begun: Option<Lesson>,
    touches: Option<Arc<Touches>>,
}

impl Learned {
    /// Whether that would be new: then it is the caller's to give, and nobody else's.
    pub(crate) fn begin(&self, lesson: Lesson) -> bool {
        let mut lessons = self.lessons();
        let is_new = lessons.begun < Some(lesson);
        if is_new {
            lessons.begun = Some(lesson);
        }
        is_new
    }

    /// Puts it in the place of less. Of who has ended meanwhile there is nothing to be learned. Whether it is known now.
    pub(crate) fn put(&self, lesson: Lesson, touches: Touches) -> bool {
        let mut lessons = self.lessons();
        // Unless a greater one was quicker.
        let is_known = lessons.begun == Some(lesson) && !touches.written.is_empty();
        if is_known {
            lessons.touches = Some(Arc::new(touches));
        }
        is_known
    }

    pub(crate) fn get(&self) -> Option<Arc<Touches>> {
        self.lessons().touches.clone()
    }

    fn lessons(&self) -> MutexGuard<'_, Lessons> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What may be done to a mapping's pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Writable,
    Readable,
}

impl Kind {
    /// Of a line of /proc/PID/maps. Of others nothing can be read, or it is shared.
    fn of(line: &str) -> Option<Kind> {
        match line.split(' ').nth(1)?.as_bytes() {
            [b'r', b'w', _, b'p'] => Some(Kind::Writable),
            [b'r', _, _, b'p'] => Some(Kind::Readable),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWN: u64 = PRESENT | EXCLUSIVE;
    const FILE: u64 = PRESENT | OF_FILE;

    #[test]
    fn what_is_shared_with_the_template_is_no_touch() {
        let mut touches = Touches::default();
        touches.take(0, 0x1000, OWN, Kind::Writable);
        touches.take(0, 0x2000, PRESENT, Kind::Writable);
        touches.take(0, 0x3000, EXCLUSIVE, Kind::Writable);
        touches.take(0, 0x4000, OWN, Kind::Readable);
        assert_eq!(touches.written, [0x1000]);
        assert_eq!(touches.read, Vec::<u64>::new());
    }

    #[test]
    fn one_read_is_enough_for_what_a_fault_maps() {
        let mut touches = Touches::default();
        for address in [0x0f000, 0x10000, 0x11000, 0x1f000, 0x20000] {
            touches.take(0, address, FILE, Kind::Readable);
        }
        touches.take(0x21000, 0x21000, FILE, Kind::Readable);
        assert_eq!(touches.read, [0x0f000, 0x10000, 0x20000, 0x21000]);
    }

    #[test]
    fn there_is_an_end_to_them() {
        let mut touches = Touches::default();
        for page in 0..2 * MAX_WRITTEN as u64 {
            touches.take(0, page * PAGE, OWN, Kind::Writable);
        }
        assert_eq!(touches.written.len(), MAX_WRITTEN);
    }

    #[test]
    fn shared_memory_and_what_cannot_be_read_is_left_alone() {
        assert_eq!(Kind::of("7f00-7f01 rw-p 0 00:00 0"), Some(Kind::Writable));
        assert_eq!(Kind::of("7f00-7f01 r-xp 0 00:00 0"), Some(Kind::Readable));
        assert_eq!(Kind::of("7f00-7f01 rw-s 0 00:00 0"), None);
        assert_eq!(Kind::of("7f00-7f01 ---p 0 00:00 0"), None);
        assert_eq!(Kind::of(""), None);
    }

    #[test]
    fn a_lesson_replaces_a_lesser_one() {
        let some = |address| Touches {
            written: vec![address],
            read: Vec::new(),
        };
        let learned = Learned::default();
        assert!(learned.begin(Lesson::Restored));
        assert!(!learned.begin(Lesson::Restored));
        assert!(learned.put(Lesson::Restored, some(1)));
        assert!(learned.begin(Lesson::Served));
        assert!(!learned.put(Lesson::Served, Touches::default()));
        assert_eq!(learned.get(), Some(Arc::new(some(1))));
        assert!(learned.put(Lesson::Served, some(2)));
        assert!(!learned.begin(Lesson::Restored));
        assert!(!learned.put(Lesson::Restored, some(3)));
        assert_eq!(learned.get(), Some(Arc::new(some(2))));
    }

    #[test]
    fn a_process_of_ones_own_is_looked_through() {
        let written = Box::new(7_u64);
        let touches = Touches::of(std::process::id() as i32).unwrap();
        let page = std::ptr::from_ref(&*written).addr() as u64 / PAGE * PAGE;
        assert!(touches.written.len() == MAX_WRITTEN || touches.written.contains(&page));
        assert!(!touches.read.is_empty());
        touches.repeat(&Memory::open(std::process::id() as i32).unwrap());
        assert_eq!(*written, 7);
    }
}
