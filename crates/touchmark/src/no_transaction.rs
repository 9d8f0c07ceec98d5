//! Applying a migration without a transaction, statement by statement, so that an interrupted
//! one is taken up where it stopped.
//!
//! An intent row is committed first. A statement that may run in a transaction commits together
//! with its progress. Any other is marked, executed, and marked done; after an interruption the
//! database is asked whether it was carried out.

use std::time::Duration;

use tokio_postgres::SimpleQueryRow;
use touchmark_core::StatementKind;
use touchmark_core::encoded::EncodedMigration;

use crate::cancel::CancelAt;
use crate::event::Event;
use crate::failure::{Failure, Left, Place, ServerError};
use crate::history::{self, Entry};
use crate::plan::Step;
use crate::rows::{LedgerRow, NextStatement, Progress, RowState};
use crate::run::Context;
use crate::session::{Session, Watch, deepest};
use crate::sql::{ident, literal};
use crate::transaction::{Body, Stop, message, send, stopped, with_retries};
use crate::{Error, failed_to};

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
    };
    let progress = match row.map(|row| &row.state) {
        Some(RowState::Running(progress)) => Some(progress.clone()),
        _ => None,
    };
    let (row, mut progress) = match (row, progress) {
        (Some(row), Some(progress)) => {
            check_unedited(step, migration, &progress)?;
            record(
                session,
                context,
                &history::resume_sql(context.tables, &entry, row.row),
            )?;
            (row.row, progress)
        }
        _ => (begin(session, context, &entry)?, Progress::fresh()),
    };
    let run = Run {
        context,
        step,
        migration,
        row,
    };
    let total = migration.up.statements.len();
    while progress.done < total {
        run.statement(session, &progress)?;
        progress = Progress {
            done: progress.done + 1,
            ..Progress::fresh()
        };
        context.events.emit(Event::StatementDone {
            migration: step.id.clone(),
            number: progress.done,
            total,
        });
    }
    run.finish(session)
}

impl Progress {
    fn fresh() -> Progress {
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
fn begin(session: &mut Session, context: &Context, entry: &Entry) -> Result<i64, Stop> {
    let results = record(
        session,
        context,
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

/// Runs a statement of the bookkeeping; gives its rows.
fn record(
    session: &mut Session,
    context: &Context,
    sql: &str,
) -> Result<Vec<SimpleQueryRow>, Stop> {
    match session.query(sql) {
        Ok(results) => Ok(results.into_iter().next_back().unwrap_or_default()),
        Err(error) if error.source.as_db_error().is_none() => Err(Stop::Lost {
            cause: deepest(&error.source),
        }),
        Err(error) => {
            Err(history::explain(error, session, context.tables, "record a migration").into())
        }
    }
}

/// One migration that runs.
struct Run<'r, 'c> {
    context: &'r Context<'c>,
    step: &'r Step,
    migration: &'r EncodedMigration<'c>,
    row: i64,
}

/// What the database tells of a statement that was interrupted.
enum Evidence {
    Done,
    NotDone,
    /// Not done, and this statement removes what is left of it.
    Clean(String),
    Unclear(String),
}

impl Run<'_, '_> {
    /// Carries out the next statement.
    fn statement(&self, session: &mut Session, progress: &Progress) -> Result<(), Stop> {
        let at = progress.done;
        let kind = &self.migration.up.statements[at].kind;
        if *kind == StatementKind::Transactional {
            return self.in_transaction(session, at);
        }
        match (progress.next, self.evidence(session, kind, progress.next)?) {
            (NextStatement::Started, Evidence::Done) => {
                return self.done(session, at);
            }
            (NextStatement::Started, Evidence::Unclear(evidence)) => {
                return Err(Stop::Failed(Error::Unresolved {
                    id: self.step.id.clone(),
                    statement: at + 1,
                    evidence,
                }));
            }
            (NextStatement::NotStarted, _) => {}
            (_, Evidence::Clean(sql)) => {
                self.bare(session, at, &sql)?;
            }
            _ => {}
        }
        let tables = self.context.tables;
        record(
            session,
            self.context,
            &history::next_sql(tables, self.row, "started"),
        )?;
        let (text, _) = self.body(at).text();
        self.bare(session, at, text)?;
        self.done(session, at)
    }

    fn body(&self, at: usize) -> Body<'_> {
        Body {
            script: &self.migration.up,
            first: at,
            count: 1,
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

    /// A statement outside of any transaction, with the settings of the file.
    fn bare(&self, session: &mut Session, at: usize, sql: &str) -> Result<(), Stop> {
        let directives = &self.migration.up.directives;
        // Such a statement waits for others without holding them up, so it waits without end
        // where the file does not say otherwise.
        let lock_timeout = directives.lock_timeout.unwrap_or(Duration::ZERO);
        let statement_timeout = directives.statement_timeout.unwrap_or(Duration::ZERO);
        let settings = format!(
            "SET lock_timeout = {}; SET statement_timeout = {}",
            lock_timeout.as_millis(),
            statement_timeout.as_millis()
        );
        record(session, self.context, &settings)?;
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
            return record(session, self.context, RESET).map(drop);
        };
        let Some(server) = error.source.as_db_error() else {
            return Err(Stop::Lost {
                cause: deepest(&error.source),
            });
        };
        let failed = history::next_sql(self.context.tables, self.row, "failed");
        record(session, self.context, &format!("{RESET}; {failed}"))?;
        if error.cancelled && server.code().code() == "57014" {
            return Err(Stop::Failed(Error::Cancelled { at: None }));
        }
        let script = &self.migration.up;
        let failure = Failure {
            id: id.clone(),
            file: self.context.file(id, script),
            place: Some(Place::of(script.sql, script.statements[at].start)),
            statement: Some(at + 1),
            server: ServerError::of(server),
            state: Left::Statements(at),
        };
        Err(Stop::Failed(Error::Failed(Box::new(failure))))
    }

    fn done(&self, session: &mut Session, at: usize) -> Result<(), Stop> {
        let sql = history::progress_sql(self.context.tables, self.row, at + 1);
        record(session, self.context, &sql).map(drop)
    }

    /// Records the whole migration as applied, in the ledger and in refinery's history.
    fn finish(&self, session: &mut Session) -> Result<(), Stop> {
        let tables = self.context.tables;
        let finish = history::finish_sql(tables, self.row, self.step.chain);
        let refinery = history::refinery_sql(tables, self.migration);
        let sql = format!("BEGIN; {refinery}{finish}; COMMIT");
        match record(session, self.context, &sql) {
            Ok(_) => Ok(()),
            Err(stop) => {
                session
                    .query("ROLLBACK")
                    .map_err(|e| failed_to("roll back", e))?;
                Err(stop)
            }
        }
    }

    /// Asks the database whether a statement was carried out.
    fn evidence(
        &self,
        session: &mut Session,
        kind: &StatementKind,
        next: NextStatement,
    ) -> Result<Evidence, Stop> {
        if next == NextStatement::NotStarted {
            return Ok(Evidence::NotDone);
        }
        match kind {
            StatementKind::CreateIndexConcurrently {
                schema,
                table,
                index,
            } => {
                let of = qualified(schema.as_deref(), table);
                let sql = format!(
                    "SELECT i.indisvalid AND i.indisready, pg_catalog.format('%I.%I', n.nspname, c.relname), \
                     i.indrelid = pg_catalog.to_regclass({of}) \
                     FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
                     JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid WHERE c.relname = {} AND c.relnamespace = \
                     (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({of}))",
                    literal(index),
                    of = literal(&of),
                );
                let rows = record(session, self.context, &sql)?;
                Ok(
                    match rows.first().map(|row| (row.get(0), row.get(1), row.get(2))) {
                        None => Evidence::NotDone,
                        Some((Some("t"), _, Some("t"))) => Evidence::Done,
                        Some((_, Some(index), Some("t"))) => {
                            Evidence::Clean(format!("DROP INDEX CONCURRENTLY {index}"))
                        }
                        Some((_, index, _)) => Evidence::Unclear(format!(
                            "there is an index {} on another table",
                            index.unwrap_or_default()
                        )),
                    },
                )
            }
            StatementKind::DropIndexConcurrently { schema, index } => {
                let index = literal(&qualified(schema.as_deref(), index));
                let sql = format!("SELECT pg_catalog.to_regclass({index}) IS NULL");
                let rows = record(session, self.context, &sql)?;
                Ok(match rows.first().and_then(|row| row.get(0)) {
                    Some("t") => Evidence::Done,
                    _ => Evidence::NotDone,
                })
            }
            StatementKind::Transactional | StatementKind::Rerunnable => Ok(Evidence::NotDone),
            // The server said that it failed, so it was not carried out.
            StatementKind::Opaque if next == NextStatement::Failed => Ok(Evidence::NotDone),
            StatementKind::Opaque => Ok(Evidence::Unclear(
                "the connection was lost while it ran".into(),
            )),
        }
    }
}

const RESET: &str = "RESET ALL; SET standard_conforming_strings = on";

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", ident(schema), ident(name)),
        None => ident(name),
    }
}

/// The statements before a failed one stay.
fn with_statements(stop: Stop, done: usize) -> Stop {
    let mend = |error: Error| match error {
        Error::Failed(mut failure) => {
            if let Left::RolledBack(_) = failure.state {
                failure.state = Left::Statements(done);
            }
            Error::Failed(failure)
        }
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
