//! May the older of two releases run on the schema of the newer one?

use std::collections::HashMap;

use touchmark_core::{Kind, Migration, MigrationSet};

use crate::exit_code;

/// The answer, and what it is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// What the newer release applies to a database of the older one, in order.
    pub(crate) added: Vec<Added>,
    /// Why the newer one can't follow the older one at all, the first thing first.
    pub(crate) breaks: Vec<Break>,
    pub(crate) verdict: Verdict,
}

/// One migration that the newer release brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Added {
    pub(crate) migration: String,
    pub(crate) is_repeatable: bool,
    /// A repeatable one that the older release has with another content.
    pub(crate) is_changed: bool,
    pub(crate) undo: Undo,
    pub(crate) is_compatible: bool,
}

/// What undoes a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Undo {
    /// Its down file.
    Down,
    /// The older release's content of a repeatable one, applied again.
    Again,
    /// Nobody has written it.
    Missing,
    /// Nothing can: the reason that the migration gives.
    Irreversible(String),
}

/// Why a release does not follow another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Break {
    /// Both have the version, with different content or name.
    Edited { old: String, new: String },
    /// The newer one does not have it.
    Missing { migration: String },
    /// The newer one brings it below what the older one has applied.
    OutOfOrder { migration: String },
    /// They keep their history in different tables: one does not see what the other applied.
    History,
}

/// What may be done about a rollback.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Both have the same migrations.
    Same,
    /// The older one runs on the newer one's schema.
    Runs,
    /// After these, and all that follow them, are undone.
    UndoFirst,
    /// Something can't be undone.
    Irreversible,
    /// The newer one is no successor of the older one.
    NoSuccessor(u8),
}

impl Verdict {
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Verdict::Same | Verdict::Runs => exit_code::OK,
            Verdict::UndoFirst => exit_code::UNDO_FIRST,
            Verdict::Irreversible => exit_code::IRREVERSIBLE,
            Verdict::NoSuccessor(code) => code,
        }
    }

    /// In JSON.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Verdict::Same => "same",
            Verdict::Runs => "runs",
            Verdict::UndoFirst => "undo-first",
            Verdict::Irreversible => "irreversible",
            Verdict::NoSuccessor(_) => "no-successor",
        }
    }
}

/// Compares the sets of two releases.
pub(crate) fn compare(old: &MigrationSet, new: &MigrationSet, same_history: bool) -> Comparison {
    let known: HashMap<Key, &Migration> = old.migrations.iter().map(|m| (key(m), m)).collect();
    let mut breaks = breaks(old, new);
    if !same_history {
        breaks.insert(0, Break::History);
    }
    let mut added = Vec::new();
    for migration in &new.migrations {
        match known.get(&key(migration)) {
            None => added.push(Added::of(migration, false)),
            Some(before) if before.leaf != migration.leaf && migration.kind == Kind::Repeatable => {
                added.push(Added::of(migration, true));
            }
            Some(_) => {}
        }
    }
    Comparison {
        verdict: match breaks.first() {
            Some(first) => Verdict::NoSuccessor(first.code()),
            None => judge(&added),
        },
        added,
        breaks,
    }
}

impl Comparison {
    /// What must be undone, the newest first: from the first migration that the older release
    /// can't run with, all that have a version, and the repeatable ones that it can't run with.
    pub(crate) fn to_undo(&self) -> Vec<&Added> {
        to_undo(&self.added)
    }
}

impl Added {
    fn of(migration: &Migration, is_changed: bool) -> Added {
        let directives = &migration.up.directives;
        let undo = match (&directives.irreversible, &migration.down) {
            (Some(why), _) => Undo::Irreversible(why.clone()),
            (None, Some(_)) => Undo::Down,
            (None, None) if is_changed => Undo::Again,
            (None, None) => Undo::Missing,
        };
        Added {
            migration: migration.to_string(),
            is_repeatable: migration.kind == Kind::Repeatable,
            is_changed,
            undo,
            is_compatible: directives.compatible_with_previous,
        }
    }

    pub(crate) fn can_be_undone(&self) -> bool {
        matches!(self.undo, Undo::Down | Undo::Again)
    }
}

impl Break {
    pub(crate) fn code(&self) -> u8 {
        match self {
            Break::Edited { .. } => exit_code::EDITED,
            Break::Missing { .. } => exit_code::MISSING,
            Break::OutOfOrder { .. } => exit_code::OUT_OF_ORDER,
            Break::History => exit_code::FAILURE,
        }
    }
}

/// What identifies a migration: its version, whatever its kind, or the name of a repeatable one.
type Key<'a> = (bool, i64, &'a str);

fn key(migration: &Migration) -> Key<'_> {
    match migration.kind {
        Kind::Repeatable => (true, 0, &migration.name),
        _ => (false, migration.version, ""),
    }
}

/// A repeatable migration may change and go; the others stay as they are.
fn breaks(old: &MigrationSet, new: &MigrationSet) -> Vec<Break> {
    let kept: HashMap<Key, &Migration> = new.migrations.iter().map(|m| (key(m), m)).collect();
    let before: Vec<_> = versioned(old).collect();
    let mut out = Vec::new();
    for migration in &before {
        match kept.get(&key(migration)) {
            Some(after) if after.leaf == migration.leaf => {}
            Some(after) => out.push(Break::Edited {
                old: migration.to_string(),
                new: after.to_string(),
            }),
            None => out.push(Break::Missing {
                migration: migration.to_string(),
            }),
        }
    }
    let newest = before.iter().map(|m| m.version).max();
    for migration in versioned(new) {
        let is_new = before.iter().all(|m| m.version != migration.version);
        let is_late = newest.is_some_and(|newest| migration.version < newest);
        if is_new && is_late && migration.kind == Kind::Versioned {
            out.push(Break::OutOfOrder {
                migration: migration.to_string(),
            });
        }
    }
    out
}

fn versioned(set: &MigrationSet) -> impl Iterator<Item = &Migration> {
    let migrations = set.migrations.iter();
    migrations.filter(|migration| migration.kind != Kind::Repeatable)
}

fn judge(added: &[Added]) -> Verdict {
    let undo = to_undo(added);
    if added.is_empty() {
        Verdict::Same
    } else if undo.is_empty() {
        Verdict::Runs
    } else if undo.iter().all(|added| added.can_be_undone()) {
        Verdict::UndoFirst
    } else {
        Verdict::Irreversible
    }
}

fn to_undo(added: &[Added]) -> Vec<&Added> {
    let mut is_below = true;
    let wanted = added.iter().filter(|added| {
        is_below = is_below && added.is_compatible;
        !added.is_compatible || !is_below && !added.is_repeatable
    });
    let mut out: Vec<_> = wanted.collect();
    out.reverse();
    out
}

#[cfg(test)]
mod tests;
