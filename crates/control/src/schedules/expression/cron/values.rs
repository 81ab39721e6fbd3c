//! One field of a cron expression as a set of numbers: `*`, values, names, ranges, steps and lists of
//! them.

use super::super::Invalid;

/// What a field may hold.
pub(super) struct Field {
    pub(super) first: u16,
    pub(super) last: u16,
    /// Names of the values from the first on; empty where there are none.
    pub(super) names: &'static [&'static str],
}

/// A set of numbers. Kept as one bit for each, counted from the field's first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Values {
    first: u16,
    bits: [u64; 4],
}

impl Field {
    pub(super) const fn numbers(first: u16, last: u16) -> Self {
        Self {
            first,
            last,
            names: &[],
        }
    }

    /// The set that the field's text means.
    pub(super) fn parse(&self, text: &str) -> Result<Values, Invalid> {
        let mut values = Values {
            first: self.first,
            bits: [0; 4],
        };
        for item in text.split(',') {
            let (range, step) = match item.split_once('/') {
                Some((range, step)) => (range, Some(self.step(step)?)),
                None => (item, None),
            };
            let (from, to) = match range.split_once('-') {
                _ if range == "*" => (self.first, self.last),
                Some((from, to)) => (self.value(from)?, self.value(to)?),
                // A step has no end of its own.
                None if step.is_some() => (self.value(range)?, self.last),
                None => (self.value(range)?, self.value(range)?),
            };
            self.fill(&mut values, from, to, step.unwrap_or(1));
        }
        Ok(values)
    }

    /// One value: a number or a name.
    pub(super) fn value(&self, text: &str) -> Result<u16, Invalid> {
        let named = |name: &&str| name.eq_ignore_ascii_case(text);
        if let Some(index) = self.names.iter().position(named) {
            return Ok(self.first + index as u16);
        }
        let value = number(text)?;
        match (self.first..=self.last).contains(&value) {
            true => Ok(value),
            false => Err(Invalid),
        }
    }

    fn step(&self, text: &str) -> Result<u16, Invalid> {
        match number(text)? {
            0 => Err(Invalid),
            step if step > self.last => Err(Invalid),
            step => Ok(step),
        }
    }

    /// A range that ends before it begins goes on from the field's beginning, as FRI-MON does.
    fn fill(&self, values: &mut Values, from: u16, to: u16, step: u16) {
        let size = self.last - self.first + 1;
        let length = (to + size - from) % size;
        for offset in (0..=length).step_by(step.into()) {
            values.insert(self.first + (from - self.first + offset) % size);
        }
    }
}

impl Values {
    fn insert(&mut self, value: u16) {
        let bit = usize::from(value - self.first);
        self.bits[bit / 64] |= 1 << (bit % 64);
    }

    pub(super) fn contains(&self, value: u16) -> bool {
        let bit = usize::from(value.wrapping_sub(self.first));
        self.bits
            .get(bit / 64)
            .is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }

    /// The smallest value of the set that is not below `from`.
    pub(super) fn first_from(&self, from: u16) -> Option<u16> {
        let end = self.first + 64 * self.bits.len() as u16;
        (from.max(self.first)..end).find(|value| self.contains(*value))
    }
}

/// Digits and nothing else, few enough to be a field's.
pub(super) fn number(text: &str) -> Result<u16, Invalid> {
    match text.len() {
        1..=4 if text.bytes().all(|it| it.is_ascii_digit()) => text.parse().map_err(|_| Invalid),
        _ => Err(Invalid),
    }
}
