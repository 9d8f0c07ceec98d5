//! Carrying out one statement, and recording what is known of it.

use std::time::Duration;

use tokio_postgres::SimpleQueryRow;
use touchmark_core::{Directives, StatementKind};

use super::Run;
use super::evidence::{Evidence, evidence, partitioned_sql};
use super::record::Wrote;
use crate::cancel::CancelAt;
use crate::event::Event;
use crate::failure::{Failure, Left, Place, ServerError};
use crate::history::{self, Writer};
use crate::lock::Scope;
use crate::rows::NextStatement;
use crate::run::Context;
use crate::session::{BatchError, Session, Watch, settings as settings_of};
use crate::transaction::{CLEAN, Part, Stop, give_way, message, send, still_there, stopped};
use crate::{Error, failed_to};

impl<'r> Run<'r, '_> {
    /// Carries out the next statement, or tries to. May be called again where it stopped because
    /// of others.
    pub(super) fn statement(&mut self, session: &mut Session) -> Result<(), Stop> {
        let kind = self.kind();
        if *kind == StatementKind::Transactional {
            return self.in_transaction(session);
        }
        let next = self.next();
        let (text, _) = self.body().text();
        let look = |sql: &str| self.look(session, sql);
        match evidence(kind, next, self.was_interrupted, look)? {
            Evidence::Done => {
                let update = self.reached.progress_sql(self.context.tables);
                let sql = history::told_sql(self.context.tables, &update, Writer::Holder);
                self.write_or_stop(session, &sql)?;
                self.advance();
                Ok(())
            }
            Evidence::Unclear(evidence) => Err(Stop::Failed(Error::Unresolved {
                id: self.task.id.clone(),
                statement: self.reached.done + 1,
                evidence,
            })),
            // Not marked: what is there already would be taken for its work.
            Evidence::InTheWay => self.bare(session, text, next),
            Evidence::NotDone {
                clean,
                instead,
                mark,
            } => {
                for sql in clean {
                    self.outside(session, &sql, mark)?;
                    self.settle(session, &reset())?;
                }
                self.bare(session, instead.as_deref().unwrap_or(text), mark)
            }
        }
    }

    fn kind(&self) -> &'r StatementKind {
        &self.task.script.statements[self.reached.done].kind
    }

    fn next(&self) -> NextStatement {
        self.reached.next.unwrap_or(NextStatement::NotStarted)
    }

    fn advance(&mut self) {
        self.reached.done += 1;
        self.reached.next = Some(NextStatement::NotStarted);
    }

    /// A statement that may run in a transaction, together with its progress.
    fn in_transaction(&mut self, session: &mut Session) -> Result<(), Stop> {
        let progress = self.reached.progress_sql(self.context.tables);
        let body = self.body();
        let id = self.task.id;
        let message = message(self.context, id, body, &history::or_fail_sql(&progress));
        match send(session, self.context, id, &message) {
            Ok(_) => {
                self.advance();
                Ok(())
            }
            Err(error) => {
                let stop = stopped(error, session, self.context, id, &body, None);
                Err(with_statements(stop, self.reached.done))
            }
        }
    }

    /// The statement outside of any transaction, and the record that it is done.
    fn bare(&mut self, session: &mut Session, sql: &str, mark: NextStatement) -> Result<(), Stop> {
        self.outside(session, sql, mark)?;
        // The session has seen that it is done, so that is recorded even without the lock.
        let tables = self.context.tables;
        let progress = self.reached.progress_sql(tables);
        let told = history::told_sql(tables, &progress, Writer::Last);
        let wrote = self.write(session, &format!("{}; {told}", reset()))?;
        let done = self.reached.done;
        match wrote {
            Wrote { goes_on: true, .. } => {
                self.advance();
                Ok(())
            }
            Wrote { recorded: true, .. } => Err(self.lost(Left::Statements(done + 1))),
            _ => Err(self.lost(Left::Unrecorded(done + 1))),
        }
    }

    /// Runs something outside of any transaction, with the settings of the file. `mark` is what
    /// is recorded of the statement before.
    fn outside(
        &mut self,
        session: &mut Session,
        sql: &str,
        mark: NextStatement,
    ) -> Result<(), Stop> {
        let before = self.mark(session, mark)?;
        let options = &self.context.options;
        let id = self.task.id;
        let blocked = |by| Event::Blocked {
            migration: id.clone(),
            by,
        };
        let watch = Watch {
            cancel_at: CancelAt::Second,
            look_after: Some((options.lock_timeout / 2, &blocked)),
        };
        match session.batch(sql, watch) {
            Ok(_) => Ok(()),
            Err(error) => self.failed(session, error, before),
        }
    }

    /// Records that the statement is begun, and prepares the session for it. Gives the number of
    /// the transaction in which it did.
    fn mark(&mut self, session: &mut Session, mark: NextStatement) -> Result<Option<u64>, Stop> {
        let tables = self.context.tables;
        let update = self.reached.next_sql(tables, mark);
        let mut sql = history::told_sql(tables, &update, Writer::Holder);
        let directives = &self.task.script.directives;
        if let Some(path) = &tables.search_path {
            sql += &format!("; SET search_path = {}; {}", path.value(), path.guard());
        }
        for setting in settings(self.context, directives, self.kind()) {
            sql += "; ";
            sql += &setting;
        }
        sql += "; ";
        sql += TRANSACTION;
        let results = match session.settle(&sql) {
            Ok(results) => results,
            Err(error) => return Err(self.unprepared(session, error)),
        };
        if !Wrote::read(results.first()).goes_on {
            return Err(self.lost(Left::Statements(self.reached.done)));
        }
        self.reached.next = Some(mark);
        Ok(transaction(results.last()))
    }

    /// Why the session could not be prepared.
    fn unprepared(&self, session: &mut Session, error: BatchError) -> Stop {
        let is_guard = match still_there(&error.source) {
            Ok(server) => server.code().code() == "22012",
            Err(stop) => return stop,
        };
        match &self.context.tables.search_path {
            Some(path) if is_guard => Stop::Failed(path.refused(session)),
            _ => self.explained(session, error),
        }
    }

    /// Records that the statement failed, and says why.
    fn failed(
        &mut self,
        session: &mut Session,
        error: BatchError,
        before: Option<u64>,
    ) -> Result<(), Stop> {
        let BatchError {
            source, blocked_by, ..
        } = error;
        let server = still_there(&source)?;
        let results = self.settle(session, &format!("{}; {TRANSACTION}", reset()))?;
        // A block that commits begins transactions of its own. Without, there is one between
        // those two: the one that was rolled back.
        let after = transaction(results.last());
        let kind = self.kind();
        let has_part = *kind == StatementKind::Committing
            && !matches!((before, after), (Some(before), Some(after)) if before + 2 == after);
        let next = match self.next() {
            NextStatement::Started if *kind == StatementKind::Committing && !has_part => {
                NextStatement::NotStarted
            }
            NextStatement::Started => NextStatement::Failed,
            other => other,
        };
        let tables = self.context.tables;
        let update = self.reached.next_sql(tables, next);
        let told = history::told_sql(tables, &update, Writer::Last);
        let wrote = self.write(session, &told)?;
        self.reached.next = Some(next);
        self.was_interrupted |= next != NextStatement::NotStarted;
        let code = server.code().code();
        if code == "57014" && self.context.options.canceller.is_cancelled() {
            return Err(Stop::Failed(Error::Cancelled { at: None }));
        }
        let done = self.reached.done;
        let script = self.task.script;
        let left = match has_part {
            true => Left::StatementsAndPart(done),
            false => Left::Statements(done),
        };
        let failure = Failure {
            id: self.task.id.clone(),
            is_undo: matches!(self.task.part, Part::Down(_)),
            file: self.body().file(self.context, self.task.id),
            place: Some(Place::of(script.sql, script.statements[done].start)),
            statement: Some(done + 1),
            server: ServerError::of(server),
            state: left,
        };
        let failure = Error::Failed(Box::new(failure));
        Err(match wrote.goes_on && !has_part {
            true => give_way(server, blocked_by, failure),
            false => Stop::Failed(failure),
        })
    }

    /// Looks at what the statement names, with the names meaning what they mean to it.
    fn look(&self, session: &mut Session, sql: &str) -> Result<Vec<SimpleQueryRow>, Stop> {
        let Some(path) = &self.context.tables.search_path else {
            return Ok(self.settle(session, sql)?.pop().unwrap_or_default());
        };
        let sql = format!(
            "SET LOCAL search_path = {}; {}; {sql}",
            path.value(),
            path.guard()
        );
        match session.settle(&format!("BEGIN; {sql}; COMMIT")) {
            // The last result is that of COMMIT.
            Ok(mut results) => Ok(results
                .split_off(results.len().saturating_sub(2))
                .swap_remove(0)),
            Err(error) => {
                let is_guard = still_there(&error.source)?.code().code() == "22012";
                let _ = session.settle("ROLLBACK");
                Err(Stop::Failed(match is_guard {
                    true => path.refused(session),
                    false => failed_to("set the search path", error),
                }))
            }
        }
    }
}

/// The number of the session's transaction: one more for each.
const TRANSACTION: &str = "SELECT pg_catalog.split_part(virtualtransaction, '/', 2) FROM pg_catalog.pg_locks \
     WHERE pid = pg_catalog.pg_backend_pid() AND locktype = 'virtualxid' LIMIT 1";

fn transaction(rows: Option<&Vec<SimpleQueryRow>>) -> Option<u64> {
    rows?.first()?.get(0)?.parse().ok()
}

/// What a statement outside of any transaction runs with, where its names mean what they mean to
/// it.
pub(crate) fn settings(
    context: &Context,
    directives: &Directives,
    kind: &StatementKind,
) -> [String; 2] {
    let short = context.options.lock_timeout.as_millis();
    let lock_timeout = match (directives.lock_timeout, kind) {
        (Some(timeout), _) => format!("SET lock_timeout = {}", timeout.as_millis()),
        // The partitions of a table are locked as for writing first.
        (None, StatementKind::ReindexConcurrently(reindexed)) => format!(
            "SELECT pg_catalog.set_config('lock_timeout', CASE WHEN {} THEN '{short}' ELSE '0' END, false)",
            partitioned_sql(reindexed)
        ),
        // What holds nobody up while it waits may wait without end.
        (None, kind) if kind.queues_harmlessly() => "SET lock_timeout = 0".into(),
        (None, _) => format!("SET lock_timeout = {short}"),
    };
    let statement_timeout = directives.statement_timeout.unwrap_or(Duration::ZERO);
    let statement_timeout = format!("SET statement_timeout = {}", statement_timeout.as_millis());
    [lock_timeout, statement_timeout]
}

/// What takes the settings away, and what the statement may have changed for its session.
fn reset() -> String {
    // The first of them is about a transaction.
    format!("{}; {}", CLEAN[1..].join("; "), settings_of(Scope::Session))
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
        Error::LockLost { id, .. } => Error::LockLost {
            id,
            left: Left::Statements(done),
        },
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
