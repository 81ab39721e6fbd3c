//! Cuts a byte stream into lines, and keeps the last bytes of a request's log for `LogType: Tail`.

use pilotlight_model::limits;

use super::LINE_BYTES;

/// Splits what a pipe gives into lines. A line over the limit is cut into several.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    partial: Vec<u8>,
}

impl Splitter {
    /// Takes bytes in and gives every line that they complete to `emit`.
    pub(super) fn feed(&mut self, mut bytes: &[u8], mut emit: impl FnMut(String)) {
        while !bytes.is_empty() {
            let room = LINE_BYTES - self.partial.len();
            let window = &bytes[..bytes.len().min(room + 1)];
            match window.iter().position(|byte| *byte == b'\n') {
                Some(at) => {
                    self.partial.extend_from_slice(&bytes[..at]);
                    bytes = &bytes[at + 1..];
                    self.flush_line(&mut emit);
                }
                None => {
                    let taken = bytes.len().min(room);
                    self.partial.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    if self.partial.len() == LINE_BYTES && !bytes.is_empty() {
                        self.flush_line(&mut emit);
                    }
                }
            }
        }
    }

    /// Ends the line that has no line end yet, if there is one.
    pub(super) fn flush(&mut self, mut emit: impl FnMut(String)) {
        if !self.partial.is_empty() {
            self.flush_line(&mut emit);
        }
    }

    fn flush_line(&mut self, emit: &mut impl FnMut(String)) {
        let line = self.partial.strip_suffix(b"\r").unwrap_or(&self.partial);
        emit(String::from_utf8_lossy(line).into_owned());
        self.partial.clear();
        // A flood must not leave its high-water mark behind in every idle instance.
        self.partial.shrink_to(8 * 1024);
    }
}

/// The last bytes of a log.
#[derive(Debug, Default)]
pub(super) struct Tail {
    bytes: Vec<u8>,
}

impl Tail {
    /// Adds a line and its line end.
    pub(super) fn push(&mut self, line: &str) {
        let line = line.as_bytes();
        let kept = &line[line.len().saturating_sub(limits::LOG_TAIL_BYTES)..];
        self.bytes.extend_from_slice(kept);
        self.bytes.push(b'\n');
        // Cut seldom, so that a flood of short lines is not moved for each of them.
        if self.bytes.len() > 4 * limits::LOG_TAIL_BYTES {
            self.bytes
                .drain(..self.bytes.len() - limits::LOG_TAIL_BYTES);
        }
    }

    /// The last bytes, at most what `LogType: Tail` returns; the tail is empty afterwards.
    pub(super) fn take(&mut self) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.drain(..bytes.len().saturating_sub(limits::LOG_TAIL_BYTES));
        bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn splitting_does_not_depend_on_the_pieces(
            lines in vec("[a-z\\r]{0,20}", 0..20),
            cuts in vec(1..10usize, 1..200),
        ) {
            let text = lines.join("\n");
            let (mut whole, mut pieces) = (Vec::new(), Vec::new());
            let mut splitter = Splitter::default();
            splitter.feed(text.as_bytes(), |line| whole.push(line));
            splitter.flush(|line| whole.push(line));
            let (mut rest, mut cuts) = (text.as_bytes(), cuts.into_iter().cycle());
            while !rest.is_empty() {
                let at = cuts.next().unwrap().min(rest.len());
                splitter.feed(&rest[..at], |line| pieces.push(line));
                rest = &rest[at..];
            }
            splitter.flush(|line| pieces.push(line));
            prop_assert_eq!(whole, pieces);
        }
    }

    #[test]
    fn a_line_without_end_is_cut_at_the_limit() {
        let mut splitter = Splitter::default();
        let mut lengths = Vec::new();
        let flood = vec![b'x'; 2 * LINE_BYTES + 10];
        splitter.feed(&flood, |line| lengths.push(line.len()));
        splitter.feed(b"\n", |line| lengths.push(line.len()));
        assert_eq!(lengths, [LINE_BYTES, LINE_BYTES, 10]);
        // One that is exactly as long as allowed is one line.
        lengths.clear();
        splitter.feed(&flood[..LINE_BYTES], |line| lengths.push(line.len()));
        splitter.feed(b"\nnext\n", |line| lengths.push(line.len()));
        assert_eq!(lengths, [LINE_BYTES, 4]);
    }

    #[test]
    fn the_tail_is_the_end_of_all_that_was_said() {
        let mut tail = Tail::default();
        let mut all = String::new();
        for number in 0..5_000 {
            let line = format!("line {number}");
            tail.push(&line);
            all.push_str(&line);
            all.push('\n');
        }
        let last = tail.take();
        assert_eq!(last.len(), limits::LOG_TAIL_BYTES);
        assert!(all.as_bytes().ends_with(&last));
        assert!(tail.take().is_empty());
    }
}
