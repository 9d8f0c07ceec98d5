//! Settling by hand what an interrupted migration without a transaction left open.

use tokio_postgres::Config;
use touchmark_core::encoded::EncodedMigration;

use crate::chain::Chain;
use crate::event::Events;
use crate::history::{self, Reached, Tables};
use crate::lock::{self, Scope};
use crate::rows::{LedgerRow, MigrationId, NextStatement, Progress, RowState, Rows};
use crate::run::{self, Opened, Options};
use crate::sql::bytea;
use crate::transaction::Stop;
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
    /// Whether it was being undone.
    pub is_undo: bool,
    /// How many of its statements are recorded as carried out now.
    pub done: usize,
    /// How many it has.
    pub total: usize,
    /// Whether it is recorded as applied now, or as undone: nothing of it was left to do.
    pub finished: bool,
}

/// Records the resolution, under the lock that a run takes.
pub(crate) fn resolve(
    set: Set,
    options: &Options,
    config: &Config,
    events: Events,
    which: &str,
    resolution: Resolution,
) -> Result<Resolved, Error> {
    let opened = Opened::of(&set, options)?;
    let migrations = opened.encoded.migrations()?;
    let tables = &opened.tables;
    let mut sent: Option<(i64, Resolved)> = None;
    run::attempts(options, config, events, |session| {
        let start = run::look(session, tables, &opened.encoded)?;
        start.check_writable()?;
        if start.scope == Scope::Transaction {
            // The lock would end with its transaction, before anything is recorded.
            let rows = run::read(session, tables, &start)?;
            let id = unfinished(&rows, which)?.0.id.clone();
            return Err(Stop::Failed(Error::Pooled { id }));
        }
        let nothing = "SELECT WHERE false";
        lock::acquire(session, events, tables, start.scope, options.wait, nothing)?;
        let rows = run::read(session, tables, &start)?;
        if let Some(resolved) = sent.take().and_then(|sent| recorded(&rows, sent)) {
            return Ok(resolved);
        }
        let (row, progress) = unfinished(&rows, which)?;
        let (resolved, sql) = change(&migrations, tables, &rows, (row, progress), resolution)?;
        sent = Some((row.row, resolved.clone()));
        match session.settle(&format!("BEGIN; {sql}COMMIT")) {
            Ok(_) => Ok(resolved),
            Err(error) => {
                // Its own failure would hide the cause.
                let _ = session.settle("ROLLBACK");
                let code = error.source.as_db_error().map(|e| e.code().code());
                Err(Stop::Failed(match code {
                    // A run that had lost its lock has recorded more in between.
                    Some("22012") => Error::PlanChanged,
                    _ => history::explain(error, session, tables, "record a migration"),
                }))
            }
        }
    })
}

/// What a connection that was lost has sent, where it was recorded. What is only to be tried again
/// is recorded once more.
fn recorded(rows: &Rows, (row, resolved): (i64, Resolved)) -> Option<Resolved> {
    let row = rows.ledger.iter().find(|found| found.row == row)?;
    let is_it = row.state.progress().is_none_or(|progress| {
        progress.next == NextStatement::NotStarted && progress.done == resolved.done
    });
    is_it.then_some(resolved)
}

/// What a resolution is, and the SQL that records it.
fn change(
    set: &[EncodedMigration],
    tables: &Tables,
    rows: &Rows,
    (row, progress): (&LedgerRow, &Progress),
    resolution: Resolution,
) -> Result<(Resolved, String), Error> {
    let is_undo = matches!(row.state, RowState::Undoing(_));
    let migration = set
        .iter()
        .find(|m| MigrationId::of(m).key() == row.id.key() && m.leaf == row.leaf);
    let mut resolved = Resolved {
        id: row.id.clone(),
        is_undo,
        done: progress.done,
        total: progress.statements.len(),
        finished: false,
    };
    let reached = Reached {
        row: row.row,
        done: progress.done,
        next: Some(progress.next),
    };
    let mut writes = Vec::new();
    match resolution {
        Resolution::Abandon => writes.push(reached.abandon_sql(tables)),
        Resolution::Retry => {
            in_doubt(row, progress)?;
            writes.push(reached.next_sql(tables, NextStatement::Retry));
        }
        Resolution::Done => {
            in_doubt(row, progress)?;
            writes.push(reached.progress_sql(tables));
            resolved.done += 1;
        }
    }
    let mut records = String::new();
    // Where nothing of it is left to do, it is recorded as a run would.
    if resolution == Resolution::Done && resolved.done >= resolved.total {
        let reached = Reached {
            done: resolved.done,
            next: Some(NextStatement::NotStarted),
            ..reached
        };
        let mut chain = Chain::of(rows);
        let finish = match (is_undo, migration) {
            (true, _) => {
                chain.remove(&row.id.key());
                records = history::unrecord_sql(tables, row.id.version);
                Some(history::undone_set(&bytea(chain.head())))
            }
            // What only refinery applied is added by the run that takes it over.
            (false, Some(migration)) => {
                records = history::refinery_sql(tables, migration);
                let chain = chain.record(row.id.key(), row.leaf);
                Some(history::finish_set(&bytea(chain)))
            }
            (false, None) => None,
        };
        resolved.finished = finish.is_some();
        writes.extend(finish.map(|finish| reached.update_sql(tables, &finish)));
    }
    let writes: Vec<_> = writes.iter().map(|w| history::or_fail_sql(w)).collect();
    Ok((resolved, format!("{}; {records}", writes.join("; "))))
}

/// The row that is meant, if it is unfinished.
fn unfinished<'r>(rows: &'r Rows, which: &str) -> Result<(&'r LedgerRow, &'r Progress), Error> {
    let found = rows.ledger.iter().rev().find_map(|row| {
        let progress = row.state.progress()?;
        row.id.is_called(which).then_some((row, progress))
    });
    found.ok_or_else(|| {
        let unfinished = rows.ledger.iter();
        let unfinished = unfinished.filter(|row| row.state.progress().is_some());
        Error::NotUnfinished {
            which: which.into(),
            unfinished: unfinished.map(|row| row.id.clone()).collect(),
        }
    })
}

/// A statement that was not begun is in no doubt.
fn in_doubt(row: &LedgerRow, progress: &Progress) -> Result<(), Error> {
    match progress.next {
        NextStatement::NotStarted => Err(Error::NotInDoubt {
            id: row.id.clone(),
            is_undo: matches!(row.state, RowState::Undoing(_)),
            statement: progress.done + 1,
        }),
        _ => Ok(()),
    }
}
