//! Reading traces. What a file is shows in its first line, so that folders and files of all formats are
//! given alike; the format of each is described where it is read.

mod azure2019;
mod azure2021;
mod day_series;
mod events;
mod fields;
mod huawei;
mod input;

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use pilotlight_policy::Bytes;

pub use input::Lines as Input;

use crate::trace::{Counts, Durations, Function, MAX_FUNCTIONS, MINUTES_PER_DAY, Trace};

/// Bytes that minutes of requests may take in memory, all together.
const MAX_COUNTS_BYTES: usize = 4 << 30;

/// Why a trace cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// A file or folder cannot be opened or read.
    #[error("cannot read {path}")]
    Io {
        /// What was read.
        path: String,
        /// Why not.
        #[source]
        source: std::io::Error,
    },
    /// What a file holds ends in the middle, or was damaged: mostly an archive that was not copied whole.
    #[error("{path} cannot be read beyond line {line}")]
    Broken {
        /// The file.
        path: String,
        /// The last line that could be read.
        line: u64,
        /// What is wrong.
        #[source]
        source: std::io::Error,
    },
    /// A line is not what its file says it is.
    #[error("{path}, line {line}: {what}")]
    Line {
        /// The file.
        path: String,
        /// The line, from 1 on.
        line: u64,
        /// What is wrong with it.
        what: String,
    },
    /// The first line is of no format that is known.
    #[error(
        "{path}: the first line is of no known format (Azure 2019 or 2021, Huawei, day series, event log)"
    )]
    Format {
        /// The file.
        path: String,
    },
    /// There are no arrivals in what was given.
    #[error("no file with requests among what was given")]
    Nothing,
}

/// The formats of files that make a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Format {
    /// Requests by function and minute.
    Azure2019Invocations,
    /// Requests one by one.
    Azure2021,
    /// Requests by minute and function.
    HuaweiRequests,
    /// Minutes of one day with weights.
    DaySeries,
    /// Our own log.
    Events,
    /// Percentiles of run times.
    Azure2019Durations,
    /// Percentiles of memory.
    Azure2019Memory,
    /// Run times by minute and function.
    HuaweiDelays,
    /// Something else about functions, which is not used.
    Unused,
}

impl Format {
    /// Of a file with that first line. Matrices of Huawei's are told apart by their names alone.
    fn of(header: &str, name: &str) -> Option<Self> {
        let starts = |prefix: &str| header.starts_with(prefix);
        if starts("HashOwner,HashApp,HashFunction,Trigger,") {
            Some(Self::Azure2019Invocations)
        } else if starts("HashOwner,HashApp,HashFunction,Average,") {
            Some(Self::Azure2019Durations)
        } else if starts("HashOwner,HashApp,SampleCount,")
            || starts("HashFunction,HashOwner,HashApp,SampleCount,")
        {
            Some(Self::Azure2019Memory)
        } else if starts("app,func,end_timestamp,") {
            Some(Self::Azure2021)
        } else if starts("day,time,") {
            Some(Self::matrix(name))
        } else if starts("{\"format\":\"pilotlight-events\"") {
            Some(Self::Events)
        } else if starts("series_id,weight,") {
            Some(Self::DaySeries)
        } else {
            None
        }
    }

    fn matrix(name: &str) -> Self {
        let words = [
            ("platform_delay", Self::Unused),
            ("cpu_", Self::Unused),
            ("memory_", Self::Unused),
            ("instances", Self::Unused),
            ("function_delay", Self::HuaweiDelays),
        ];
        // The file's own name counts before that of its folder.
        let ends = name.rsplit('/').take(2);
        let known = ends.flat_map(|part| words.iter().filter(move |(word, _)| part.contains(word)));
        known
            .map(|(_, format)| *format)
            .next()
            .unwrap_or(Self::HuaweiRequests)
    }
}

/// Opens one file, or standard input where the path is `-`.
pub fn open(path: &Path) -> Result<Input, ReadError> {
    let mut sources = input::sources(&[path.to_owned()])?;
    match (sources.pop(), sources.pop()) {
        (Some(source), None) => source.open(),
        _ => Err(ReadError::Nothing),
    }
}

/// Reads files, and all files of folders, into one trace. `-` is standard input. Files of several days are
/// put one after the other, by the number of the day in their names (`d07`, `day_012`), or else in the order
/// in which they are given.
pub fn read(paths: &[PathBuf], progress: &mut dyn FnMut(&str)) -> Result<Trace, ReadError> {
    let mut files = Vec::new();
    for (order, source) in input::sources(paths)?.into_iter().enumerate() {
        let mut lines = source.open()?;
        let header = lines.next_line()?.unwrap_or_default().to_owned();
        let Some(format) = Format::of(&header, &source.name()) else {
            return Err(ReadError::Format {
                path: source.name(),
            });
        };
        // What can be opened again is closed until its turn comes.
        let lines = source.is_stdin().then_some(lines);
        let (day, order) = match format {
            // Logs say themselves when they began.
            Format::Events => (None, (events::began(&header), order)),
            _ => (source.day(), (None, order)),
        };
        files.push((format, day, order, source, header, lines));
    }
    // What is added to functions comes after the files that name them.
    files.sort_by_key(|(format, day, order, ..)| (*format, *day, *order));
    let mut builder = Builder::default();
    let first_day = files.iter().filter_map(|(_, day, ..)| *day).min();
    for (format, day, _, source, header, lines) in files {
        progress(&source.name());
        let day = day.zip(first_day).map(|(day, first)| day - first);
        let lines = &mut match lines {
            Some(lines) => lines,
            None => {
                let mut lines = source.open()?;
                lines.next_line()?;
                lines
            }
        };
        match format {
            Format::Azure2019Invocations => {
                azure2019::invocations(lines, &header, day, &mut builder)?
            }
            Format::Azure2019Durations => azure2019::durations(lines, &header, &mut builder)?,
            Format::Azure2019Memory => azure2019::memory(lines, &header, &mut builder)?,
            Format::DaySeries => day_series::read(lines, &header, &mut builder)?,
            Format::Azure2021 => azure2021::read(lines, &header, &mut builder)?,
            Format::HuaweiRequests => huawei::requests(lines, &header, &mut builder)?,
            Format::HuaweiDelays => huawei::delays(lines, &header, &mut builder)?,
            Format::Events => events::read(lines, &header, &mut builder)?,
            Format::Unused => {}
        }
    }
    builder.finish()
}

/// A trace in the making.
#[derive(Debug, Default)]
struct Builder {
    trace: Trace,
    by_name: HashMap<Box<str>, u32>,
    /// Functions that each application has.
    per_app: HashMap<Box<str>, u32>,
    counts_bytes: usize,
    /// First minute and first after the last that any file covers.
    window: Option<(u32, u32)>,
    /// Days that were put one after the other.
    days: u32,
    /// What event logs have said so far.
    log: Option<events::EventLog>,
}

impl Builder {
    /// The function of that name, made where it is not there.
    fn function(&mut self, name: &str, app: Option<&str>) -> Result<u32, String> {
        if let Some(&function) = self.by_name.get(name) {
            return Ok(function);
        }
        let function = self.trace.functions.len();
        if function == MAX_FUNCTIONS {
            return Err(format!("more than {MAX_FUNCTIONS} functions"));
        }
        if name.is_empty() || name.len() > crate::trace::MAX_NAME {
            return Err(format!("a function's name has {} bytes", name.len()));
        }
        self.trace.functions.push(Function {
            name: name.to_owned(),
            weight: 1.0,
            ..Function::default()
        });
        self.trace.counts.push(Counts::default());
        self.by_name.insert(name.into(), function as u32);
        if let Some(app) = app {
            *self.per_app.entry(app.into()).or_default() += 1;
        }
        Ok(function as u32)
    }

    /// Adds the minutes of one row, in the order of time.
    fn minutes(
        &mut self,
        function: u32,
        cells: impl Iterator<Item = (u32, u32)>,
    ) -> Result<(), String> {
        let counts = &mut self.trace.counts[function as usize];
        let before = counts.bytes();
        for (minute, requests) in cells {
            if !counts.push(minute, requests) {
                return Err(format!(
                    "minute {minute} does not come after those before it"
                ));
            }
        }
        self.counts_bytes += counts.bytes() - before;
        if self.counts_bytes > MAX_COUNTS_BYTES {
            return Err(format!("more than {MAX_COUNTS_BYTES} bytes of requests"));
        }
        Ok(())
    }

    /// The trace covers that time too.
    fn cover(&mut self, begin: u32, end: u32) {
        let window = self.window.get_or_insert((begin, end));
        *window = (window.0.min(begin), window.1.max(end));
    }

    /// The day that a file is of, where its name does not say, and its first minute.
    fn day(&mut self, day: Option<u32>) -> u32 {
        let day = day.unwrap_or(self.days);
        self.days = self.days.max(day + 1);
        day * MINUTES_PER_DAY
    }

    fn known(&mut self, name: &str) -> Option<&mut Function> {
        let index = *self.by_name.get(name)?;
        self.trace.functions.get_mut(index as usize)
    }

    fn set_durations(&mut self, name: &str, durations: Durations) {
        if let Some(function) = self.known(name) {
            function.durations.get_or_insert(durations);
        }
    }

    fn set_memory(&mut self, name: &str, memory: Bytes) {
        if let Some(function) = self.known(name) {
            function.memory.get_or_insert(memory);
        }
    }

    fn finish(mut self) -> Result<Trace, ReadError> {
        let (begin, end) = self.window.ok_or(ReadError::Nothing)?;
        self.trace.hints.sort_by_key(|(at, _)| *at);
        self.trace.count_requests();
        self.trace.counts.iter_mut().for_each(Counts::shrink);
        (self.trace.begin, self.trace.end) = (begin, end);
        Ok(self.trace)
    }
}
