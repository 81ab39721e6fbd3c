//! Files, folders and standard input as lines of text, decompressed by the ending of their names.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use super::ReadError;
use crate::trace::MAX_DAYS;

/// Bytes of a line at most.
const MAX_LINE: u64 = 1 << 20;
/// Files of one trace at most.
const MAX_FILES: usize = 10_000;
/// Bytes of memory that decompression may take, in KiB.
const MAX_XZ_KIB: u32 = 128 << 10;
const BUFFER: usize = 256 << 10;

/// A file, or standard input.
#[derive(Debug, Clone)]
pub(super) struct Source {
    path: PathBuf,
}

/// The files that are meant by what was given.
pub(super) fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, ReadError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.is_dir() {
            sources.extend(folder(path)?);
        } else {
            sources.push(Source { path: path.clone() });
        }
    }
    if sources.len() > MAX_FILES {
        let what = std::io::Error::other(format!("more than {MAX_FILES} files"));
        return Err(failed(&paths[0], what));
    }
    Ok(sources)
}

/// Files of a folder that look like traces, by name.
fn folder(path: &Path) -> Result<Vec<Source>, ReadError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| failed(path, error))? {
        let path = entry.map_err(|error| failed(path, error))?.path();
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .to_lowercase();
        let plain = name.trim_end_matches(".gz").trim_end_matches(".xz");
        if path.is_file()
            && [".csv", ".txt", ".jsonl"]
                .iter()
                .any(|end| plain.ends_with(end))
        {
            found.push(Source { path });
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(found)
}

impl Source {
    pub(super) fn name(&self) -> String {
        self.path.display().to_string()
    }

    /// The number of the day in its name: of `….d07.csv` or `day_012.csv`.
    pub(super) fn day(&self) -> Option<u32> {
        let name = self.path.file_name()?.to_str()?.to_lowercase();
        let part = name.split(['.', '-']).find_map(|part| {
            let digits = part
                .strip_prefix("day_")
                .or_else(|| part.strip_prefix('d'))?;
            digits.parse::<u32>().ok()
        });
        part.filter(|day| *day < MAX_DAYS)
    }

    /// Its text.
    pub(super) fn open(&self) -> Result<Lines, ReadError> {
        let name = self.name();
        let raw: Box<dyn Read + Send> = if name == "-" {
            Box::new(std::io::stdin())
        } else {
            Box::new(File::open(&self.path).map_err(|error| failed(&self.path, error))?)
        };
        let ending = self.path.extension().and_then(|it| it.to_str());
        let text: Box<dyn Read + Send> = match ending {
            Some("gz") => Box::new(flate2::read::MultiGzDecoder::new(raw)),
            Some("xz") => Box::new(lzma_rust2::XzReader::new_mem_limit(raw, true, MAX_XZ_KIB)),
            _ => raw,
        };
        Ok(Lines::new(
            name,
            Box::new(BufReader::with_capacity(BUFFER, text)),
        ))
    }
}

fn failed(path: &Path, source: std::io::Error) -> ReadError {
    ReadError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// Lines of a file, each within its limit.
pub(super) struct Lines {
    name: String,
    reader: Box<dyn BufRead + Send>,
    line: u64,
    buffer: Vec<u8>,
}

impl Lines {
    pub(super) fn new(name: String, reader: Box<dyn BufRead + Send>) -> Self {
        Self {
            name,
            reader,
            line: 0,
            buffer: Vec::new(),
        }
    }

    /// The next line that is not empty, without its end.
    pub(super) fn next(&mut self) -> Result<Option<&str>, ReadError> {
        loop {
            self.buffer.clear();
            let mut bounded = self.reader.by_ref().take(MAX_LINE + 1);
            let read = bounded.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| ReadError::Io {
                path: self.name.clone(),
                source,
            })?;
            if read == 0 {
                return Ok(None);
            }
            self.line += 1;
            if self.buffer.len() as u64 > MAX_LINE {
                return Err(self.wrong(format!("longer than {MAX_LINE} bytes")));
            }
            while self
                .buffer
                .last()
                .is_some_and(|byte| matches!(byte, b'\n' | b'\r'))
            {
                self.buffer.pop();
            }
            if self.line == 1 && self.buffer.starts_with(b"\xef\xbb\xbf") {
                self.buffer.drain(..3);
            }
            if !self.buffer.is_empty() {
                break;
            }
        }
        match std::str::from_utf8(&self.buffer) {
            Ok(line) => Ok(Some(line)),
            Err(_) => Err(self.wrong("is not UTF-8".to_owned())),
        }
    }

    /// Something is wrong with the line that was read last.
    pub(super) fn wrong(&self, what: String) -> ReadError {
        ReadError::Line {
            path: self.name.clone(),
            line: self.line,
            what,
        }
    }

    /// Each line that is left, with what is wrong with it as the error.
    pub(super) fn each(
        &mut self,
        mut read: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), ReadError> {
        loop {
            let outcome = match self.next()? {
                Some(line) => read(line),
                None => return Ok(()),
            };
            outcome.map_err(|what| self.wrong(what))?;
        }
    }
}
