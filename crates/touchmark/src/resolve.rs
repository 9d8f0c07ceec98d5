//! Settling by hand what an interrupted migration without a transaction left open.

use std::time::Duration;

use crate::chain::Chain;
use crate::event::Events;
use crate::history::{self, Tables};
use crate::lock::{self, Scope};
use crate::rows::{LedgerRow, MigrationId, NextStatement, Progress, RowState, Rows};
use crate::run;
use crate::session::Session;
use crate::sql::bytea;
use crate::{Error, Set};

/// What somebody found out about the statement at which a migration was interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Resolution {
    /// It was carried out: the next run goes on after it.
    Done,
    /// It was not carried out: the next run carries it out again.
    Retry,
    /// The migration is given up: what it did stays, and it counts as not applied.
    Abandon,
}

/// What a resolution did.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Resolved {
    /// Which migration.
    pub id: MigrationId,
    /// How many of its statements are recorded as carried out now.
    pub done: usize,
    /// How many it has.
    pub total: usize,
    /// Whether it is recorded as applied now: nothing of it was left to do.
    pub finished: bool,
}

/// Records the resolution, under the lock that a run takes.
pub(crate) fn resolve(
    session: &mut Session,
    set: Set,
    tables: &Tables,
    (events, wait): (Events, Duration),
    which: &str,
    resolution: Resolution,
) -> Result<Resolved, Error> {
    let encoded = set.open()?;
    let start = run::look(session, tables, &encoded)?;
    if start.scope == Scope::Transaction {
        // The lock would end with its transaction, before anything is recorded.
        let rows = run::read(session, tables, &start)?;
        let id = unfinished(&rows, which)?.0.id.clone();
        return Err(Error::Pooled { id });
    }
    lock::acquire(
        session,
        events,
        tables,
        start.scope,
        wait,
        "SELECT WHERE false",
    )?;
    let rows = run::read(session, tables, &start)?;
    let migrations = encoded.migrations()?;
    let (row, progress) = unfinished(&rows, which)?;
    let migration = migrations
        .iter()
        .find(|m| MigrationId::of(m).key() == row.id.key());
    let mut resolved = Resolved {
        id: row.id.clone(),
        done: progress.done,
        total: progress.statements.len(),
        finished: false,
    };
    let sql = match resolution {
        Resolution::Abandon => history::abandon_sql(tables, row.row),
        Resolution::Retry => {
            in_doubt(&row.id, progress)?;
            history::next_sql(tables, row.row, "retry")
        }
        Resolution::Done => {
            in_doubt(&row.id, progress)?;
            resolved.done += 1;
            let progress = history::progress_sql(tables, row.row, resolved.done);
            match migration.filter(|m| resolved.done >= resolved.total && m.leaf == row.leaf) {
                // Nothing of it is left to do, so it is recorded as a run would.
                Some(migration) => {
                    resolved.finished = true;
                    // What only refinery applied is added by the run that takes it over.
                    let chain = Chain::of(&rows).record(row.id.key(), row.leaf);
                    let refinery = history::refinery_sql(tables, migration);
                    let finish = history::finish_sql(tables, row.row, &bytea(chain));
                    format!("{progress}; {refinery}{finish}")
                }
                None => progress,
            }
        }
    };
    match session.settle(&format!("BEGIN; {sql}; COMMIT")) {
        Ok(_) => Ok(resolved),
        Err(error) => {
            // Its own failure would hide the cause.
            let _ = session.settle("ROLLBACK");
            Err(history::explain(
                error,
                session,
                tables,
                "record a migration",
            ))
        }
    }
}

/// The row that is meant, if it is unfinished.
fn unfinished<'r>(rows: &'r Rows, which: &str) -> Result<(&'r LedgerRow, &'r Progress), Error> {
    let found = rows.ledger.iter().rev().find_map(|row| match &row.state {
        RowState::Running(progress) if row.id.is_called(which) => Some((row, progress)),
        _ => None,
    });
    found.ok_or_else(|| {
        let unfinished = rows.ledger.iter();
        let unfinished = unfinished.filter(|row| matches!(row.state, RowState::Running(_)));
        Error::NotUnfinished {
            which: which.into(),
            unfinished: unfinished.map(|row| row.id.clone()).collect(),
        }
    })
}

/// A statement that was not begun is in no doubt.
fn in_doubt(id: &MigrationId, progress: &Progress) -> Result<(), Error> {
    match progress.next {
        NextStatement::Started | NextStatement::Failed | NextStatement::Retry => Ok(()),
        NextStatement::NotStarted => Err(Error::NotInDoubt {
            id: id.clone(),
            statement: progress.done + 1,
        }),
    }
}
