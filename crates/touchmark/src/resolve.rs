//! Settling by hand what an interrupted migration without a transaction left open.

use tokio_postgres::Config;
use touchmark_core::encoded::EncodedMigration;

use crate::chain::Chain;
use crate::event::Events;
use crate::history::{self, Tables};
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
    /// How many of its statements are recorded as carried out now.
    pub done: usize,
    /// How many it has.
    pub total: usize,
    /// Whether it is recorded as applied now: nothing of it was left to do.
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
        match session.settle(&format!("BEGIN; {sql}; COMMIT")) {
            Ok(_) => Ok(resolved),
            Err(error) => {
                // Its own failure would hide the cause.
                let _ = session.settle("ROLLBACK");
                let doing = "record a migration";
                Err(Stop::Failed(history::explain(
                    error, session, tables, doing,
                )))
            }
        }
    })
}

/// What a connection that was lost has sent, where it was recorded. What is only to be tried again
/// is recorded once more.
fn recorded(rows: &Rows, (row, resolved): (i64, Resolved)) -> Option<Resolved> {
    let row = rows.ledger.iter().find(|found| found.row == row)?;
    let is_it = match &row.state {
        RowState::Running(progress) => {
            progress.next == NextStatement::NotStarted && progress.done == resolved.done
        }
        _ => true,
    };
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
            let migration = set
                .iter()
                .find(|m| MigrationId::of(m).key() == row.id.key())
                .filter(|m| resolved.done >= resolved.total && m.leaf == row.leaf);
            match migration {
                // Nothing of it is left to do, so it is recorded as a run would.
                Some(migration) => {
                    resolved.finished = true;
                    // What only refinery applied is added by the run that takes it over.
                    let chain = Chain::of(rows).record(row.id.key(), row.leaf);
                    let refinery = history::refinery_sql(tables, migration);
                    let finish = history::finish_sql(tables, row.row, &bytea(chain));
                    format!("{progress}; {refinery}{finish}")
                }
                None => progress,
            }
        }
    };
    Ok((resolved, sql))
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
