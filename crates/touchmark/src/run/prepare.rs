//! Taking the lock, reading under it, and what is recorded before the first step.

use super::Context;
use super::start::{read_results, read_tables};
use crate::event::Event;
use crate::history::{self, Entry, Found, Texts};
use crate::lock::{self, Scope};
use crate::plan::{Plan, Removal, Step};
use crate::rows::Rows;
use crate::search_path::home_sql;
use crate::session::Session;
use crate::sql::{bytea, literal};
use crate::{Error, failed_to};

/// Takes the lock and reads the history under it.
pub(crate) fn locked_rows(
    session: &mut Session,
    context: &Context,
    known: bool,
) -> Result<(Rows, Found), Error> {
    let tables = context.tables;
    let home = home_sql(tables).map_or_else(String::new, |sql| format!("; {sql}"));
    let then = match known {
        true => history::read_sql(tables, &Found::both(), lock::TAKEN) + &home,
        false => history::exist_sql(tables),
    };
    let wait = context.options.wait;
    let results = lock::acquire(session, context.events, tables, context.scope, wait, &then)?;
    if known {
        return Ok((read_results(&results)?, Found::both_and(results.get(2))));
    }
    let found = Found::read(results.first());
    found.check(tables)?;
    Ok((read_tables(session, tables, &found)?, found))
}

/// Creates the tables that are missing, and takes refinery's rows over.
pub(crate) fn prepare(
    session: &mut Session,
    context: &Context,
    plan: &Plan,
    found: &Found,
) -> Result<(), Error> {
    match adopt(session, context, plan, found) {
        // Everything is applied; a role that may only read can start all the same.
        Err(Error::Privilege { message, .. }) if plan.steps.is_empty() => {
            log::warn!(target: "touchmark", "could not take over refinery's history: {message}");
            Ok(())
        }
        outcome => outcome,
    }
}

fn adopt(
    session: &mut Session,
    context: &Context,
    plan: &Plan,
    found: &Found,
) -> Result<(), Error> {
    take_over(session, context, &plan.adopt, &plan.remove, found)?;
    if plan.steps.is_empty() {
        release(session, context)?;
    }
    Ok(())
}

/// Records what refinery has applied, and what is gone.
pub(crate) fn take_over(
    session: &mut Session,
    context: &Context,
    adopt: &[Step],
    remove: &[Removal],
    found: &Found,
) -> Result<(), Error> {
    history::create(session, context.tables, context.scope, found)?;
    if adopt.is_empty() && remove.is_empty() {
        return Ok(());
    }
    let removed = remove.iter().map(|removal| {
        let name = literal(&removal.id.name);
        history::removed_sql(context.tables, &name, &bytea(removal.chain))
    });
    let rows: Vec<_> = adopt_sql(context, adopt).chain(removed).collect();
    record(session, context, &rows)?;
    if !adopt.is_empty() {
        context.events.emit(Event::Adopted { count: adopt.len() });
    }
    Ok(())
}

/// The rows of what refinery has applied.
pub(crate) fn adopt_sql<'a>(
    context: &'a Context,
    adopt: &'a [Step],
) -> impl Iterator<Item = String> + 'a {
    adopt.iter().map(|step| {
        let entry = Entry {
            migration: &context.set[step.position],
            build: context.build,
            texts: Texts::Literals,
        };
        history::adopt_sql(context.tables, &entry, step.chain)
    })
}

/// Writes these rows, all or none.
pub(crate) fn record(
    session: &mut Session,
    context: &Context,
    rows: &[String],
) -> Result<(), Error> {
    let sql = match context.scope {
        Scope::Session => format!("BEGIN; {}; COMMIT", rows.join(";\n")),
        Scope::Transaction => rows.join(";\n"),
    };
    if let Err(error) = session.settle(&sql) {
        let _ = session.settle("ROLLBACK");
        return Err(history::explain(
            error,
            session,
            context.tables,
            "record a migration",
        ));
    }
    Ok(())
}

/// Ends the transaction that holds the lock. A session's lock goes with its connection.
pub(crate) fn release(session: &mut Session, context: &Context) -> Result<(), Error> {
    match context.scope {
        Scope::Session => Ok(()),
        Scope::Transaction => session
            .settle("COMMIT")
            .map(drop)
            .map_err(|e| failed_to("end a transaction", e)),
    }
}
