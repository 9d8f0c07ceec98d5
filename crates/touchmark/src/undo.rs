//! What an undo would do, and what is in its way. Pure: the plan that is shown and the run itself
//! share it.

mod block;
mod run;
mod step;

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use touchmark_core::encoded::{EncodedMigration, EncodedScript};
use touchmark_core::{Checksum, Directives, Kind, Statement, is_expansion, recorded};

use crate::Error;
use crate::chain::Chain;
use crate::compare::{Comparison, Finding, Standing, compare, versions};
use crate::plan::{Action, Step, positions};
use crate::rows::{AppliedScript, Key, LedgerRow, Lookup, MigrationId, RowState, Rows};

pub use block::Block;
pub(crate) use run::{Request, check_values, plan_for, rollback};
pub(crate) use step::{script_of, task};

/// How far an undo goes. Versions are undone in the order of their numbers, the highest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RollbackTarget {
    /// So many versions.
    Steps(usize),
    /// Every version above this one.
    Version(i64),
    /// All versions.
    Base,
}

impl FromStr for RollbackTarget {
    type Err = String;

    /// Reads `base`, `-N`, or a version with or without its letter.
    fn from_str(text: &str) -> Result<RollbackTarget, String> {
        let number = |digits: &str| -> Option<u64> {
            (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                .then(|| digits.parse().ok())?
        };
        if text == "base" {
            return Ok(RollbackTarget::Base);
        }
        let target = match text.strip_prefix('-') {
            Some(count) => number(count)
                .filter(|count| *count > 0)
                .and_then(|count| usize::try_from(count).ok())
                .map(RollbackTarget::Steps),
            None => number(text.strip_prefix(['V', 'U']).unwrap_or(text))
                .and_then(|version| i64::try_from(version).ok())
                .map(RollbackTarget::Version),
        };
        target.ok_or_else(|| {
            format!("`{text}` is not a target: give `-1` for the last one, a version such as `3`, or `base`")
        })
    }
}

impl fmt::Display for RollbackTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RollbackTarget::Steps(count) => write!(f, "-{count}"),
            RollbackTarget::Version(version) => write!(f, "{version}"),
            RollbackTarget::Base => f.write_str("base"),
        }
    }
}

/// What an undo would do.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct RollbackPlan {
    /// What was asked for.
    pub target: RollbackTarget,
    /// In the order in which it is done.
    pub steps: Vec<UndoStep>,
    /// The repeatable migrations that the next run applies again: what they made may go with a
    /// version.
    pub again: Vec<MigrationId>,
    /// The newest version that is applied afterwards.
    pub newest: Option<MigrationId>,
    /// The rows of `again`, with the chain value after each.
    pub(crate) marks: Vec<(MigrationId, i64, Checksum)>,
    /// What refinery applied and the ledger does not know yet.
    pub(crate) adopt: Vec<Step>,
}

/// One migration that is undone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndoStep {
    /// Which.
    pub id: MigrationId,
    /// The row of the ledger that says what was applied; none where only refinery knows it.
    pub row: Option<i64>,
    /// Where the SQL comes from.
    pub source: DownSource,
    /// What undoes it, as it is executed.
    pub sql: String,
    /// Whether it was begun before, and goes on where it stopped.
    pub is_begun: bool,
    /// The chain value over everything applied, after this step.
    pub chain: Checksum,
    pub(crate) directives: Directives,
    /// None where it comes from the ledger: there is no lexer in here.
    pub(crate) statements: Vec<Statement>,
}

/// Where the SQL that undoes a migration comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum DownSource {
    /// This file of the set: `migrations/V3__x.down.sql`.
    File(String),
    /// This row of the ledger, which keeps what the release had that applied it.
    Ledger(i64),
}

impl fmt::Display for DownSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            DownSource::File(file) => f.write_str(file),
            DownSource::Ledger(row) => write!(f, "the ledger, row {row}"),
        }
    }
}

/// What is known when an undo is planned.
pub(crate) struct Known<'k> {
    pub set: &'k [EncodedMigration<'k>],
    /// The directory of the files, for messages.
    pub directory: &'k str,
    pub rows: &'k Rows,
    /// The scripts of the rows that [`wanted`] names.
    pub scripts: HashMap<i64, AppliedScript>,
    pub standby: bool,
}

/// The rows of the ledger whose scripts a plan needs: the set can't undo these, or not without values.
pub(crate) fn wanted(set: &[EncodedMigration], rows: &Rows, target: RollbackTarget) -> Vec<i64> {
    let lookup = rows.lookup();
    chosen(&lookup, target)
        .iter()
        .filter(|id| of_set(set, id).is_none_or(needs_ledger))
        .filter_map(|id| lookup.ledger.get(&id.key()).map(|row| row.row))
        .collect()
}

/// What an undo to `target` would do.
pub(crate) fn plan(known: &Known, target: RollbackTarget) -> Result<RollbackPlan, Error> {
    let Known { set, rows, .. } = *known;
    let lookup = rows.lookup();
    let comparison = compare(set, rows);
    let mut left = applied(&lookup);
    check_target(set, &left, target)?;
    let chosen = chosen(&lookup, target);
    left.drain(..chosen.len());

    let mut chain = Chain::of(rows);
    let adopt = positions(&comparison, Standing::Adoptable)
        .map(|position| {
            let id = MigrationId::of(&set[position]);
            Step {
                chain: chain.record(id.key(), set[position].leaf),
                id,
                action: Action::Adopt,
                position,
            }
        })
        .collect();
    let repeatable = lookup.ledger.iter();
    let mut repeatable: Vec<&LedgerRow> = repeatable
        .filter(|(key, _)| matches!(key, Key::Repeatable(_)) && !chosen.is_empty())
        .map(|(_, row)| *row)
        .collect();
    repeatable.sort_by(|a, b| a.id.cmp(&b.id));
    let mut without = |id: &MigrationId| {
        chain.remove(&id.key());
        chain.head()
    };
    let marks: Vec<_> = repeatable
        .iter()
        .map(|row| (row.id.clone(), row.row, without(&row.id)))
        .collect();
    let mut blocks = Vec::new();
    let mut steps = Vec::new();
    for id in &chosen {
        let chain = without(id);
        match step(known, &lookup, id, chain) {
            Ok(step) => steps.push(step),
            Err(block) => blocks.push(block),
        }
    }
    if !chosen.is_empty() {
        blocks.splice(0..0, in_the_way(known, &comparison, &lookup, &chosen));
    }
    if !blocks.is_empty() {
        return Err(Error::Blocked { blocks });
    }
    Ok(RollbackPlan {
        target,
        steps,
        again: marks.iter().map(|(id, ..)| id.clone()).collect(),
        newest: left.into_iter().next(),
        marks,
        adopt,
    })
}

/// Every version that is applied, the newest first, and before it what is half undone.
pub(crate) fn applied(lookup: &Lookup) -> Vec<MigrationId> {
    let mut applied: Vec<_> = versions(lookup).collect();
    let is_begun = |id: &MigrationId| lookup.undoing.contains_key(&id.key());
    applied.sort_by_key(|id| (!is_begun(id), std::cmp::Reverse(id.version)));
    applied
}

/// The first of these, as far as the target says, and what is half undone.
fn chosen(lookup: &Lookup, target: RollbackTarget) -> Vec<MigrationId> {
    let mut chosen = applied(lookup);
    match target {
        RollbackTarget::Steps(count) => chosen.truncate(count),
        RollbackTarget::Version(version) => {
            chosen.retain(|id| id.version > version || lookup.undoing.contains_key(&id.key()))
        }
        RollbackTarget::Base => {}
    }
    chosen
}

fn check_target(
    set: &[EncodedMigration],
    applied: &[MigrationId],
    target: RollbackTarget,
) -> Result<(), Error> {
    let RollbackTarget::Version(version) = target else {
        return Ok(());
    };
    let set = set.iter().filter(|m| m.kind != Kind::Repeatable);
    let versions: Vec<i64> = set
        .map(|m| m.version)
        .chain(applied.iter().map(|id| id.version))
        .collect();
    match versions.contains(&version) {
        true => Ok(()),
        false => Err(Error::TargetUnknown {
            version,
            nearest: versions.into_iter().min_by_key(|v| v.abs_diff(version)),
        }),
    }
}

fn of_set<'s>(
    set: &'s [EncodedMigration<'s>],
    id: &MigrationId,
) -> Option<&'s EncodedMigration<'s>> {
    let mut set = set.iter();
    set.find(|m| m.kind != Kind::Repeatable && m.version == id.version)
}

fn needs_ledger(migration: &EncodedMigration) -> bool {
    let down = migration.down.as_ref();
    down.is_none_or(|down| !down.holes.is_empty())
}

/// Whether a migration was applied with other values than there are now. With these, its file might
/// drop what is not its own.
fn had_other_values(down: &EncodedScript, kept: Option<&AppliedScript>) -> bool {
    let kept = kept.and_then(|script| script.down.as_deref());
    kept.is_some_and(|kept| {
        kept != down.executed()
            && !down.holes.is_empty()
            && is_expansion(down.sql, &down.holes, kept)
    })
}

/// What undoes a migration: the set's file, or else what the ledger kept.
fn step(
    known: &Known,
    lookup: &Lookup,
    id: &MigrationId,
    chain: Checksum,
) -> Result<UndoStep, Block> {
    let row = lookup.ledger.get(&id.key()).map(|row| row.row);
    let migration = of_set(known.set, id);
    let script = row.and_then(|row| known.scripts.get(&row));
    let irreversible = match (migration, script) {
        (Some(migration), _) => migration.up.directives.irreversible.clone(),
        (None, Some(script)) => recorded(&script.up, id.kind, false).irreversible,
        (None, None) => None,
    };
    if let Some(why) = irreversible {
        let id = id.clone();
        return Err(Block::Irreversible { id, why });
    }
    let file = migration.and_then(|m| Some((m, m.down.as_ref()?)));
    let file = file.filter(|(_, down)| !had_other_values(down, script));
    let (source, sql, directives, statements) = match (file, script, row) {
        (Some((migration, down)), ..) => {
            let name = migration.file_name().replace(".sql", ".down.sql");
            let file = format!("{}/{name}", known.directory);
            (
                DownSource::File(file),
                down.executed().to_owned(),
                down.directives.clone(),
                down.statements.clone(),
            )
        }
        (
            None,
            Some(AppliedScript {
                down: Some(down), ..
            }),
            Some(row),
        ) => (
            DownSource::Ledger(row),
            down.clone(),
            recorded(down, id.kind, true),
            Vec::new(),
        ),
        _ => {
            return Err(Block::NoDown {
                id: id.clone(),
                file: migration.map(|m| {
                    let name = m.file_name().replace(".sql", ".down.sql");
                    format!("{}/{name}", known.directory)
                }),
            });
        }
    };
    if directives.no_transaction && matches!(source, DownSource::Ledger(_)) {
        let id = id.clone();
        return Err(Block::WithoutTransaction { id, source });
    }
    Ok(UndoStep {
        id: id.clone(),
        row,
        source,
        sql,
        is_begun: lookup.undoing.contains_key(&id.key()),
        chain,
        directives,
        statements,
    })
}

/// What is in the way of any undo, whatever undoes it.
fn in_the_way(
    known: &Known,
    comparison: &Comparison,
    lookup: &Lookup,
    chosen: &[MigrationId],
) -> Vec<Block> {
    let mut blocks = Vec::new();
    if known.standby {
        blocks.push(Block::Standby);
    }
    let running = lookup.ledger.values();
    let running = running.filter_map(|row| match &row.state {
        RowState::Running(progress) => Some(Block::Unfinished {
            id: row.id.clone(),
            done: progress.done,
        }),
        _ => None,
    });
    blocks.extend(running);
    // What the set does not have, the ledger can undo; what is pending late is in nobody's way.
    let findings = comparison.findings.iter().filter(|finding| {
        !matches!(
            finding,
            Finding::Missing { .. }
                | Finding::OutOfOrder { .. }
                | Finding::Unfinished { .. }
                | Finding::UndoUnfinished { .. }
        )
    });
    blocks.extend(findings.cloned().map(Box::new).map(Block::Divergent));
    // The set's own were held against refinery's history already.
    let gone = chosen.iter().filter(|id| {
        let history = lookup.refinery.get(&id.version);
        of_set(known.set, id).is_none() && history.is_none_or(|row| row.name != id.name)
    });
    let gone = gone.map(|id| Finding::HistoryRowMissing { id: id.clone() });
    blocks.extend(gone.map(Box::new).map(Block::Divergent));
    blocks
}
