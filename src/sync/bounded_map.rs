//! A map whose entries end by themselves, and which takes up so many bytes at most.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// What an entry takes up beside its value: the tables' own books.
const OVERHEAD: usize = 256;

/// Entries with an end. Those that end first go first when there are too many.
#[derive(Debug)]
pub(crate) struct BoundedMap<K, V> {
    entries: HashMap<K, Entry<V>>,
    ends: BTreeSet<(Instant, K)>,
    bytes: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Entry<V> {
    value: V,
    end: Instant,
    bytes: usize,
}

impl<K: Copy + Eq + Hash + Ord, V> BoundedMap<K, V> {
    pub(crate) fn new(max_bytes: usize) -> Self {
        Self {
            entries: HashMap::new(),
            ends: BTreeSet::new(),
            bytes: 0,
            max_bytes,
        }
    }

    /// The value, if it has not ended.
    pub(crate) fn get(&self, key: &K, now: Instant) -> Option<&V> {
        self.get_with_end(key, now).map(|(value, _)| value)
    }

    /// The value and its end, if it has not ended.
    pub(crate) fn get_with_end(&self, key: &K, now: Instant) -> Option<(&V, Instant)> {
        let entry = self.entries.get(key)?;
        (entry.end > now).then_some((&entry.value, entry.end))
    }

    /// The value, whether it has ended or not.
    pub(crate) fn peek(&self, key: &K) -> Option<&V> {
        self.entries.get(key).map(|entry| &entry.value)
    }

    /// All that is there, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.entries.iter().map(|(key, entry)| (key, &entry.value))
    }

    /// Keeps a value of about so many bytes until `end`, and gives what had to go for it.
    pub(crate) fn insert(&mut self, key: K, value: V, end: Instant, bytes: usize) -> Vec<(K, V)> {
        let mut gone: Vec<(K, V)> = self
            .remove(&key)
            .map(|(value, _)| (key, value))
            .into_iter()
            .collect();
        let bytes = bytes + OVERHEAD;
        self.bytes += bytes;
        self.ends.insert((end, key));
        self.entries.insert(key, Entry { value, end, bytes });
        while self.bytes > self.max_bytes
            && let Some((_, first)) = self.ends.first().copied()
        {
            gone.extend(self.remove(&first).map(|(value, _)| (first, value)));
        }
        gone
    }

    /// The value and its end.
    pub(crate) fn remove(&mut self, key: &K) -> Option<(V, Instant)> {
        let entry = self.entries.remove(key)?;
        self.ends.remove(&(entry.end, *key));
        self.bytes -= entry.bytes;
        Some((entry.value, entry.end))
    }

    /// Brings the end of an entry forward.
    pub(crate) fn end_by(&mut self, key: &K, end: Instant) {
        if let Some(entry) = self.entries.get_mut(key)
            && entry.end > end
        {
            self.ends.remove(&(entry.end, *key));
            self.ends.insert((end, *key));
            entry.end = end;
        }
    }

    /// Removes what has ended, and gives it.
    pub(crate) fn remove_ended(&mut self, now: Instant) -> Vec<(K, V)> {
        let mut gone = Vec::new();
        while let Some((end, key)) = self.ends.first().copied()
            && end <= now
        {
            gone.extend(self.remove(&key).map(|(value, _)| (key, value)));
        }
        gone
    }

    pub(crate) fn contains_key(&self, key: &K) -> bool {
        self.entries.contains_key(key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn entries_end_and_the_first_to_end_makes_room() {
        let now = Instant::now();
        let at = |seconds| now + Duration::from_secs(seconds);
        let mut map = BoundedMap::new(3 * (OVERHEAD + 100));
        for (key, end) in [(1, 30), (2, 10), (3, 20)] {
            assert!(map.insert(key, key * 10, at(end), 100).is_empty());
        }
        assert_eq!(map.get(&2, at(9)), Some(&20));
        assert_eq!(map.get(&2, at(10)), None);
        assert_eq!(map.insert(4, 40, at(40), 100), [(2, 20)]);
        assert_eq!(map.insert(4, 41, at(40), 100), [(4, 40)]);
        map.end_by(&4, at(5));
        map.end_by(&1, at(50));
        assert_eq!(map.remove_ended(at(20)), [(4, 41), (3, 30)]);
        assert_eq!(map.remove(&1), Some((10, at(30))));
        assert!(map.is_empty() && map.bytes == 0 && map.ends.is_empty());
        // What is larger than the whole map is not kept.
        assert_eq!(map.insert(5, 50, at(50), 10_000), [(5, 50)]);
    }
}
