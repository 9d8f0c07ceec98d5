//! Why a migration stopped: what an error of its message means, and where in the file it is.

use tokio_postgres::SimpleQueryRow;
use tokio_postgres::error::{DbError, ErrorPosition};

use super::message::{Body, CLEAN, END, Part, prefix};
use crate::Error;
use crate::event::Activity;
use crate::failure::{Failure, Left, Place, ServerError};
use crate::history::{self, Tables};
use crate::lock::{Scope, holds};
use crate::rows::MigrationId;
use crate::run::Context;
use crate::session::{BatchError, Cause, Results, Session};

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

/// What a failed message means.
pub(crate) fn stopped(
    error: BatchError,
    session: &mut Session,
    context: &Context,
    id: &MigrationId,
    body: &Body,
    newest: Option<&MigrationId>,
) -> Stop {
    let before = prefix(context, id, body);
    stopped_behind(error, session, context, id, body, newest, &before)
}

/// The same of a message that begins with this text of ours, of so many statements.
pub(crate) fn stopped_behind(
    error: BatchError,
    session: &mut Session,
    context: &Context,
    id: &MigrationId,
    body: &Body,
    newest: Option<&MigrationId>,
    (prefix_text, prefix_count): &(String, usize),
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
    let found = locate(server, &done, prefix_text, *prefix_count, body);
    // The last statement before the text is the one that may divide by zero.
    if let Some(path) = &context.tables.search_path
        && found.statement.is_none()
        && found.after.is_none()
        && server.code().code() == "22012"
    {
        return Stop::Failed(path.refused(session));
    }
    let is_check = found.after == Some(0);
    if is_check && server.code().code() == "22012" {
        return Stop::Failed(lost_transaction(session, context, id, body, server));
    }
    let is_record = found.after.is_some_and(|after| after > CLEAN.len());
    // The row of a file without a transaction is not as this run left it.
    if is_record && server.code().code() == "22012" {
        return Stop::Failed(lock_lost(id));
    }
    if is_record && let Some(error) = bookkeeping(server, session, context.tables, id, body.doing())
    {
        return Stop::Failed(error);
    }
    let failure = Failure {
        id: id.clone(),
        is_undo: matches!(body.part, Part::Down(_)),
        file: body.file(context, id),
        place: found.place,
        statement: found.statement.map(|at| at + 1),
        server: ServerError::of(server),
        state: Left::RolledBack(newest.cloned()),
    };
    give_way(server, blocked_by, Error::Failed(Box::new(failure)))
}

/// What was rolled back as a whole is tried again where others were in the way.
pub(crate) fn give_way(server: &DbError, blocked_by: Vec<Activity>, error: Error) -> Stop {
    // lock_not_available, deadlock_detected, serialization_failure
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
pub(crate) fn still_there(error: &Cause) -> Result<&DbError, Stop> {
    match error.as_db_error() {
        Some(server) if error.loss().is_none() => Ok(server),
        _ => Err(Stop::Lost {
            cause: error.text(),
        }),
    }
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
        return lock_lost(id);
    }
    let message = match body.part {
        Part::Up => "the migration ended its transaction, so that it could not be recorded",
        Part::Down(_) => "the text ended its transaction, so that the undo could not be recorded",
    };
    Error::Failed(Box::new(Failure {
        id: id.clone(),
        is_undo: matches!(body.part, Part::Down(_)),
        file: body.file(context, id),
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

fn lock_lost(id: &MigrationId) -> Error {
    Error::LockLost {
        id: id.clone(),
        left: Left::RolledBack(None),
    }
}

/// An error of writing the rows, where it has a message of its own.
pub(crate) fn bookkeeping(
    server: &DbError,
    session: &Session,
    tables: &Tables,
    id: &MigrationId,
    doing: &'static str,
) -> Option<Error> {
    match server.code().code() {
        "22003" => Some(Error::HistoryNarrow {
            table: tables.refinery.clone(),
            version: id.version,
        }),
        "42501" => Some(history::privilege(server, session, tables, doing)),
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
fn locate(
    server: &DbError,
    done: &Results,
    prefix: &str,
    prefix_count: usize,
    body: &Body,
) -> Found {
    let (text, at) = body.text();
    let spans = &body.script.spans;
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
        let offset = body.script.written(at + offset);
        return Found {
            statement: spans.iter().position(|span| offset <= span.range().end),
            place: Some(Place::of(body.script.sql, offset)),
            after: None,
        };
    }
    // How many statements were done before the first of our own after the text.
    let end = match body.marks_its_end() {
        false => Some(prefix_count + body.count),
        true => done.iter().position(|rows| is_end(rows)).map(|at| at + 1),
    };
    match done.len().checked_sub(prefix_count) {
        Some(count) if end.is_none_or(|end| done.len() < end) => {
            let count = match body.script.is_adapted {
                true => count.min(body.count.saturating_sub(1)),
                false => count,
            };
            let statement = body.first + count;
            Found {
                statement: Some(statement),
                place: spans
                    .get(statement)
                    .map(|span| Place::of(body.script.sql, span.range().start)),
                after: None,
            }
        }
        after => Found {
            statement: None,
            place: None,
            after: after.and(end).and_then(|end| done.len().checked_sub(end)),
        },
    }
}

fn is_end(rows: &[SimpleQueryRow]) -> bool {
    rows.first().and_then(|row| row.get(0)) == Some(END)
}
