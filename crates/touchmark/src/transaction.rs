//! Applying one migration in one transaction and one message: its SQL exactly as it was hashed,
//! and both rows.

use std::fmt;
use std::time::{Duration, Instant};

use refinery_core::traits::sync::{Transaction, migrate};
use tokio_postgres::error::{DbError, ErrorPosition};
use touchmark_core::Kind;
use touchmark_core::encoded::{EncodedMigration, EncodedScript};

use crate::Error;
use crate::backoff::Backoff;
use crate::cancel::CancelAt;
use crate::event::{Activity, Event};
use crate::failure::{Failure, Left, Place, ServerError};
use crate::history::{self, Entry, Tables};
use crate::lock::{Scope, holds};
use crate::plan::Step;
use crate::rows::MigrationId;
use crate::run::Context;
use crate::session::{BatchError, Results, Session, Watch, deepest};

/// Why a migration stopped.
pub(crate) enum Stop {
    /// The connection is gone, and whether the migration was committed is not known.
    Lost { cause: String },
    /// It was rolled back because of others, and may be tried again.
    Again {
        cause: String,
        blocked_by: Vec<Activity>,
        error: Box<Error>,
    },
    /// It failed.
    Failed(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Failed(error)
    }
}

/// Applies a migration once.
pub(crate) fn apply_once(
    session: &mut Session,
    context: &Context,
    step: &Step,
    newest: Option<&MigrationId>,
) -> Result<(), Stop> {
    let migration = &context.set[step.position];
    let entry = Entry {
        migration,
        build: context.build,
    };
    let ledger = history::insert_sql(context.tables, &entry, step.chain);
    let body = Body::of_script(&migration.up);
    let mut envelope = Envelope {
        session,
        context,
        id: &step.id,
        body,
        ledger,
        outcome: None,
    };
    if migration.kind == Kind::Repeatable {
        envelope.send(None);
    } else {
        through_refinery(&mut envelope, migration)?;
    }
    match envelope.outcome {
        Some(Err(error)) => Err(stopped(error, session, context, &step.id, &body, newest)),
        _ => Ok(()),
    }
}

/// Applies a migration, and again when others stood in its way.
pub(crate) fn apply(
    session: &mut Session,
    context: &Context,
    step: &Step,
    newest: Option<&MigrationId>,
) -> Result<(), Stop> {
    // Behind a pooler the lock has gone with the transaction, so that the caller must take it
    // and plan again.
    if context.scope == Scope::Transaction {
        return apply_once(session, context, step, newest);
    }
    with_retries(session, context, &step.id, |session| {
        apply_once(session, context, step, newest)
    })
}

/// Tries something again, with growing pauses, while others stand in its way.
pub(crate) fn with_retries(
    session: &mut Session,
    context: &Context,
    id: &MigrationId,
    mut attempt: impl FnMut(&mut Session) -> Result<(), Stop>,
) -> Result<(), Stop> {
    let mut retries = Retries::new();
    loop {
        match attempt(session) {
            Err(stop) => retries.pause(session, context, id, stop)?,
            Ok(()) => return Ok(()),
        }
    }
}

/// The attempts of one migration.
pub(crate) struct Retries {
    begun: Instant,
    backoff: Backoff,
}

impl Retries {
    pub(crate) fn new() -> Retries {
        Retries {
            begun: Instant::now(),
            backoff: Backoff::new(),
        }
    }

    /// Waits before the next attempt. What stopped the last one comes back where it is no reason
    /// for another.
    pub(crate) fn pause(
        &mut self,
        session: &Session,
        context: &Context,
        id: &MigrationId,
        stop: Stop,
    ) -> Result<(), Stop> {
        let Stop::Again {
            cause,
            blocked_by,
            error,
        } = stop
        else {
            return Err(stop);
        };
        if self.begun.elapsed() >= context.options.retry {
            return Err(Stop::Failed(*error));
        }
        let after = self.backoff.next();
        context.events.emit(Event::Retrying {
            migration: id.clone(),
            cause,
            blocked_by,
            after,
        });
        Ok(session.pause(after)?)
    }
}

/// Hands the migration to refinery, which writes its own row and gives both to
/// [`Transaction::execute`] below.
fn through_refinery(envelope: &mut Envelope, migration: &EncodedMigration) -> Result<(), Stop> {
    let name = migration.to_string();
    let table = envelope.context.tables.refinery.clone();
    let unapplied = refinery_core::Migration::unapplied(&name, migration.up.sql)
        .map_err(|e| refused(e.to_string()))?;
    let target = refinery_core::Target::Latest;
    match migrate(envelope, vec![unapplied], target, &table, true) {
        Ok(_) => Ok(()),
        // The cause is in the envelope, with everything that the server said.
        Err(_) if envelope.outcome.is_some() => Ok(()),
        Err(e) => Err(refused(e.to_string())),
    }
}

fn refused(cause: String) -> Stop {
    Stop::Failed(Error::Server {
        doing: "hand a migration to refinery",
        cause,
        code: None,
    })
}

/// The file's statements inside a message.
#[derive(Clone, Copy)]
pub(crate) struct Body<'b> {
    pub script: &'b EncodedScript<'b>,
    /// The first statement that is sent.
    pub first: usize,
    /// How many are sent.
    pub count: usize,
}

impl<'b> Body<'b> {
    pub(crate) fn of_script(script: &'b EncodedScript<'b>) -> Body<'b> {
        Body {
            script,
            first: 0,
            count: script.statements.len(),
        }
    }

    /// What is sent, and where in the file it begins. The whole file goes as it was hashed, the
    /// comments too.
    pub(crate) fn text(&self) -> (&'b str, usize) {
        let sql = self.script.sql;
        if self.count == self.script.statements.len() {
            return (sql, 0);
        }
        match self.script.statements.get(self.first) {
            Some(statement) => (&sql[statement.start..statement.end], statement.start),
            None => ("", sql.len()),
        }
    }
}

/// Sends a migration as one message. refinery's trait gives the SQL and refinery's row.
struct Envelope<'e, 's, 'c> {
    session: &'e mut Session<'s>,
    context: &'e Context<'c>,
    id: &'e MigrationId,
    body: Body<'e>,
    ledger: String,
    outcome: Option<Result<Results, BatchError>>,
}

/// What refinery is told of an error; the error itself stays in the envelope.
#[derive(Debug)]
struct Unsent;

impl fmt::Display for Unsent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the migration failed")
    }
}

impl std::error::Error for Unsent {}

impl Transaction for Envelope<'_, '_, '_> {
    type Error = Unsent;

    fn execute<'q, T: Iterator<Item = &'q str>>(&mut self, queries: T) -> Result<usize, Unsent> {
        // The first is the file's text, which is sent as it was hashed; the second is the row.
        let row: Vec<&str> = queries.skip(1).collect();
        self.send(Some(&row.join(";\n")));
        match &self.outcome {
            Some(Ok(_)) => Ok(2),
            _ => Err(Unsent),
        }
    }
}

impl Envelope<'_, '_, '_> {
    fn send(&mut self, refinery_row: Option<&str>) {
        let mut rows = String::new();
        if let Some(row) = refinery_row {
            rows += row;
            rows += ";\n";
        }
        rows += &self.ledger;
        let message = message(self.context, self.id, self.body, &rows);
        self.outcome = Some(send(self.session, self.context, self.id, &message));
    }
}

/// Sends the message of a transactional migration or statement.
pub(crate) fn send(
    session: &mut Session,
    context: &Context,
    id: &MigrationId,
    message: &str,
) -> Result<Results, BatchError> {
    let blocked = |by: Vec<Activity>| Event::Blocked {
        migration: id.clone(),
        by,
    };
    let watch = Watch {
        cancel_at: CancelAt::First,
        look_after: Some((context.options.lock_timeout / 2, &blocked)),
    };
    session.batch(message, watch)
}

/// Everything before the file's text. It begins with the migration's name, which is what others
/// see of it in `pg_stat_activity`.
fn prefix(context: &Context, id: &MigrationId, script: &EncodedScript) -> (String, usize) {
    let lock_timeout = script
        .directives
        .lock_timeout
        .unwrap_or(context.options.lock_timeout);
    let statement_timeout = script
        .directives
        .statement_timeout
        .unwrap_or(Duration::ZERO);
    let mut statements = match context.scope {
        Scope::Session => vec!["BEGIN".to_owned()],
        // The statement that took the lock has begun the transaction.
        Scope::Transaction => Vec::new(),
    };
    statements.extend([
        format!("SET LOCAL lock_timeout = {}", lock_timeout.as_millis()),
        format!(
            "SET LOCAL statement_timeout = {}",
            statement_timeout.as_millis()
        ),
        "SET LOCAL idle_in_transaction_session_timeout = 0".into(),
        // Servers before 17 do not know it.
        "SELECT CASE WHEN current_setting('transaction_timeout', true) <> '0' \
         THEN set_config('transaction_timeout', '0', true) END"
            .into(),
        format!(
            "SELECT pg_catalog.pg_advisory_xact_lock({})",
            context.tables.keys.transaction
        ),
    ]);
    let count = statements.len();
    (format!("/* {id} */ {};\n", statements.join("; ")), count)
}

/// Puts back what a migration may have changed for its session, so that the rows are written
/// where they belong and the next migration starts clean. Locks are left alone.
const CLEAN: [&str; 9] = [
    "SET CONSTRAINTS ALL IMMEDIATE",
    "RESET SESSION AUTHORIZATION",
    "RESET ROLE",
    "RESET ALL",
    "CLOSE ALL",
    "UNLISTEN *",
    "DEALLOCATE ALL",
    "DISCARD TEMP",
    "DISCARD SEQUENCES",
];

/// The whole message: one round trip.
pub(crate) fn message(context: &Context, id: &MigrationId, body: Body, rows: &str) -> String {
    let (prefix, _) = prefix(context, id, body.script);
    let keys = context.tables.keys;
    // A division by zero stops the message where the transaction or the lock is not the one that
    // the message began with.
    let check = format!("SELECT 1 / {}::int", holds(&[keys.transaction, keys.run]));
    // The text may end in a comment, and needs no semicolon at its end.
    format!(
        "{prefix}{}\n;\n{check};\n{};\nSET {}standard_conforming_strings = on;\n{rows};\nCOMMIT",
        body.text().0,
        CLEAN.join("; "),
        match context.scope {
            Scope::Session => "",
            Scope::Transaction => "LOCAL ",
        },
    )
}

/// What a failed message means.
pub(crate) fn stopped(
    error: BatchError,
    session: &mut Session,
    context: &Context,
    id: &MigrationId,
    body: &Body,
    newest: Option<&MigrationId>,
) -> Stop {
    let BatchError {
        done,
        source,
        cancelled,
        blocked_by,
    } = error;
    let server = match still_there(&source) {
        Ok(server) => server,
        Err(stop) => return stop,
    };
    let rolled_back = session.settle("ROLLBACK").is_ok();
    let cancelled = cancelled || context.options.canceller.is_cancelled();
    if cancelled && server.code().code() == "57014" {
        return Stop::Failed(Error::Cancelled {
            at: Some(id.clone()),
        });
    }
    if !rolled_back {
        return Stop::Lost {
            cause: server.message().into(),
        };
    }
    let (prefix_text, prefix_count) = prefix(context, id, body.script);
    let found = locate(server, done.len(), &prefix_text, prefix_count, body);
    let is_check = found.after == Some(0);
    if is_check && server.code().code() == "22012" {
        return Stop::Failed(lost_transaction(session, context, id, body, server));
    }
    if found.after.is_some_and(|after| after > CLEAN.len())
        && let Some(error) = bookkeeping(server, session, context.tables, id)
    {
        return Stop::Failed(error);
    }
    let failure = Failure {
        id: id.clone(),
        file: context.file(id, body.script),
        place: found.place,
        statement: found.statement.map(|at| at + 1),
        server: ServerError::of(server),
        state: Left::RolledBack(newest.cloned()),
    };
    let error = Error::Failed(Box::new(failure));
    // lock_not_available, deadlock_detected, serialization_failure: others were in the way.
    match server.code().code() {
        "55P03" | "40P01" | "40001" => Stop::Again {
            cause: server.message().into(),
            blocked_by,
            error: Box::new(error),
        },
        _ => Stop::Failed(error),
    }
}

/// What the server said, where the session is still there to say more.
pub(crate) fn still_there(error: &tokio_postgres::Error) -> Result<&DbError, Stop> {
    let Some(server) = error.as_db_error() else {
        let cause = deepest(error);
        return Err(match error.is_closed() || is_io(error) {
            true => Stop::Lost { cause },
            false => Stop::Failed(Error::ConnectionLost { cause }),
        });
    };
    let cause = server.message().to_owned();
    match server.code().code() {
        // Somebody has ended the session on purpose: going on would work against them.
        "57P01" => Err(Stop::Failed(Error::ConnectionLost { cause })),
        "57P02" | "57P03" => Err(Stop::Lost { cause }),
        _ => Ok(server),
    }
}

fn is_io(error: &tokio_postgres::Error) -> bool {
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        if error.is::<std::io::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The check after the file's text failed: its transaction was ended, or its lock is gone.
fn lost_transaction(
    session: &mut Session,
    context: &Context,
    id: &MigrationId,
    body: &Body,
    server: &DbError,
) -> Error {
    let held = session
        .query(&format!("SELECT {}", holds(&[context.tables.keys.run])))
        .ok()
        .and_then(|results| Some(results.first()?.first()?.get(0)? == "t"));
    if held == Some(false) && context.scope == Scope::Session {
        return Error::LockLost { id: id.clone() };
    }
    let message = "the migration ended its transaction, so that it could not be recorded";
    Error::Failed(Box::new(Failure {
        id: id.clone(),
        file: context.file(id, body.script),
        place: None,
        statement: None,
        server: ServerError {
            message: message.into(),
            detail: None,
            hint: Some("take COMMIT and ROLLBACK out of the file".into()),
            context: None,
            code: server.code().code().into(),
        },
        state: Left::Unknown,
    }))
}

/// An error of writing the rows, where it has a message of its own.
pub(crate) fn bookkeeping(
    server: &DbError,
    session: &Session,
    tables: &Tables,
    id: &MigrationId,
) -> Option<Error> {
    match server.code().code() {
        "22003" => Some(Error::HistoryNarrow {
            table: tables.refinery.clone(),
            version: id.version,
        }),
        "42501" => Some(history::privilege(
            server,
            session,
            tables,
            "record a migration",
        )),
        _ => None,
    }
}

/// Where in a message an error is.
struct Found {
    /// The statement of the file, from 0.
    statement: Option<usize>,
    place: Option<Place>,
    /// How many of our own statements after the file's were done, where the error is in those.
    after: Option<usize>,
}

/// Finds the statement by the server's position, and where there is none, by how many statements
/// were done before it.
fn locate(server: &DbError, done: usize, prefix: &str, prefix_count: usize, body: &Body) -> Found {
    let (text, at) = body.text();
    let statements = &body.script.statements;
    let position = match server.position() {
        // The position counts characters of the message, from 1.
        Some(ErrorPosition::Original(position)) => (*position as usize).checked_sub(1),
        _ => None,
    };
    let offset = position
        .and_then(|position| position.checked_sub(prefix.chars().count()))
        .and_then(|chars| {
            let mut ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
            ends.nth(chars)
        });
    if let Some(offset) = offset {
        let offset = at + offset;
        return Found {
            statement: statements.iter().position(|s| offset <= s.end),
            place: Some(Place::of(body.script.sql, offset)),
            after: None,
        };
    }
    match done.checked_sub(prefix_count) {
        Some(done) if done < body.count => {
            let statement = body.first + done;
            Found {
                statement: Some(statement),
                place: statements
                    .get(statement)
                    .map(|s| Place::of(body.script.sql, s.start)),
                after: None,
            }
        }
        after => Found {
            statement: None,
            place: None,
            after: after.map(|done| done - body.count),
        },
    }
}
