//! What is kept for each of a row of dense numbers, as those of versions and nodes are.

/// An entry for each number up to the greatest that was used, as far as there is a limit: what is said of
/// numbers from it on is not kept.
#[derive(Debug, Clone)]
pub struct Dense<T> {
    entries: Vec<T>,
    limit: u32,
}

impl<T: Default> Dense<T> {
    /// A row of no entries yet that can have `limit` of them.
    pub fn new(limit: u32) -> Self {
        Self {
            entries: Vec::new(),
            limit,
        }
    }

    /// The entry of a number, if it was ever used.
    pub fn get(&self, number: u32) -> Option<&T> {
        self.entries.get(number as usize)
    }

    /// The entry of a number, made if need be; none from the limit on.
    pub fn entry(&mut self, number: u32) -> Option<&mut T> {
        if number >= self.limit {
            return None;
        }
        let index = number as usize;
        if self.entries.len() <= index {
            self.entries.resize_with(index + 1, T::default);
        }
        self.entries.get_mut(index)
    }

    /// Forgets what is kept for a number.
    pub fn clear(&mut self, number: u32) {
        if let Some(entry) = self.entries.get_mut(number as usize) {
            *entry = T::default();
        }
    }

    /// Entries that there are, used or between those that were.
    pub fn len(&self) -> u32 {
        self.entries.len() as u32
    }

    /// Whether no number was ever used.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_up_to_its_limit() {
        let mut row: Dense<u8> = Dense::new(4);
        assert!(row.is_empty());
        *row.entry(2).unwrap() = 7;
        assert_eq!(
            (row.get(1), row.get(2), row.get(3)),
            (Some(&0), Some(&7), None)
        );
        assert_eq!(row.len(), 3);
        assert!(row.entry(4).is_none() && row.entry(u32::MAX).is_none());
        row.clear(2);
        row.clear(9);
        assert_eq!(row.get(2), Some(&0));
    }
}
