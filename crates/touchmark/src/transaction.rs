//! Applying one migration in one transaction and one message: its SQL exactly as it was hashed,
//! and both rows.

mod large;
mod message;
mod retries;
mod stop;

use std::fmt;

use refinery_core::traits::sync::{Transaction, migrate};
use touchmark_core::Kind;
use touchmark_core::encoded::EncodedMigration;

use crate::Error;
use crate::cancel::CancelAt;
use crate::event::{Activity, Event};
use crate::history::{self, Entry, Texts};
use crate::lock::Scope;
use crate::plan::Step;
use crate::rows::MigrationId;
use crate::run::Context;
use crate::session::{BatchError, Results, Session, Watch};
use crate::sql::bytea;

pub(crate) use message::{Body, CLEAN, Part, holds_both, message, settings};
pub(crate) use retries::{Retries, with_retries};
pub(crate) use stop::{Stop, bookkeeping, give_way, still_there, stopped};

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

/// Applies a migration once.
fn apply_once(
    session: &mut Session,
    context: &Context,
    step: &Step,
    newest: Option<&MigrationId>,
) -> Result<(), Stop> {
    let migration = &context.set[step.position];
    if large::is_large(migration) {
        return large::apply_once(session, context, step, newest);
    }
    let entry = Entry {
        migration,
        build: context.build,
        texts: Texts::Literals,
    };
    let ledger = history::insert_sql(context.tables, &entry, &bytea(step.chain));
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
        Some(Ok(_)) => Ok(()),
        Some(Err(error)) => Err(stopped(error, session, context, &step.id, &body, newest)),
        None => Err(refused("it asked for nothing to be executed".into())),
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
