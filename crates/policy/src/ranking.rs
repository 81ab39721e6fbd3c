//! Things in the order of a number each has: what is due next, or what goes first.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Keys in the order of their ranks, those of equal rank in their own order. Every change costs O(log n),
/// the first one O(log n), and a key is in it once at most: about 60 bytes each for small keys and ranks.
///
/// As a clock, ranks are times and [`pop_until`](Self::pop_until) says what is due; as an order of eviction,
/// ranks are what each key is worth.
#[derive(Debug, Clone)]
pub struct Ranking<P, K> {
    order: BTreeSet<(P, K)>,
    ranks: HashMap<K, P>,
}

impl<P: Ord + Copy, K: Ord + Hash + Copy> Ranking<P, K> {
    /// Puts a key where its rank is, wherever it was before.
    pub fn set(&mut self, key: K, rank: P) {
        match self.ranks.insert(key, rank) {
            Some(before) if before == rank => return,
            Some(before) => {
                self.order.remove(&(before, key));
            }
            None => {}
        }
        self.order.insert((rank, key));
    }

    /// Takes a key out; its rank, if it was in.
    pub fn remove(&mut self, key: K) -> Option<P> {
        let rank = self.ranks.remove(&key)?;
        self.order.remove(&(rank, key));
        Some(rank)
    }

    /// The first key with its rank.
    pub fn first(&self) -> Option<(P, K)> {
        self.order.first().copied()
    }

    /// All keys with their ranks, in order.
    pub fn iter(&self) -> impl Iterator<Item = (P, K)> {
        self.order.iter().copied()
    }

    /// Takes the first key out.
    pub fn pop(&mut self) -> Option<(P, K)> {
        let (rank, key) = self.order.pop_first()?;
        self.ranks.remove(&key);
        Some((rank, key))
    }

    /// Takes the first key out if its rank is `limit` at most.
    pub fn pop_until(&mut self, limit: P) -> Option<(P, K)> {
        self.first().filter(|(rank, _)| *rank <= limit)?;
        self.pop()
    }

    /// The rank of a key that is in.
    pub fn rank(&self, key: K) -> Option<P> {
        self.ranks.get(&key).copied()
    }

    /// Keys that are in.
    pub fn len(&self) -> usize {
        self.order.len()
    }

    /// Whether no key is in.
    pub fn is_empty(&self) -> bool {
        self.order.is_empty()
    }
}

impl<P, K> Default for Ranking<P, K> {
    fn default() -> Self {
        Self {
            order: BTreeSet::new(),
            ranks: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Beside a list that is sorted at every look.
        #[test]
        fn agrees_with_a_sorted_list(
            steps in proptest::collection::vec((0..4u8, 0..10u32, 0..8u64), 0..200),
        ) {
            let mut ranking = Ranking::default();
            let mut list: Vec<(u64, u32)> = Vec::new();
            for (step, key, rank) in steps {
                match step {
                    0 => {
                        list.retain(|(_, known)| *known != key);
                        list.push((rank, key));
                        ranking.set(key, rank);
                    }
                    1 => {
                        let known = list.iter().find(|(_, known)| *known == key).map(|(rank, _)| *rank);
                        list.retain(|(_, known)| *known != key);
                        prop_assert_eq!(ranking.remove(key), known);
                    }
                    2 => {
                        let due = list.first().copied().filter(|(first, _)| *first <= rank);
                        list.retain(|entry| Some(*entry) != due);
                        prop_assert_eq!(ranking.pop_until(rank), due);
                    }
                    _ => prop_assert_eq!(
                        ranking.rank(key),
                        list.iter().find(|(_, known)| *known == key).map(|(rank, _)| *rank)
                    ),
                }
                list.sort_unstable();
                prop_assert_eq!(ranking.first(), list.first().copied());
                prop_assert_eq!(ranking.len(), list.len());
            }
        }
    }
}
