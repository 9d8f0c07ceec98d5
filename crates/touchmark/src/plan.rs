//! What a run would do. Pure: the dry run, the status and the run itself share it.

use std::fmt;
use std::str::FromStr;

use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, Kind};

use crate::ahead::{Ahead, Unaccepted, Unknown};
use crate::chain::Chain;
use crate::compare::{Comparison, Finding, Standing, compare};
use crate::rows::{MigrationId, RowState, Rows};

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Target {
    /// Everything that is pending, the repeatable ones too.
    #[default]
    Latest,
    /// Up to this version, and nothing repeatable.
    Version(i64),
    /// So many versioned ones, and nothing repeatable.
    Plus(usize),
}

impl FromStr for Target {
    type Err = String;

    /// Reads `latest` (or `head`), `+N`, or a version with or without its letter.
    fn from_str(text: &str) -> Result<Target, String> {
        let number = |digits: &str| -> Option<u64> {
            (!digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()))
                .then(|| digits.parse().ok())?
        };
        if matches!(text, "latest" | "head") {
            return Ok(Target::Latest);
        }
        let target = match text.strip_prefix('+') {
            Some(count) => number(count)
                .filter(|count| *count > 0)
                .and_then(|count| usize::try_from(count).ok())
                .map(Target::Plus),
            None => number(text.strip_prefix(['V', 'U']).unwrap_or(text))
                .and_then(|version| i64::try_from(version).ok())
                .map(Target::Version),
        };
        target.ok_or_else(|| {
            format!("`{text}` is not a target: give `latest`, a version such as `3`, or `+1` for the next one")
        })
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Latest => f.write_str("latest"),
            Target::Version(version) => write!(f, "{version}"),
            Target::Plus(count) => write!(f, "+{count}"),
        }
    }
}

/// What is done with one migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Action {
    /// It is applied.
    Apply,
    /// A repeatable one is applied again, because its content has changed.
    Changed,
    /// A repeatable one is applied again, because a version was undone since.
    Again,
    /// One without a transaction is taken up where it stopped.
    Resume,
    /// refinery has applied it; only the ledger is told.
    Adopt,
    /// It is recorded as applied, and not run.
    Stamp,
}

/// One step of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Which migration.
    pub id: MigrationId,
    /// What is done with it.
    pub action: Action,
    /// Its position in the set.
    pub position: usize,
    /// The chain value over everything applied, after this step.
    pub chain: Checksum,
}

/// A repeatable migration whose file is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// Which.
    pub id: MigrationId,
    /// The chain value over everything applied, without it.
    pub chain: Checksum,
}

/// What a run would do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order in which it is done.
    pub steps: Vec<Step>,
    /// What refinery applied and the ledger does not know yet.
    pub adopt: Vec<Step>,
    /// Repeatable migrations whose files are gone: the ledger is told so.
    pub remove: Vec<Removal>,
    /// The chain value over everything applied, before the first step.
    pub chain: Checksum,
    /// What the database has more than the set, where the set is a prefix of it.
    pub unknown: Vec<Unknown>,
    /// The newest version that is applied, before the first step.
    pub newest: Option<MigrationId>,
}

impl Plan {
    /// Whether there is nothing to record beside the steps.
    pub(crate) fn only_steps(&self) -> bool {
        self.adopt.is_empty() && self.remove.is_empty()
    }
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// What was applied is not what the set has.
    Findings(Vec<Finding>),
    /// An undo is not finished.
    Undoing { id: MigrationId, done: usize },
    /// The target is not in the set.
    TargetUnknown { version: i64, nearest: Option<i64> },
    /// The target is behind what is applied.
    TargetBehind { version: i64, newest: MigrationId },
    /// The database is ahead, in a way that the policy does not accept.
    Ahead {
        unknown: Vec<Unknown>,
        why: Unaccepted,
    },
}

/// What a run to `target` would do.
pub(crate) fn plan(
    set: &[EncodedMigration],
    rows: &Rows,
    target: Target,
    policy: Ahead,
) -> Result<Plan, Refusal> {
    if let Some((id, done)) = rows.lookup().unfinished_undo() {
        return Err(Refusal::Undoing { id, done });
    }
    let comparison = compare(set, rows);
    let ahead = is_ahead(set, &comparison);
    let findings: Vec<_> = comparison
        .findings
        .iter()
        .filter(|finding| match finding {
            Finding::Missing { .. } => !ahead,
            // An unfinished migration of the set is taken up again: that is a step.
            Finding::Unfinished { .. } => false,
            _ => true,
        })
        .cloned()
        .collect();
    if !findings.is_empty() {
        return Err(Refusal::Findings(findings));
    }
    if ahead {
        let mut unknown = comparison.unknown.clone();
        if policy == Ahead::AcceptCompatible {
            unknown.extend(repeatable_of_others(set, &comparison, rows));
        }
        if let Err(why) = policy.accept(&unknown) {
            return Err(Refusal::Ahead { unknown, why });
        }
    }
    if let Target::Version(version) = target {
        check_target(set, &comparison, version)?;
    }

    let mut chain = Chain::of(rows);
    let step = |chain: &mut Chain, position, action| {
        let migration: &EncodedMigration = &set[position];
        let id = MigrationId::of(migration);
        Step {
            chain: chain.record(id.key(), migration.leaf),
            id,
            action,
            position,
        }
    };
    let adopt = positions(&comparison, Standing::Adoptable)
        .map(|position| step(&mut chain, position, Action::Adopt))
        .collect();
    // A release behind the database does not know the newer files.
    let remove = match target {
        Target::Latest if !ahead => comparison.removed.clone(),
        _ => Vec::new(),
    };
    let remove = remove
        .into_iter()
        .map(|id| {
            chain.remove(&id.key());
            let chain = chain.head();
            Removal { id, chain }
        })
        .collect();
    let before = chain.head();
    let steps = choose(set, &comparison, target, ahead)
        .into_iter()
        .map(|(position, action)| match action {
            Action::Apply if was_undone(&set[position], rows) => (position, Action::Again),
            _ => (position, action),
        })
        .map(|(position, action)| step(&mut chain, position, action))
        .collect();
    Ok(Plan {
        steps,
        adopt,
        remove,
        chain: before,
        unknown: comparison.unknown,
        newest: comparison.newest,
    })
}

/// Whether a repeatable one is there as it is, but has to be applied again after an undo.
fn was_undone(migration: &EncodedMigration, rows: &Rows) -> bool {
    let id = MigrationId::of(migration);
    let mut rows = rows.ledger.iter().rev();
    let last = rows.find(|row| row.id == id);
    id.kind == Kind::Repeatable && last.is_some_and(|row| row.state == RowState::Undone)
}

/// Whether a release that has run on this database can go on: all that it brought is there. A
/// repeatable file that was applied and is not as the set has it was replaced, or dropped, by a
/// newer release since, which the policy judges as it does versions.
pub(crate) fn is_ready(set: &[EncodedMigration], rows: &Rows, policy: Ahead) -> bool {
    let Ok(plan) = plan(set, rows, Target::Latest, policy) else {
        return false;
    };
    let is_known = |id: &MigrationId| rows.ledger.iter().any(|row| row.id == *id);
    let mut steps = plan.steps.iter().map(|step| &step.id);
    plan.steps.is_empty()
        || steps.all(|id| id.kind == Kind::Repeatable && is_known(id))
            && policy
                .accept(&repeatable_of_others(set, &compare(set, rows), rows))
                .is_ok()
}

/// Whether the set is a prefix of what is applied, and shorter.
fn is_ahead(set: &[EncodedMigration], comparison: &Comparison) -> bool {
    let last = set
        .iter()
        .filter(|m| m.kind != Kind::Repeatable)
        .map(|m| m.version)
        .max();
    let complete = set
        .iter()
        .zip(&comparison.standing)
        .filter(|(m, _)| m.kind != Kind::Repeatable)
        .all(|(_, s)| matches!(s, Standing::Applied | Standing::Adoptable));
    complete
        && !comparison.unknown.is_empty()
        && comparison
            .unknown
            .iter()
            // A newer release may bring an out-of-order one of any version.
            .map(|unknown| &unknown.id)
            .all(|id| id.kind == Kind::OutOfOrder || last.is_none_or(|last| id.version > last))
}

/// Repeatable migrations that are not as the set has them: where the database is ahead, a newer
/// release has applied them.
fn repeatable_of_others(
    set: &[EncodedMigration],
    comparison: &Comparison,
    rows: &Rows,
) -> Vec<Unknown> {
    let lookup = rows.lookup();
    let outdated = positions(comparison, Standing::Outdated).map(|at| MigrationId::of(&set[at]));
    let others = outdated.chain(comparison.removed.iter().cloned());
    others
        .filter_map(|id| lookup.ledger.get(&id.key()).map(|row| Unknown::of(row)))
        .collect()
}

fn check_target(
    set: &[EncodedMigration],
    comparison: &Comparison,
    version: i64,
) -> Result<(), Refusal> {
    let versions = || {
        set.iter()
            .filter(|m| m.kind != Kind::Repeatable)
            .map(|m| m.version)
    };
    if !versions().any(|v| v == version) {
        let nearest = versions().min_by_key(|v| v.abs_diff(version));
        return Err(Refusal::TargetUnknown { version, nearest });
    }
    match &comparison.begun {
        Some(newest) if newest.version > version => Err(Refusal::TargetBehind {
            version,
            newest: newest.clone(),
        }),
        _ => Ok(()),
    }
}

pub(crate) fn positions(
    comparison: &Comparison,
    standing: Standing,
) -> impl Iterator<Item = usize> {
    comparison
        .standing
        .iter()
        .enumerate()
        .filter(move |(_, s)| **s == standing)
        .map(|(position, _)| position)
}

/// The steps: what is unfinished, then the versions, then what is repeatable.
fn choose(
    set: &[EncodedMigration],
    comparison: &Comparison,
    target: Target,
    ahead: bool,
) -> Vec<(usize, Action)> {
    let mut steps: Vec<_> = positions(comparison, Standing::Unfinished)
        .map(|position| (position, Action::Resume))
        .collect();
    let pending: Vec<_> = positions(comparison, Standing::Pending)
        .map(|position| (position, Action::Apply))
        .collect();
    let versioned = |(position, _): &(usize, Action)| set[*position].kind != Kind::Repeatable;
    match target {
        Target::Version(version) => steps.extend(
            pending
                .into_iter()
                .filter(versioned)
                .filter(|(position, _)| set[*position].version <= version),
        ),
        Target::Plus(count) => {
            steps.extend(pending.into_iter().filter(versioned));
            steps.truncate(count);
        }
        Target::Latest => {
            steps.extend(pending.iter().filter(|s| versioned(s)));
            // A release behind the database must not put its older views and functions back.
            if !ahead {
                let outdated = positions(comparison, Standing::Outdated);
                let mut repeatable: Vec<_> =
                    pending.into_iter().filter(|s| !versioned(s)).collect();
                repeatable.extend(outdated.map(|position| (position, Action::Changed)));
                repeatable.sort_by_key(|(position, _)| *position);
                steps.extend(repeatable);
            }
        }
    }
    steps
}

#[cfg(test)]
mod tests;
