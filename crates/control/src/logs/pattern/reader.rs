//! Reads a pattern from left to right.

use super::Invalid;

/// What is left of a pattern, and how much of it may still be used up.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    rest: &'a str,
    /// Regular expressions so far; AWS allows two in a pattern.
    regexes: usize,
}

const REGEXES: usize = 2;

impl<'a> Reader<'a> {
    pub(super) fn new(text: &'a str) -> Self {
        Self {
            rest: text,
            regexes: 0,
        }
    }

    pub(super) fn skip_space(&mut self) {
        self.rest = self.rest.trim_start();
    }

    pub(super) fn is_at_end(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<char> {
        self.rest.chars().next()
    }

    /// Takes `token` if it is next.
    pub(super) fn take(&mut self, token: &str) -> bool {
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Takes `token` behind any space, or gives up.
    pub(super) fn expect(&mut self, token: &str) -> Result<(), Invalid> {
        self.skip_space();
        self.take(token).then_some(()).ok_or(Invalid)
    }

    /// Takes `word` if it is next as a whole word, in any case.
    pub(super) fn take_word(&mut self, word: &str) -> bool {
        let Some(head) = self.rest.get(..word.len()) else {
            return false;
        };
        let tail = &self.rest[word.len()..];
        if !head.eq_ignore_ascii_case(word) || tail.starts_with(|c: char| c.is_alphanumeric()) {
            return false;
        }
        self.rest = tail;
        true
    }

    /// Takes characters as long as `of` is true of them.
    pub(super) fn take_while(&mut self, of: impl Fn(char) -> bool) -> &'a str {
        let end = self.rest.find(|c| !of(c)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// Takes a text in quotation marks, if one is next. A backslash takes the next character as it is.
    pub(super) fn take_quoted(&mut self, quote: char) -> Result<Option<String>, Invalid> {
        let Some(inner) = self.rest.strip_prefix(quote) else {
            return Ok(None);
        };
        let mut text = String::new();
        let mut chars = inner.char_indices();
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' => text.push(chars.next().ok_or(Invalid)?.1),
                c if c == quote => {
                    self.rest = &inner[at + c.len_utf8()..];
                    return Ok(Some(text));
                }
                c => text.push(c),
            }
        }
        Err(Invalid)
    }

    /// Takes a regular expression between percent signs, if one is next.
    pub(super) fn take_regex(&mut self) -> Result<Option<&'a str>, Invalid> {
        let Some(inner) = self.rest.strip_prefix('%') else {
            return Ok(None);
        };
        let end = inner.find('%').ok_or(Invalid)?;
        self.regexes += 1;
        if self.regexes > REGEXES {
            return Err(Invalid);
        }
        self.rest = &inner[end + 1..];
        Ok(Some(&inner[..end]))
    }
}
