//! Holding a migration set against what a database records. Pure: lists in, lists out.

use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, Kind};

use crate::ahead::Unknown;
use crate::rows::{Key, LedgerRow, Lookup, MigrationId, Origin, RefineryRow, RowState, Rows};

/// What a database records of one migration of the set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// It is applied as it is.
    Applied,
    /// refinery applied it; the ledger has no row of it yet.
    Adoptable,
    /// It is not applied.
    Pending,
    /// It is not applied, and a newer one is.
    OutOfOrder,
    /// A repeatable one whose content has changed since it was applied.
    Outdated,
    /// One without a transaction that is not finished.
    Unfinished,
    /// What was applied is not what the set has.
    Divergent,
}

/// What is wrong between the set and the records.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Finding {
    /// It was edited after it was applied.
    Edited {
        /// Which.
        id: MigrationId,
        /// The checksum of what was applied, where the ledger knows it.
        applied: Option<Checksum>,
        /// Which build applied it, and when.
        origin: Origin,
    },
    /// It was renamed after it was applied.
    Renamed {
        /// Which.
        id: MigrationId,
        /// The name under which it was applied.
        applied: String,
        /// Which build applied it, and when.
        origin: Origin,
    },
    /// It is applied, or begun, and the set does not have it.
    Missing {
        /// Which.
        id: MigrationId,
        /// Which build applied it, and when.
        origin: Origin,
        /// False where it is being applied, or was interrupted.
        finished: bool,
    },
    /// A newer one is applied already.
    OutOfOrder {
        /// Which.
        id: MigrationId,
        /// The newest one that is applied.
        newest: MigrationId,
        /// Which build applied that, and when.
        origin: Origin,
    },
    /// It is not finished.
    Unfinished {
        /// Which.
        id: MigrationId,
        /// How many of its statements are done.
        done: usize,
    },
    /// It is applied, and an undo of it is not finished.
    UndoUnfinished {
        /// Which.
        id: MigrationId,
        /// How many of the statements that undo it are done.
        done: usize,
    },
    /// The ledger says that it is applied, and refinery's history has no row of it.
    HistoryRowMissing {
        /// Which.
        id: MigrationId,
    },
    /// refinery's row of it and the ledger's row contradict each other.
    HistoryRowChanged {
        /// Which.
        id: MigrationId,
        /// The name in refinery's row.
        name: String,
        /// The checksum in refinery's row.
        checksum: String,
    },
}

impl Finding {
    /// Which migration it is about.
    pub fn id(&self) -> &MigrationId {
        match self {
            Finding::Edited { id, .. }
            | Finding::Renamed { id, .. }
            | Finding::Missing { id, .. }
            | Finding::OutOfOrder { id, .. }
            | Finding::Unfinished { id, .. }
            | Finding::UndoUnfinished { id, .. }
            | Finding::HistoryRowMissing { id }
            | Finding::HistoryRowChanged { id, .. } => id,
        }
    }

    /// Which build applied what it contradicts, and when.
    pub fn origin(&self) -> Option<&Origin> {
        match self {
            Finding::Edited { origin, .. }
            | Finding::Renamed { origin, .. }
            | Finding::Missing { origin, .. }
            | Finding::OutOfOrder { origin, .. } => Some(origin),
            _ => None,
        }
    }
}

/// The set held against the records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison {
    /// One for each migration of the set, in its order.
    pub standing: Vec<Standing>,
    /// What is wrong, in the order of the chain.
    pub findings: Vec<Finding>,
    /// Versioned ones that are applied, or begun, and that the set does not have.
    pub unknown: Vec<Unknown>,
    /// Repeatable ones that were applied and whose files are gone.
    pub removed: Vec<MigrationId>,
    /// The newest version that is applied.
    pub newest: Option<MigrationId>,
    /// The newest version that is applied, or begun and not finished.
    pub begun: Option<MigrationId>,
}

/// Holds a set against the records of a database.
pub fn compare(set: &[EncodedMigration], rows: &Rows) -> Comparison {
    let lookup = rows.lookup();
    let mut findings = Vec::new();
    let unknown = unknown(set, &lookup);
    let newest = versions(&lookup).max_by_key(|id| id.version);
    let begun = begun(&lookup);
    let removed = removed(set, &lookup);
    let standing = set
        .iter()
        .map(|migration| {
            let id = MigrationId::of(migration);
            let standing = match lookup.ledger.get(&id.key()) {
                Some(row) => recorded(migration, row, &lookup, &mut findings),
                None => from_refinery(migration, &lookup, &mut findings),
            };
            match &begun {
                Some(newest)
                    if standing == Standing::Pending
                        && migration.kind == Kind::Versioned
                        && migration.version < newest.version =>
                {
                    findings.push(Finding::OutOfOrder {
                        id,
                        newest: newest.clone(),
                        origin: origin(newest, &lookup),
                    });
                    Standing::OutOfOrder
                }
                _ => standing,
            }
        })
        .collect();
    findings.extend(unknown.iter().map(|unknown| Finding::Missing {
        id: unknown.id.clone(),
        origin: unknown.origin.clone(),
        finished: unknown.finished,
    }));
    findings.extend(
        lookup
            .unfinished_undo()
            .map(|(id, done)| Finding::UndoUnfinished { id, done }),
    );
    findings.sort_by_key(|finding| finding.id().key());
    Comparison {
        standing,
        findings,
        unknown,
        removed,
        newest,
        begun,
    }
}

/// The standing of a migration that the ledger has a row of.
fn recorded(
    migration: &EncodedMigration,
    row: &LedgerRow,
    lookup: &Lookup,
    findings: &mut Vec<Finding>,
) -> Standing {
    let id = MigrationId::of(migration);
    if let RowState::Running(progress) = &row.state {
        let done = progress.done;
        findings.push(Finding::Unfinished { id, done });
        return Standing::Unfinished;
    }
    if migration.kind == Kind::Repeatable {
        return if row.leaf == migration.leaf {
            Standing::Applied
        } else {
            Standing::Outdated
        };
    }
    if row.id.name != migration.name {
        let applied = row.id.name.clone();
        let origin = Origin::of(lookup.application(row));
        findings.push(Finding::Renamed {
            id,
            applied,
            origin,
        });
        return Standing::Divergent;
    }
    let is_superseded = lookup.is_superseded(migration);
    if row.leaf != migration.leaf && !is_superseded {
        let applied = Some(row.leaf);
        let origin = Origin::of(lookup.application(row));
        findings.push(Finding::Edited {
            id,
            applied,
            origin,
        });
        return Standing::Divergent;
    }
    match lookup.refinery.get(&migration.version) {
        None => {
            findings.push(Finding::HistoryRowMissing { id });
            Standing::Divergent
        }
        Some(history)
            if history.name != migration.name
                // An older release does not know the checksum of the text that was accepted.
                || !(is_superseded || accepts(migration, &history.checksum)) =>
        {
            findings.push(Finding::HistoryRowChanged {
                id,
                name: history.name.clone(),
                checksum: history.checksum.clone(),
            });
            Standing::Divergent
        }
        Some(_) => Standing::Applied,
    }
}

/// The standing of a migration that the ledger has no row of.
fn from_refinery(
    migration: &EncodedMigration,
    lookup: &Lookup,
    findings: &mut Vec<Finding>,
) -> Standing {
    if migration.kind == Kind::Repeatable {
        return Standing::Pending;
    }
    let Some(history) = lookup.refinery.get(&migration.version) else {
        return Standing::Pending;
    };
    let id = MigrationId::of(migration);
    if history.name != migration.name {
        findings.push(Finding::Renamed {
            id,
            applied: history.name.clone(),
            origin: history.origin(),
        });
        return Standing::Divergent;
    }
    if !accepts(migration, &history.checksum) {
        findings.push(Finding::Edited {
            id,
            applied: None,
            origin: history.origin(),
        });
        return Standing::Divergent;
    }
    Standing::Adoptable
}

/// Whether a row of refinery's history may carry this checksum for this migration.
fn accepts(migration: &EncodedMigration, checksum: &str) -> bool {
    checksum
        .parse()
        .is_ok_and(|checksum: u64| migration.refinery.contains(&checksum))
}

fn unknown(set: &[EncodedMigration], lookup: &Lookup) -> Vec<Unknown> {
    let known: std::collections::HashSet<i64> = set
        .iter()
        .filter(|m| m.kind != Kind::Repeatable)
        .map(|m| m.version)
        .collect();
    let ledger = lookup.ledger.values();
    let ledger = ledger
        .filter(|row| row.id.kind != Kind::Repeatable)
        .map(|row| Unknown::of(lookup.application(row)));
    let refinery = only_in_refinery(lookup).map(|row| Unknown {
        id: row.id(),
        origin: row.origin(),
        compatible: false,
        finished: true,
    });
    let mut unknown: Vec<_> = ledger
        .chain(refinery)
        .filter(|unknown| !known.contains(&unknown.id.version))
        .collect();
    unknown.sort_by_key(|unknown| unknown.id.version);
    unknown
}

/// Repeatable migrations that were applied and that the set does not have any more.
fn removed(set: &[EncodedMigration], lookup: &Lookup) -> Vec<MigrationId> {
    let is_known = |id: &MigrationId| set.iter().any(|m| MigrationId::of(m).key() == id.key());
    let mut removed: Vec<_> = lookup
        .ledger
        .values()
        .filter(|row| row.id.kind == Kind::Repeatable && !is_known(&row.id))
        .map(|row| row.id.clone())
        .collect();
    removed.sort();
    removed
}

fn begun(lookup: &Lookup) -> Option<MigrationId> {
    let begun = lookup.ledger.values().map(|row| row.id.clone());
    versions(lookup)
        .chain(begun.filter(|id| id.kind != Kind::Repeatable))
        .max_by_key(|id| id.version)
}

/// Which build applied a version that is recorded.
fn origin(id: &MigrationId, lookup: &Lookup) -> Origin {
    let ledger = lookup.ledger.get(&id.key()).copied();
    let ledger = ledger.map(|row| Origin::of(lookup.application(row)));
    let refinery = || lookup.refinery.get(&id.version).map(|row| row.origin());
    ledger
        .or_else(refinery)
        .unwrap_or_else(|| Origin::new(None, ""))
}

/// Every version that is recorded as applied, by the ledger or by refinery.
pub(crate) fn versions(lookup: &Lookup) -> impl Iterator<Item = MigrationId> {
    let ledger = lookup
        .ledger
        .iter()
        .filter(|(key, row)| {
            matches!(key, Key::Version(_)) && !matches!(row.state, RowState::Running(_))
        })
        .map(|(_, row)| row.id.clone());
    ledger.chain(only_in_refinery(lookup).map(RefineryRow::id))
}

fn only_in_refinery<'r>(lookup: &Lookup<'r>) -> impl Iterator<Item = &'r RefineryRow> {
    let refinery = lookup.refinery.values().copied();
    refinery.filter(|row| !lookup.ledger.contains_key(&Key::Version(row.version)))
}
