//! Whether the records of a database follow from each other. Pure: rows in, contradictions out.
//!
//! The leaf commits to kind, version, name and SQL of its row, and the chain value to the leaves
//! of all rows before it, so a row that was changed, added or deleted later contradicts another.

mod contradiction;
mod pages;

use std::collections::{BTreeMap, HashMap, HashSet};

use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, Kind, checksum};

use crate::accept::raw;
use crate::chain::Chain;
use crate::migrator::Status;
use crate::rows::{Key, LedgerRow, MigrationId, RefineryRow, RowState};

pub use contradiction::{Contradiction, Fault};
pub(crate) use pages::audit;

/// What a database records, held against the set and against itself.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Audit {
    /// As [`Migrator::status`](crate::Migrator::status) gives it.
    pub status: Status,
    /// Where the records contradict each other: those of the ledger in the order of its rows,
    /// then those of refinery's history.
    pub faults: Vec<Fault>,
}

/// Goes through the ledger row by row.
pub(crate) struct Auditor<'a> {
    /// The set by leaf: it knows what was where a row and its leaf contradict each other.
    set: HashMap<Checksum, &'a EncodedMigration<'a>>,
    refinery: HashMap<i64, &'a RefineryRow>,
    chain: Chain,
    faults: Vec<Fault>,
    /// What refinery's history says of the last row of each version.
    history: BTreeMap<i64, Option<Fault>>,
    /// Of which the ledger has a row.
    versions: HashSet<i64>,
    trust: Trust,
}

/// How far the chain values are believed.
enum Trust {
    Follows,
    /// The value before did not follow: its row, or one before it, was changed.
    Doubtful(Fault),
    /// No value after it can follow.
    Broken,
}

impl<'a> Auditor<'a> {
    pub(crate) fn new(set: &'a [EncodedMigration], refinery: &'a [RefineryRow]) -> Auditor<'a> {
        Auditor {
            set: set.iter().map(|m| (m.leaf, m)).collect(),
            refinery: refinery.iter().map(|row| (row.version, row)).collect(),
            chain: Chain::empty(),
            faults: Vec::new(),
            history: BTreeMap::new(),
            versions: HashSet::new(),
            trust: Trust::Follows,
        }
    }

    /// The next row, in the order of their numbers, and the SQL that it says was applied.
    pub(crate) fn row(&mut self, row: &LedgerRow, up_sql: &str) {
        let computed = checksum::leaf(row.id.kind, row.id.version, &row.id.name, up_sql);
        let is_intact = computed == row.leaf;
        let leaf = match is_intact {
            true => row.leaf,
            false => self.contradicts(row, computed, up_sql),
        };
        // Where the leaf says what the row was, that is its place in the chain.
        let known = self.set.get(&leaf).map(|m| MigrationId::of(m));
        let id = known
            .filter(|_| !is_intact)
            .unwrap_or_else(|| row.id.clone());
        self.state(row, &id);
        if row.chain.is_some() || is_finished(&row.state) {
            self.follow(row, &id.key(), leaf);
        }
        if let Key::Version(version) = id.key() {
            match row.state {
                // refinery may apply it again.
                RowState::Undone => self.versions.remove(&version),
                _ => self.versions.insert(version),
            };
        }
        if let (Key::Version(version), true) = (id.key(), is_finished(&row.state)) {
            let is_there = is_intact && !is_taken_out(&row.state);
            let found = is_there.then(|| self.in_refinery(row, up_sql)).flatten();
            let found = found.map(|what| Fault::of(row, what));
            self.history.insert(version, found);
        }
    }

    /// What contradicts, in the order in which it is found.
    pub(crate) fn finish(mut self) -> Vec<Fault> {
        if let Trust::Doubtful(fault) = std::mem::replace(&mut self.trust, Trust::Broken) {
            self.faults.push(fault);
        }
        let gone = self.gone();
        for fault in &mut self.faults {
            if let Contradiction::Before(found) = &mut fault.what {
                found.clone_from(&gone);
            }
        }
        self.faults.sort_by_key(|fault| fault.row);
        self.faults.extend(self.history.into_values().flatten());
        self.faults
    }

    /// What refinery's history has and the ledger has not.
    fn gone(&self) -> Vec<MigrationId> {
        let refinery = self.refinery.values();
        let gone = refinery.filter(|row| !self.versions.contains(&row.version));
        let mut gone: Vec<_> = gone.map(|row| row.id()).collect();
        gone.sort();
        gone
    }

    /// A row whose SQL is not what its leaf says. The chain tells which of the two was changed;
    /// gives the leaf that it agrees with.
    fn contradicts(&mut self, row: &LedgerRow, computed: Checksum, up_sql: &str) -> Checksum {
        let follows = |leaf| row.chain == Some(self.chain.with(&row.id.key(), leaf));
        let original = self.set.get(&row.leaf);
        let (what, leaf) = if original.is_none() && follows(computed) {
            (Contradiction::Leaf, computed)
        } else {
            let columns = original.map(|m| changed_columns(row, up_sql, m));
            (Contradiction::Text(columns.unwrap_or_default()), row.leaf)
        };
        self.faults.push(Fault::of(row, what));
        leaf
    }

    /// Whether the state can be, after the rows before.
    fn state(&mut self, row: &LedgerRow, id: &MigrationId) {
        let is_repeatable = id.kind == Kind::Repeatable;
        let is_there = self.chain.has(&id.key());
        let what = match row.state {
            RowState::Running(_) | RowState::Undoing(_) | RowState::Abandoned
                if row.chain.is_some() =>
            {
                "only what is finished has a chain value, and it has one"
            }
            RowState::Running(_) if is_repeatable => "a repeatable migration runs in a transaction",
            RowState::Undoing(_) if is_repeatable => {
                "a repeatable migration is not undone by itself"
            }
            RowState::Undoing(_) if !is_there => "no row before it says that it was applied",
            RowState::Running(_) | RowState::Undoing(_) | RowState::Abandoned => return,
            _ if row.chain.is_none() => "what is finished has a chain value, and it has none",
            RowState::Adopted if is_repeatable => "refinery knows no repeatable migrations",
            RowState::Stamped if is_repeatable => "a repeatable migration is always run",
            RowState::Accepted if is_repeatable => "a repeatable migration is applied again",
            RowState::Accepted if !is_there => "no row before it says that it was applied",
            RowState::Removed if !is_repeatable => "only repeatable migrations are forgotten",
            RowState::Removed | RowState::Undone if !is_there => {
                "no row before it says that it was applied"
            }
            RowState::Applied | RowState::Adopted | RowState::Stamped
                if !is_repeatable && is_there =>
            {
                "a row before it says the same, and it is applied once"
            }
            _ => return,
        };
        let what = Contradiction::State(row.state.name(), what);
        self.faults.push(Fault::of(row, what));
    }

    /// Whether the chain value follows from the rows before.
    fn follow(&mut self, row: &LedgerRow, key: &Key, leaf: Checksum) {
        if is_taken_out(&row.state) {
            self.chain.remove(key);
        } else {
            self.chain.record(key.clone(), leaf);
        }
        // A missing value was told with the state.
        let Some(chain) = row.chain else { return };
        let follows = chain == self.chain.head();
        self.trust = match std::mem::replace(&mut self.trust, Trust::Follows) {
            Trust::Broken => Trust::Broken,
            Trust::Follows if follows => Trust::Follows,
            Trust::Follows => Trust::Doubtful(Fault::of(row, Contradiction::Before(Vec::new()))),
            Trust::Doubtful(fault) if follows => {
                let what = Contradiction::Chain;
                self.faults.push(Fault { what, ..fault });
                Trust::Follows
            }
            Trust::Doubtful(fault) => {
                self.faults.push(fault);
                Trust::Broken
            }
        };
    }

    /// What contradicts in refinery's row.
    fn in_refinery(&self, row: &LedgerRow, up_sql: &str) -> Option<Contradiction> {
        let LedgerRow { id, .. } = row;
        let Some(found) = self.refinery.get(&id.version) else {
            return Some(Contradiction::HistoryMissing);
        };
        if found.name != id.name {
            return Some(Contradiction::HistoryName(found.name.clone()));
        }
        let recorded: Option<u64> = found.checksum.parse().ok();
        let is_its = recorded.is_some_and(|recorded| {
            let of = |sql: &str| checksum::refinery(id.version, &id.name, sql);
            of(up_sql).contains(&recorded)
                || raw(up_sql).iter().any(|sql| of(sql).contains(&recorded))
        });
        (!is_its).then(|| Contradiction::HistoryChecksum(found.checksum.clone()))
    }
}

fn is_finished(state: &RowState) -> bool {
    !matches!(
        state,
        RowState::Running(_) | RowState::Undoing(_) | RowState::Abandoned
    )
}

fn is_taken_out(state: &RowState) -> bool {
    matches!(state, RowState::Removed | RowState::Undone)
}

/// The columns in which a row is not the migration whose leaf it carries.
fn changed_columns(row: &LedgerRow, up_sql: &str, was: &EncodedMigration) -> Vec<&'static str> {
    [
        ("kind", row.id.kind != was.kind),
        ("version", row.id.version != was.version),
        ("name", row.id.name != was.name),
        ("up_sql", up_sql != was.up.sql),
    ]
    .into_iter()
    .filter_map(|(column, is_changed)| is_changed.then_some(column))
    .collect()
}
