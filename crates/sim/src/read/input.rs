//! Files, folders, archives and standard input as lines of text, decompressed by the ending of their names.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::read::{DeflateDecoder, MultiGzDecoder};
use lzma_rust2::XzReader;
use rawzip::{CompressionMethod, RECOMMENDED_BUFFER_SIZE, ZipArchive};

use super::ReadError;
use crate::trace::MAX_DAYS;

/// Bytes of a line at most.
const MAX_LINE: u64 = 1 << 20;
/// Files of one trace at most.
const MAX_FILES: usize = 10_000;
/// Memory that decompression may take, in KiB.
const MAX_XZ_KIB: u32 = 128 << 10;
const BUFFER: usize = 256 << 10;

/// A file, a member of an archive, or standard input.
#[derive(Debug, Clone)]
pub(super) struct Source {
    path: PathBuf,
    member: Option<Member>,
}

/// Where in its archive a member is.
#[derive(Debug, Clone)]
struct Member {
    name: String,
    begin: u64,
    end: u64,
    deflated: bool,
}

/// The files that are meant by what was given.
pub(super) fn sources(paths: &[PathBuf]) -> Result<Vec<Source>, ReadError> {
    let mut sources = Vec::new();
    for path in paths {
        if path.is_dir() {
            folder(path, &mut sources)?;
        } else if path.extension().is_some_and(|it| it == "zip") {
            archive(path, &mut sources).map_err(|error| failed(path, error))?;
        } else {
            sources.push(Source {
                path: path.clone(),
                member: None,
            });
        }
        if sources.len() > MAX_FILES {
            let what = std::io::Error::other(format!("more than {MAX_FILES} files"));
            return Err(failed(path, what));
        }
    }
    Ok(sources)
}

/// Files of a folder, and of the folders in it, that look like traces, by name.
fn folder(path: &Path, sources: &mut Vec<Source>) -> Result<(), ReadError> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(path).map_err(|error| failed(path, error))? {
        found.push(entry.map_err(|error| failed(path, error))?);
    }
    found.sort_by_key(std::fs::DirEntry::path);
    for entry in found {
        let path = entry.path();
        // A link may lead back to where it is.
        if entry.file_type().is_ok_and(|it| it.is_dir()) {
            folder(&path, sources)?;
        } else if path.is_file() && looks_like_one(&path.to_string_lossy()) {
            sources.push(Source { path, member: None });
        }
        if sources.len() > MAX_FILES {
            break;
        }
    }
    Ok(())
}

fn looks_like_one(name: &str) -> bool {
    let name = name.to_lowercase();
    let plain = name.trim_end_matches(".gz").trim_end_matches(".xz");
    [".csv", ".txt", ".jsonl"]
        .iter()
        .any(|end| plain.ends_with(end))
}

/// Members of an archive that look like traces, by name.
fn archive(path: &Path, sources: &mut Vec<Source>) -> std::io::Result<()> {
    let mut buffer = vec![0; RECOMMENDED_BUFFER_SIZE];
    let zip =
        ZipArchive::from_file(File::open(path)?, &mut buffer).map_err(std::io::Error::other)?;
    let mut found = Vec::new();
    let mut entries = zip.entries(&mut buffer);
    while let Some(entry) = entries.next_entry().map_err(std::io::Error::other)? {
        let name = String::from_utf8_lossy(entry.file_path().as_ref()).into_owned();
        if entry.is_dir() || !looks_like_one(&name) {
            continue;
        }
        let deflated = match entry.compression_method() {
            CompressionMethod::STORE => false,
            CompressionMethod::DEFLATE => true,
            other => {
                return Err(std::io::Error::other(format!(
                    "{name} is compressed by {other:?}"
                )));
            }
        };
        found.push((name, deflated, entry.wayfinder()));
        if found.len() > MAX_FILES {
            return Err(std::io::Error::other(format!(
                "more than {MAX_FILES} files"
            )));
        }
    }
    found.sort_by(|a, b| a.0.cmp(&b.0));
    for (name, deflated, wayfinder) in found {
        let member = zip.get_entry(wayfinder).map_err(std::io::Error::other)?;
        let (begin, end) = member.compressed_data_range();
        let member = Some(Member {
            name,
            begin,
            end,
            deflated,
        });
        sources.push(Source {
            path: path.to_owned(),
            member,
        });
    }
    Ok(())
}

impl Source {
    pub(super) fn name(&self) -> String {
        match &self.member {
            Some(member) => format!("{}/{}", self.path.display(), member.name),
            None => self.path.display().to_string(),
        }
    }

    pub(super) fn is_stdin(&self) -> bool {
        self.member.is_none() && self.path.as_os_str() == "-"
    }

    /// The number of the day in its name: of `….d07.csv` or `day_012.csv`.
    pub(super) fn day(&self) -> Option<u32> {
        let name = self.name().to_lowercase();
        let part = name.rsplit('/').next()?.split(['.', '-']).find_map(|part| {
            let digits = part
                .strip_prefix("day_")
                .or_else(|| part.strip_prefix('d'))?;
            digits.parse::<u32>().ok()
        });
        part.filter(|day| *day < MAX_DAYS)
    }

    /// Its text.
    pub(super) fn open(&self) -> Result<Lines, ReadError> {
        let text = self.text().map_err(|error| failed(&self.path, error))?;
        let reader = BufReader::with_capacity(BUFFER, text);
        Ok(Lines::new(self.name(), Box::new(reader)))
    }

    fn text(&self) -> std::io::Result<Box<dyn Read + Send>> {
        let name = self.name();
        let raw: Box<dyn Read + Send> = match &self.member {
            None if self.is_stdin() => Box::new(std::io::stdin()),
            None => Box::new(File::open(&self.path)?),
            Some(member) => {
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(member.begin))?;
                let bytes = file.take(member.end.saturating_sub(member.begin));
                if member.deflated {
                    Box::new(DeflateDecoder::new(BufReader::with_capacity(BUFFER, bytes)))
                } else {
                    Box::new(bytes)
                }
            }
        };
        Ok(match name.rsplit('.').next() {
            Some("gz") => Box::new(MultiGzDecoder::new(raw)),
            Some("xz") => Box::new(XzReader::new_mem_limit(raw, true, MAX_XZ_KIB)),
            _ => raw,
        })
    }
}

fn failed(path: &Path, source: std::io::Error) -> ReadError {
    ReadError::Io {
        path: path.display().to_string(),
        source,
    }
}

/// Lines of a file, each within its limit.
pub struct Lines {
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
    pub fn next_line(&mut self) -> Result<Option<&str>, ReadError> {
        loop {
            self.buffer.clear();
            let mut bounded = self.reader.by_ref().take(MAX_LINE + 1);
            let read = bounded.read_until(b'\n', &mut self.buffer);
            let read = read.map_err(|source| ReadError::Broken {
                path: self.name.clone(),
                line: self.line,
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
            Err(_) => Err(self.wrong(self.no_text())),
        }
    }

    /// What the line that was read last is instead of text.
    fn no_text(&self) -> String {
        let begins = |magic: &[u8]| self.line == 1 && self.buffer.starts_with(magic);
        let ending = match () {
            () if begins(b"\x1f\x8b") => ".gz",
            () if begins(b"\xfd7zXZ") => ".xz",
            () if begins(b"PK\x03\x04") => ".zip",
            () => return "is not UTF-8".to_owned(),
        };
        format!("is compressed, and the name does not end in {ending}, by which that is known")
    }

    /// Something is wrong with the line that was read last.
    pub fn wrong(&self, what: String) -> ReadError {
        ReadError::Line {
            path: self.name.clone(),
            line: self.line,
            what,
        }
    }

    /// Each line that is left, with what is wrong with it as the error.
    pub fn each(
        &mut self,
        mut read: impl FnMut(&str) -> Result<(), String>,
    ) -> Result<(), ReadError> {
        loop {
            let outcome = match self.next_line()? {
                Some(line) => read(line),
                None => return Ok(()),
            };
            outcome.map_err(|what| self.wrong(what))?;
        }
    }
}
