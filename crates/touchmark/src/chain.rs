//! The chain value over everything that is applied.

use touchmark_core::{Checksum, checksum};

use crate::rows::{Key, RowState, Rows};

/// What is applied, in the order of the chain, with the chain value after each.
pub(crate) struct Chain {
    entries: Vec<Entry>,
}

struct Entry {
    key: Key,
    leaf: Checksum,
    chain: Checksum,
}

impl Chain {
    /// The chain over nothing.
    pub(crate) fn empty() -> Chain {
        Chain {
            entries: Vec::new(),
        }
    }

    /// The chain over the ledger.
    pub(crate) fn of(rows: &Rows) -> Chain {
        let mut leaves: Vec<(Key, Checksum)> = rows
            .lookup()
            .ledger
            .into_iter()
            .filter(|(_, row)| !matches!(row.state, RowState::Running(_)))
            .map(|(key, row)| (key, row.leaf))
            .collect();
        leaves.sort();
        let mut chain = Chain::empty();
        for (key, leaf) in leaves {
            chain.record(key, leaf);
        }
        chain
    }

    /// Records that a migration is applied, and gives the chain value after it. Costs one hash
    /// where it comes last, and one for each that comes after it otherwise.
    pub(crate) fn record(&mut self, key: Key, leaf: Checksum) -> Checksum {
        let entry = Entry {
            key,
            leaf,
            chain: Checksum::EMPTY,
        };
        let from = match self.entries.binary_search_by(|e| e.key.cmp(&entry.key)) {
            Ok(at) => {
                self.entries[at] = entry;
                at
            }
            Err(at) => {
                self.entries.insert(at, entry);
                at
            }
        };
        self.compute(from);
        self.head()
    }

    fn compute(&mut self, from: usize) {
        let mut previous = match from {
            0 => Checksum::EMPTY,
            _ => self.entries[from - 1].chain,
        };
        for entry in &mut self.entries[from..] {
            entry.chain = checksum::chain(previous, entry.leaf);
            previous = entry.chain;
        }
    }

    /// Takes a migration out of the chain.
    pub(crate) fn remove(&mut self, key: &Key) {
        if let Ok(at) = self.entries.binary_search_by(|e| e.key.cmp(key)) {
            self.entries.remove(at);
            self.compute(at);
        }
    }

    /// Whether a migration is in the chain.
    pub(crate) fn has(&self, key: &Key) -> bool {
        self.entries.binary_search_by(|e| e.key.cmp(key)).is_ok()
    }

    /// What the chain value would be with a migration, which may be in it already.
    pub(crate) fn with(&self, key: &Key, leaf: Checksum) -> Checksum {
        let at = self.entries.partition_point(|e| e.key < *key);
        let before = at
            .checked_sub(1)
            .map_or(Checksum::EMPTY, |at| self.entries[at].chain);
        let after = self.entries[at..].iter().filter(|e| e.key != *key);
        after.fold(checksum::chain(before, leaf), |chain, e| {
            checksum::chain(chain, e.leaf)
        })
    }

    /// The chain value over everything.
    pub(crate) fn head(&self) -> Checksum {
        self.entries.last().map_or(Checksum::EMPTY, |e| e.chain)
    }
}
