//! Applying a migration without a transaction, statement by statement, so that an interrupted
//! one is taken up where it stopped.
//!
//! An intent row is committed first. A statement that may run in a transaction commits together
//! with its progress. Any other is marked, executed, and marked done; after an interruption the
//! database is asked whether it was carried out.

mod evidence;

use std::time::Duration;

use tokio_postgres::SimpleQueryRow;
use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Directives, StatementKind};

use crate::cancel::CancelAt;
use crate::event::Event;
use crate::failure::{Failure, Left, Place, ServerError};
use crate::history::{self, Entry, Texts};
use crate::plan::Step;
use crate::rows::{LedgerRow, NextStatement, Progress, RowState};
use crate::run::Context;
use crate::session::{RESET, Session, Watch};
use crate::sql::bytea;
use crate::transaction::{
    Body, Part, Stop, bookkeeping, message, send, still_there, stopped, with_retries,
};
use crate::{Error, failed_to};
use evidence::{Evidence, evidence};

pub(crate) use evidence::{in_the_way_sql, invalid_index_sql};

/// Applies the migration, or takes it up again where `row` says that it stopped.
pub(crate) fn apply(
    session: &mut Session,
    context: &Context,
    step: &Step,
    row: Option<&LedgerRow>,
) -> Result<(), Stop> {
    let migration = &context.set[step.position];
    let entry = Entry {
        migration,
        build: context.build,
        texts: Texts::Literals,
    };
    let progress = match row.map(|row| &row.state) {
        Some(RowState::Running(progress)) => Some(progress.clone()),
        _ => None,
    };
    let (row, progress) = match (row, progress) {
        (Some(row), Some(progress)) => {
            check_unedited(step, migration, &progress)?;
            let resume = history::resume_sql(context.tables, &entry, row.row);
            record(session, context, step, &resume)?;
            (row.row, progress)
        }
        _ => (begin(session, context, step, &entry)?, Progress::none()),
    };
    let run = Run {
        context,
        step,
        migration,
        row,
        was_interrupted: progress.next != NextStatement::NotStarted,
    };
    let mut next = progress.next;
    let total = migration.up.statements.len();
    for at in progress.done..total {
        if context.options.canceller.is_cancelled() {
            return Err(Stop::Failed(Error::Cancelled { at: None }));
        }
        run.statement(session, at, next)?;
        next = NextStatement::NotStarted;
        context.events.emit(Event::StatementDone {
            migration: step.id.clone(),
            number: at + 1,
            total,
        });
    }
    run.finish(session)
}

impl Progress {
    fn none() -> Progress {
        Progress {
            done: 0,
            next: NextStatement::NotStarted,
            statements: Vec::new(),
        }
    }
}

/// What was carried out must still be what the file says; what was not may have been mended.
fn check_unedited(
    step: &Step,
    migration: &EncodedMigration,
    progress: &Progress,
) -> Result<(), Stop> {
    // A statement that was begun and not heard of again counts: it may have been carried out.
    let settled = match progress.next {
        NextStatement::Started => progress.done + 1,
        _ => progress.done,
    };
    for (at, recorded) in progress.statements.iter().enumerate().take(settled) {
        let now = migration.up.statements.get(at).map(|s| s.semantic);
        if now != Some(*recorded) {
            return Err(Stop::Failed(Error::UnfinishedEdited {
                id: step.id.clone(),
                statement: at + 1,
            }));
        }
    }
    Ok(())
}

/// Commits the intent row; gives its number.
fn begin(
    session: &mut Session,
    context: &Context,
    step: &Step,
    entry: &Entry,
) -> Result<i64, Stop> {
    let results = record(
        session,
        context,
        step,
        &history::intent_sql(context.tables, entry),
    )?;
    let row = results
        .first()
        .and_then(|row| row.get(0))
        .and_then(|id| id.parse().ok());
    row.ok_or_else(|| {
        Stop::Failed(Error::Server {
            doing: "record the beginning of a migration",
            cause: "the server gave no row number".into(),
            code: None,
        })
    })
}

/// Runs statements of the bookkeeping; gives the rows of the last one.
fn record(
    session: &mut Session,
    context: &Context,
    step: &Step,
    sql: &str,
) -> Result<Vec<SimpleQueryRow>, Stop> {
    let error = match session.settle(sql) {
        Ok(results) => return Ok(results.into_iter().next_back().unwrap_or_default()),
        Err(error) => error,
    };
    let server = still_there(&error.source)?;
    Err(Stop::Failed(
        match bookkeeping(server, session, context.tables, &step.id, RECORD) {
            Some(known) => known,
            None => history::explain(error, session, context.tables, RECORD),
        },
    ))
}

/// One migration that runs.
struct Run<'r, 'c> {
    context: &'r Context<'c>,
    step: &'r Step,
    migration: &'r EncodedMigration<'c>,
    row: i64,
    /// Whether an earlier run stopped in the middle of a statement.
    was_interrupted: bool,
}

impl Run<'_, '_> {
    /// Carries out a statement.
    fn statement(&self, session: &mut Session, at: usize, next: NextStatement) -> Result<(), Stop> {
        let kind = &self.migration.up.statements[at].kind;
        if *kind == StatementKind::Transactional {
            return self.in_transaction(session, at);
        }
        let (text, _) = self.body(at).text();
        let look = |sql: &str| self.look(session, sql);
        match evidence(kind, next, self.was_interrupted, look)? {
            Evidence::Done => return self.done(session, at),
            Evidence::Unclear(evidence) => {
                return Err(Stop::Failed(Error::Unresolved {
                    id: self.step.id.clone(),
                    statement: at + 1,
                    evidence,
                }));
            }
            // Not marked: what is there already would be taken for its work.
            Evidence::InTheWay => self.bare(session, at, text, None)?,
            Evidence::NotDone { clean } => {
                self.mark(session, "started")?;
                if let Some(clean) = clean {
                    self.bare(session, at, &clean, Some(kind))?;
                }
                self.bare(session, at, text, Some(kind))?;
            }
        }
        self.done(session, at)
    }

    fn body(&self, at: usize) -> Body<'_> {
        Body {
            script: &self.migration.up,
            first: at,
            count: 1,
            part: Part::Up,
        }
    }

    /// A statement that may run in a transaction, together with its progress.
    fn in_transaction(&self, session: &mut Session, at: usize) -> Result<(), Stop> {
        let progress = history::progress_sql(self.context.tables, self.row, at + 1);
        let body = self.body(at);
        let id = &self.step.id;
        let message = message(self.context, id, body, &progress);
        with_retries(session, self.context, id, |session| {
            match send(session, self.context, id, &message) {
                Ok(_) => Ok(()),
                Err(error) => {
                    let stop = stopped(error, session, self.context, id, &body, None);
                    Err(with_statements(stop, at))
                }
            }
        })
    }

    /// A statement outside of any transaction, with the settings of the file. `marked` is its
    /// kind, where it is marked as started.
    fn bare(
        &self,
        session: &mut Session,
        at: usize,
        sql: &str,
        marked: Option<&StatementKind>,
    ) -> Result<(), Stop> {
        let settings = settings(&self.migration.up.directives);
        record(session, self.context, self.step, &settings)?;
        self.enter_schema(session)?;
        let id = &self.step.id;
        let blocked = |by| Event::Blocked {
            migration: id.clone(),
            by,
        };
        let watch = Watch {
            cancel_at: CancelAt::Second,
            look_after: Some((self.context.options.lock_timeout, &blocked)),
        };
        let outcome = session.batch(sql, watch);
        let Err(error) = outcome else {
            return record(session, self.context, self.step, RESET).map(drop);
        };
        let server = still_there(&error.source)?;
        record(session, self.context, self.step, RESET)?;
        if marked.is_some() {
            self.mark(session, "failed")?;
        }
        if server.code().code() == "57014" && self.context.options.canceller.is_cancelled() {
            return Err(Stop::Failed(Error::Cancelled { at: None }));
        }
        let script = &self.migration.up;
        let failure = Failure {
            id: id.clone(),
            is_undo: false,
            file: self.context.file(id),
            place: Some(Place::of(script.sql, script.statements[at].start)),
            statement: Some(at + 1),
            server: ServerError::of(server),
            state: match marked {
                Some(StatementKind::Committing) => Left::StatementsAndPart(at),
                _ => Left::Statements(at),
            },
        };
        Err(Stop::Failed(Error::Failed(Box::new(failure))))
    }

    /// Looks at what the statement names, with the names meaning what they mean to it.
    fn look(&self, session: &mut Session, sql: &str) -> Result<Vec<SimpleQueryRow>, Stop> {
        self.enter_schema(session)?;
        let rows = record(session, self.context, self.step, sql)?;
        if self.context.tables.search_path.is_some() {
            record(session, self.context, self.step, RESET)?;
        }
        Ok(rows)
    }

    fn enter_schema(&self, session: &mut Session) -> Result<(), Stop> {
        let Some(path) = &self.context.tables.search_path else {
            return Ok(());
        };
        let sql = format!("SET search_path = {}; {}", path.value(), path.guard());
        match session.settle(&sql) {
            Ok(_) => Ok(()),
            Err(error) => match still_there(&error.source)?.code().code() {
                "22012" => Err(Stop::Failed(path.refused(session))),
                _ => Err(Stop::Failed(failed_to("set the search path", error))),
            },
        }
    }

    /// Records what is known of the next statement.
    fn mark(&self, session: &mut Session, next: &str) -> Result<(), Stop> {
        let sql = history::next_sql(self.context.tables, self.row, next);
        record(session, self.context, self.step, &sql).map(drop)
    }

    fn done(&self, session: &mut Session, at: usize) -> Result<(), Stop> {
        let sql = history::progress_sql(self.context.tables, self.row, at + 1);
        record(session, self.context, self.step, &sql).map(drop)
    }

    /// Records the whole migration as applied, in the ledger and in refinery's history.
    fn finish(&self, session: &mut Session) -> Result<(), Stop> {
        let tables = self.context.tables;
        let finish = history::finish_sql(tables, self.row, &bytea(self.step.chain));
        let refinery = history::refinery_sql(tables, self.migration);
        let sql = format!("BEGIN; {refinery}{finish}; COMMIT");
        let outcome = record(session, self.context, self.step, &sql);
        if outcome.is_err() {
            // Its own failure would hide the cause.
            let _ = session.settle("ROLLBACK");
        }
        outcome.map(drop)
    }
}

const RECORD: &str = "record a migration";

/// What a statement outside of any transaction runs with.
pub(crate) fn settings(directives: &Directives) -> String {
    // Such a statement waits for others without holding them up, so it waits without end where the
    // file does not say otherwise.
    let lock_timeout = directives.lock_timeout.unwrap_or(Duration::ZERO);
    let statement_timeout = directives.statement_timeout.unwrap_or(Duration::ZERO);
    format!(
        "SET lock_timeout = {}; SET statement_timeout = {}",
        lock_timeout.as_millis(),
        statement_timeout.as_millis()
    )
}

/// The statements before a failed or cancelled one stay.
fn with_statements(stop: Stop, done: usize) -> Stop {
    let mend = |error: Error| match error {
        Error::Failed(mut failure) => {
            if let Left::RolledBack(_) = failure.state {
                failure.state = Left::Statements(done);
            }
            Error::Failed(failure)
        }
        Error::Cancelled { .. } => Error::Cancelled { at: None },
        other => other,
    };
    match stop {
        Stop::Failed(error) => Stop::Failed(mend(error)),
        Stop::Again {
            cause,
            blocked_by,
            error,
        } => Stop::Again {
            cause,
            blocked_by,
            error: Box::new(mend(*error)),
        },
        lost => lost,
    }
}
