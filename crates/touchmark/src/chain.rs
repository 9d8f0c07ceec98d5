//! The chain value over everything that is applied.

use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, checksum};

use crate::rows::{Key, MigrationId, RowState, Rows};

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
    /// The chain over the ledger, and over what refinery applied as the set has it.
    pub(crate) fn of(rows: &Rows, set: &[EncodedMigration]) -> Chain {
        let lookup = rows.lookup();
        let mut leaves: Vec<(Key, Checksum)> = lookup
            .ledger
            .iter()
            .filter(|(_, row)| !matches!(row.state, RowState::Running(_)))
            .map(|(key, row)| (key.clone(), row.leaf))
            .collect();
        for migration in set {
            let key = MigrationId::of(migration).key();
            if let Key::Version(version) = key
                && lookup.refinery.contains_key(&version)
                && !lookup.ledger.contains_key(&key)
            {
                leaves.push((key, migration.leaf));
            }
        }
        leaves.sort();
        let mut chain = Chain {
            entries: Vec::with_capacity(leaves.len()),
        };
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

    /// The chain value over everything.
    pub(crate) fn head(&self) -> Checksum {
        self.entries.last().map_or(Checksum::EMPTY, |e| e.chain)
    }
}
