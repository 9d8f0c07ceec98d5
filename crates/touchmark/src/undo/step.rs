//! Undoing one migration: in one transaction with its rows, or statement by statement.

use touchmark_core::encoded::{EncodedMigration, EncodedScript};

use super::{DownSource, RollbackPlan, UndoStep, of_set};
use crate::history;
use crate::lock::Scope;
use crate::no_transaction::{self, Task};
use crate::rows::{MigrationId, Rows};
use crate::run::Context;
use crate::session::Session;
use crate::sql::{bytea, literal, literal_or_null};
use crate::transaction::{Body, Part, Stop, message, send, stopped, with_retries};
use crate::{Error, run};

/// The migration of the set, where its file undoes it.
pub(super) fn of_file<'c>(
    context: &Context<'c>,
    step: &UndoStep,
) -> Option<&'c EncodedMigration<'c>> {
    match step.source {
        DownSource::File(_) => of_set(context.set, &step.id),
        DownSource::Ledger(_) => None,
    }
}

/// Undoes a migration, and again when others stood in its way.
pub(super) fn undo(
    session: &mut Session,
    context: &Context,
    plan: &RollbackPlan,
    step: &UndoStep,
    (rows, is_first): (&Rows, bool),
) -> Result<(), Stop> {
    let Some(row) = step.row else {
        return Err(Stop::Failed(Error::PlanChanged));
    };
    let record = |id: &MigrationId, row: i64, down, chain| {
        let down = literal_or_null(down);
        history::undone_sql(context.tables, (id, row), &down, context.build, chain)
    };
    // With the first version that goes, because what they made may go with it.
    let marks = plan.marks.iter().filter(|_| is_first);
    let mut records: Vec<_> = marks
        .map(|(id, row, chain)| record(id, *row, None, *chain))
        .collect();
    let script = script_of(context, step);
    let place = step.source.to_string();
    if script.directives.no_transaction {
        if context.scope == Scope::Transaction {
            run::release(session, context)?;
            let id = step.id.clone();
            return Err(Stop::Failed(Error::Pooled { id }));
        }
        let task = task(
            context,
            step,
            row,
            (&script, &place),
            &literal(&step.sql),
            &records,
        );
        let lookup = rows.lookup();
        let begun = lookup.undoing.get(&step.id.key()).copied();
        return no_transaction::carry_out(session, context, &task, begun);
    }
    // One that was begun without a transaction has carried some of it out.
    if step.is_begun {
        let id = step.id.clone();
        return Err(Stop::Failed(Error::UnfinishedTransaction { id }));
    }
    records.push(record(&step.id, row, Some(&step.sql), step.chain));
    let body = Body::of_down(&script, &place);
    let message = message(context, &step.id, body, &records.join(";\n"));
    let once = |session: &mut Session| {
        send(session, context, &step.id, &message)
            .map(drop)
            .map_err(|e| stopped(e, session, context, &step.id, &body, Some(&step.id)))
    };
    match context.scope {
        Scope::Transaction => once(session),
        Scope::Session => with_retries(session, context, &step.id, once),
    }
}

/// What undoes a migration. Of what the ledger kept, only the text is known.
pub(crate) fn script_of<'s>(context: &Context<'s>, step: &'s UndoStep) -> EncodedScript<'s> {
    match of_file(context, step).and_then(|migration| migration.down.clone()) {
        Some(script) => script,
        None => EncodedScript {
            sql: &step.sql,
            directives: step.directives.clone(),
            spans: Vec::new(),
            statements: step.statements.clone(),
            holes: Vec::new(),
            expanded: None,
            is_adapted: false,
            isolation: None,
        },
    }
}

/// An undo without a transaction. `row`, of the application, and `down` are expressions; `marks`
/// are recorded when it begins, because what they are of may go with its first statement.
pub(crate) fn task<'t>(
    context: &Context,
    step: &'t UndoStep,
    row: impl std::fmt::Display,
    (script, place): (&'t EncodedScript<'t>, &'t str),
    down: &str,
    marks: &[String],
) -> Task<'t> {
    let Context { tables, build, .. } = context;
    let version = step.id.version;
    Task {
        id: &step.id,
        script,
        part: Part::Down(place),
        with_begin: marks.iter().map(|mark| format!("{mark};\n")).collect(),
        begin: history::undo_intent_sql(tables, (version, row), (script, down), build),
        resume: history::undo_resume_set(script, down, build),
        finish: history::undone_set(&bytea(step.chain)),
        with_finish: history::unrecord_sql(tables, version),
    }
}
