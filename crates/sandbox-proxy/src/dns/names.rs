//! The table of names that the sandbox was given addresses for.

use std::sync::{Mutex, PoisonError};

use lru::LruCache;
use sandbox_policy::HostName;

use super::synthetic::Index;

/// Names and their indices. A name keeps its index until a new name finds the range full and no
/// other name was longer neither asked for nor connected to.
///
/// An index that went to another name can lead an old address to a host that its holder did not
/// mean, but to none that the policy does not permit: each connection is judged by the new name.
#[derive(Debug)]
pub(crate) struct NameTable {
    state: Mutex<State>,
    capacity: usize,
}

#[derive(Debug)]
struct State {
    /// In order of use. Unbounded for the cache, which would reserve all room at once.
    indices: LruCache<HostName, Index>,
    /// By place of the index.
    names: Vec<HostName>,
}

impl NameTable {
    pub(crate) fn new() -> Self {
        Self::with_capacity(usize::try_from(Index::COUNT).unwrap_or(usize::MAX))
    }

    fn with_capacity(capacity: usize) -> Self {
        Self {
            state: Mutex::new(State {
                indices: LruCache::unbounded(),
                names: Vec::new(),
            }),
            capacity,
        }
    }

    /// The index of a name, a new one if it has none yet.
    pub(crate) fn assign(&self, name: &HostName) -> Option<Index> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(index) = state.indices.get(name) {
            return Some(*index);
        }
        let index = if state.names.len() < self.capacity {
            let index = Index::at(state.names.len())?;
            state.names.push(name.clone());
            index
        } else {
            let (_, index) = state.indices.pop_lru()?;
            name.clone_into(state.names.get_mut(index.place())?);
            index
        };
        state.indices.put(name.clone(), index);
        Some(index)
    }

    /// The name that an index was given to.
    pub(crate) fn name(&self, index: Index) -> Option<HostName> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let name = state.names.get(index.place())?.clone();
        state.indices.promote(&name);
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use sandbox_policy::Host;

    use super::*;

    fn name(number: usize) -> HostName {
        match Host::parse(format!("host{number}.test").as_bytes()) {
            Ok(Host::Name(name)) => name,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_name_keeps_its_index_and_no_two_share_one() {
        let table = NameTable::new();
        let indices: Vec<_> = (0..1000)
            .map(|number| table.assign(&name(number)).unwrap())
            .collect();
        assert_eq!(indices.iter().collect::<HashSet<_>>().len(), indices.len());
        for (number, index) in indices.iter().enumerate() {
            assert_eq!(table.assign(&name(number)), Some(*index));
            assert_eq!(table.name(*index), Some(name(number)));
        }
        assert_eq!(table.name(Index::at(1000).unwrap()), None);
    }

    #[test]
    fn a_full_table_forgets_what_was_used_longest_ago() {
        let table = NameTable::with_capacity(3);
        let [first, second, third] = [0, 1, 2].map(|number| table.assign(&name(number)).unwrap());
        // Used by a look-up, by a connection, not at all.
        table.assign(&name(0)).unwrap();
        table.name(second).unwrap();
        assert_eq!(table.assign(&name(3)), Some(third));
        assert_eq!(table.name(third), Some(name(3)));
        assert_eq!(table.assign(&name(4)), Some(first));
        assert_eq!(table.name(second), Some(name(1)));
        // The forgotten one comes back under another index.
        assert_eq!(table.assign(&name(2)), Some(third));
        assert_eq!(table.name(third), Some(name(2)));
    }

    #[test]
    fn the_whole_range_can_be_given_out_and_reused() {
        let table = NameTable::new();
        let count = usize::try_from(Index::COUNT).unwrap();
        for number in 0..count {
            assert_eq!(table.assign(&name(number)).unwrap().place(), number);
        }
        assert_eq!(table.assign(&name(count)).unwrap().place(), 0);
        assert_eq!(table.state.lock().unwrap().indices.len(), count);
        assert_eq!(table.state.lock().unwrap().names.len(), count);
    }
}
