//! What an instance has written and the store has not taken: from the pipes, by lines, to the outbox.

use std::io;
use std::sync::Arc;

use tokio::net::unix::pipe;

use super::super::Line;
use super::super::tail::{Splitter, Tail};
use super::{OUTBOX_BYTES, Source};
use crate::clock;
use crate::telemetry::{Hub, Told};

/// Bytes taken from one pipe at the end of a request: what a pipe holds.
const PIPE_BYTES: usize = 64 * 1024;

/// What there is of a log that the store does not have.
#[derive(Default)]
pub(super) struct State {
    pub(super) pipes: Vec<Pipe>,
    pub(super) tail: Tail,
    pub(super) outbox: Vec<Line>,
    pub(super) outbox_bytes: usize,
    /// The reading task is bringing older lines to the store: newer ones must wait behind them.
    pub(super) pushing: bool,
    pub(super) hub: Hub,
    /// Reading tasks, each of which brings the outbox to the store.
    pub(super) attending: usize,
}

/// One end that an instance writes to.
pub(super) struct Pipe {
    pub(super) source: Source,
    pub(super) end: Arc<pipe::Receiver>,
    pub(super) lines: Splitter,
    pub(super) open: bool,
}

/// What reading a pipe once came to.
pub(super) enum Took {
    Some(usize),
    Nothing,
    End,
}

impl State {
    pub(super) fn place_of(&self, end: &Arc<pipe::Receiver>) -> Option<usize> {
        self.pipes
            .iter()
            .position(|pipe| Arc::ptr_eq(&pipe.end, end))
    }

    /// Takes what the pipes hold. With too much held back already, what is in them stays there.
    pub(super) fn drain(&mut self) {
        if self.outbox_bytes >= OUTBOX_BYTES {
            return;
        }
        // Past the reactor, which may not have been told yet of what is there.
        let read = |end: &pipe::Receiver, buffer: &mut [u8]| Ok(rustix::io::read(end, buffer)?);
        for index in 0..self.pipes.len() {
            let mut taken = 0;
            while taken < PIPE_BYTES
                && let Took::Some(count) = self.read_pipe(index, read)
            {
                taken += count;
            }
        }
    }

    pub(super) fn read_pipe(
        &mut self,
        index: usize,
        read: impl FnOnce(&pipe::Receiver, &mut [u8]) -> io::Result<usize>,
    ) -> Took {
        let mut buffer = [0; 8 * 1024];
        let Some(pipe) = self.pipes.get_mut(index) else {
            return Took::End;
        };
        if !pipe.open {
            return Took::End;
        }
        match read(&pipe.end, &mut buffer) {
            Ok(0) => {
                pipe.open = false;
                Took::End
            }
            Ok(count) => {
                let mut lines = std::mem::take(&mut pipe.lines);
                let source = pipe.source;
                lines.feed(&buffer[..count], |line| self.hear(source, line));
                self.pipes[index].lines = lines;
                Took::Some(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Took::Nothing,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Took::Some(0),
            Err(_) => {
                pipe.open = false;
                Took::End
            }
        }
    }

    pub(super) fn end_partial_lines(&mut self) {
        for index in 0..self.pipes.len() {
            let mut lines = std::mem::take(&mut self.pipes[index].lines);
            let source = self.pipes[index].source;
            lines.flush(|line| self.hear(source, line));
            self.pipes[index].lines = lines;
        }
    }

    /// A line of an instance's own.
    fn hear(&mut self, source: Source, line: String) {
        if self.hub.listens() {
            self.hub
                .tell(clock::utc(), Told::Line(source, line.clone()));
        }
        self.push(line);
    }

    pub(super) fn push(&mut self, message: String) {
        self.tail.push(&message);
        let line = Line {
            at_ms: clock::unix_ms(),
            message,
        };
        self.outbox_bytes += line.cost();
        self.outbox.push(line);
    }

    pub(super) fn put_back(&mut self, lines: Vec<Line>) {
        self.outbox_bytes = lines.iter().map(Line::cost).sum();
        self.outbox = lines;
    }
}
