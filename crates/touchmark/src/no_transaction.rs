//! Carrying out a file without a transaction, statement by statement, so that an interrupted one
//! is taken up where it stopped.
//!
//! An intent row is committed first. A statement that may run in a transaction commits together
//! with its progress. Any other is marked, executed, and marked done; after an interruption the
//! database is asked whether it was carried out. Each of these messages looks whether the session
//! still holds the lock of the run, which a statement may give up.

mod evidence;
mod record;
mod statement;

use touchmark_core::encoded::EncodedScript;

use crate::Error;
use crate::event::Event;
use crate::failure::Left;
use crate::history::{self, Entry, Reached, Texts, Writer};
use crate::plan::Step;
use crate::rows::{LedgerRow, MigrationId, NextStatement, Progress};
use crate::run::Context;
use crate::session::Session;
use crate::sql::bytea;
use crate::transaction::{Part, Stop, with_retries};

pub(crate) use evidence::{invalid_index_sql, started_sql};
pub(crate) use statement::settings;

/// What is carried out, and the SQL of its records.
pub(crate) struct Task<'t> {
    pub id: &'t MigrationId,
    pub script: &'t EncodedScript<'t>,
    pub part: Part<'t>,
    /// What is recorded with the row that says that it is begun, each followed by a semicolon.
    pub with_begin: String,
    /// Makes that row, and ends in a condition.
    pub begin: String,
    /// What that row is set to when it is taken up again.
    pub resume: String,
    /// What that row is set to when all is done.
    pub finish: String,
    /// What is recorded with that, each followed by a semicolon.
    pub with_finish: String,
}

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
    let task = Task {
        id: &step.id,
        script: &migration.up,
        part: Part::Up,
        with_begin: String::new(),
        begin: history::intent_sql(context.tables, &entry),
        resume: history::resume_set(&entry),
        finish: history::finish_set(&bytea(step.chain)),
        with_finish: history::refinery_sql(context.tables, migration),
    };
    carry_out(session, context, &task, row)
}

/// Carries a task out, or takes it up again where `row` says that it stopped.
pub(crate) fn carry_out(
    session: &mut Session,
    context: &Context,
    task: &Task,
    row: Option<&LedgerRow>,
) -> Result<(), Stop> {
    let unfinished = row.and_then(|row| Some((row.row, row.state.progress()?)));
    // A statement that stands nowhere in the text would be recorded without being carried out.
    if task.script.spans.len() != task.script.statements.len() {
        return Err(Stop::Failed(Error::Server {
            doing: "carry out a text without a transaction",
            cause: "it is not known where its statements stand".into(),
            code: None,
        }));
    }
    let reached = match unfinished {
        Some((row, progress)) => {
            check_unedited(task, progress)?;
            Reached {
                row,
                done: progress.done,
                next: Some(progress.next),
            }
        }
        None => Reached {
            row: 0,
            done: 0,
            next: Some(NextStatement::NotStarted),
        },
    };
    let mut run = Run {
        context,
        task,
        was_interrupted: reached.next != Some(NextStatement::NotStarted),
        reached,
    };
    match unfinished {
        Some(_) => run.resume(session)?,
        None => run.begin(session)?,
    }
    let total = task.script.statements.len();
    while run.reached.done < total {
        if context.options.canceller.is_cancelled() {
            return Err(Stop::Failed(Error::Cancelled { at: None }));
        }
        with_retries(session, context, task.id, |session| run.statement(session))?;
        context.events.emit(Event::StatementDone {
            migration: task.id.clone(),
            number: run.reached.done,
            total,
        });
    }
    run.finish(session)
}

/// What was carried out must still be what the file says; what was not may have been mended.
fn check_unedited(task: &Task, progress: &Progress) -> Result<(), Stop> {
    // A statement that was begun and not heard of again counts: it may have been carried out.
    let settled = match progress.next {
        NextStatement::Started | NextStatement::StartedUnclean => progress.done + 1,
        _ => progress.done,
    };
    for (at, recorded) in progress.statements.iter().enumerate().take(settled) {
        let now = task.script.statements.get(at).map(|s| s.semantic);
        if now != Some(*recorded) {
            return Err(Stop::Failed(Error::UnfinishedEdited {
                id: task.id.clone(),
                statement: at + 1,
            }));
        }
    }
    Ok(())
}

/// One file that runs.
struct Run<'r, 'c> {
    context: &'r Context<'c>,
    task: &'r Task<'r>,
    /// What this session has read or written last.
    reached: Reached<i64>,
    /// Whether this run or an earlier one stopped in the middle of a statement.
    was_interrupted: bool,
}

impl Run<'_, '_> {
    /// Commits the intent row.
    fn begin(&mut self, session: &mut Session) -> Result<(), Stop> {
        let Task {
            with_begin, begin, ..
        } = self.task;
        let sql = format!("{with_begin}{}", self.or_fail(begin));
        let results = self.settle_or_stop(session, &sql)?;
        let row = results.last().and_then(|rows| rows.first());
        self.reached.row = row
            .and_then(|row| row.get(1)?.parse().ok())
            .ok_or_else(|| self.lost(Left::Statements(0)))?;
        Ok(())
    }

    fn resume(&self, session: &mut Session) -> Result<(), Stop> {
        let tables = self.context.tables;
        let update = self.reached.update_sql(tables, &self.task.resume);
        self.write_or_stop(session, &history::told_sql(tables, &update, Writer::Holder))
    }

    /// Records the whole file as done, in the ledger and in refinery's history.
    fn finish(&self, session: &mut Session) -> Result<(), Stop> {
        let Task {
            finish,
            with_finish,
            ..
        } = self.task;
        let update = self.reached.update_sql(self.context.tables, finish);
        let sql = format!("{}; {with_finish}", self.or_fail(&update));
        self.settle_or_stop(session, &sql).map(drop)
    }
}
