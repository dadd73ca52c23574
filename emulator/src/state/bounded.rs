//! The newest of a kind of thing, within a number and a size.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What can be kept in a [`Bounded`].
pub(crate) trait Entry: Clone {
    type Key: Clone + Eq + Hash;

    fn key(&self) -> Self::Key;

    /// About how many bytes it takes.
    fn bytes(&self) -> usize;
}

/// How many of a kind are kept, and how many bytes they may take together.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bound {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

/// Entries by key, oldest first; a copy shares them until one of the two changes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(
    from = "Vec<T>",
    into = "Vec<T>",
    bound(
        serialize = "T: Entry + Serialize",
        deserialize = "T: Entry + Deserialize<'de>"
    )
)]
pub(crate) struct Bounded<T: Entry> {
    by_key: HashMap<T::Key, Arc<T>>,
    order: VecDeque<T::Key>,
    bytes: usize,
}

impl<T: Entry> Default for Bounded<T> {
    fn default() -> Self {
        Self {
            by_key: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl<T: Entry> From<Vec<T>> for Bounded<T> {
    fn from(entries: Vec<T>) -> Self {
        let mut kept = Self::default();
        for entry in entries {
            kept.add(entry);
        }
        kept
    }
}

impl<T: Entry> From<Bounded<T>> for Vec<T> {
    fn from(kept: Bounded<T>) -> Self {
        kept.iter().cloned().collect()
    }
}

impl<T: Entry> Bounded<T> {
    fn add(&mut self, entry: T) {
        let key = entry.key();
        self.bytes += entry.bytes();
        if let Some(old) = self.by_key.insert(key.clone(), Arc::new(entry)) {
            self.bytes -= old.bytes();
        } else {
            self.order.push_back(key);
        }
    }

    /// Adds one and drops the oldest until the rest is within the bound; the newest always stays.
    pub(crate) fn push(&mut self, entry: T, bound: Bound) {
        self.add(entry);
        while self.order.len() > 1
            && (self.order.len() > bound.count || self.bytes > bound.bytes)
            && let Some(oldest) = self.order.pop_front()
        {
            if let Some(dropped) = self.by_key.remove(&oldest) {
                self.bytes -= dropped.bytes();
            }
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn get(&self, key: &T::Key) -> Option<&T> {
        self.by_key.get(key).map(Arc::as_ref)
    }

    /// Changes one entry, where it is still there; its key must stay.
    pub(crate) fn change<R>(&mut self, key: &T::Key, act: impl FnOnce(&mut T) -> R) -> Option<R> {
        let entry = Arc::make_mut(self.by_key.get_mut(key)?);
        self.bytes -= entry.bytes();
        let done = act(entry);
        self.bytes += entry.bytes();
        Some(done)
    }

    /// Oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &T> {
        self.order
            .iter()
            .filter_map(|key| self.by_key.get(key))
            .map(Arc::as_ref)
    }

    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// About how many bytes a JSON object takes.
pub(crate) fn json_bytes(map: &Map<String, Value>) -> usize {
    fn one(value: &Value) -> usize {
        match value {
            Value::String(text) => 32 + text.len(),
            Value::Array(items) => 32 + items.iter().map(one).sum::<usize>(),
            Value::Object(map) => json_bytes(map),
            _ => 32,
        }
    }
    map.iter()
        .map(|(name, value)| 32 + name.len() + one(value))
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Clone, PartialEq)]
    struct Text(u64, String);

    impl Entry for Text {
        type Key = u64;

        fn key(&self) -> u64 {
            self.0
        }

        fn bytes(&self) -> usize {
            self.1.len()
        }
    }

    fn keys(kept: &Bounded<Text>) -> Vec<u64> {
        kept.iter().map(|entry| entry.0).collect()
    }

    #[test]
    fn the_newest_stay_within_number_and_bytes() {
        let bound = Bound {
            count: 3,
            bytes: 100,
        };
        let mut kept = Bounded::default();
        for n in 0..5 {
            kept.push(Text(n, "x".repeat(10)), bound);
        }
        assert_eq!((keys(&kept), kept.bytes()), (vec![2, 3, 4], 30));
        kept.push(Text(5, "x".repeat(85)), bound);
        assert_eq!((keys(&kept), kept.bytes()), (vec![4, 5], 95));
        kept.push(Text(6, "x".repeat(500)), bound);
        assert_eq!((keys(&kept), kept.bytes()), (vec![6], 500));
        kept.change(&6, |entry| entry.1.truncate(1));
        assert_eq!(kept.bytes(), 1);
        let before = kept.clone();
        kept.change(&6, |entry| entry.1.clear());
        assert_eq!((before.bytes(), kept.bytes()), (1, 0));
        kept.clear();
        assert_eq!((kept.len(), before.len()), (0, 1));
    }
}
