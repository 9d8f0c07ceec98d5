//! An undo from the lock that a run takes to the report.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use tokio_postgres::Config;

use super::step::{of_file, undo};
use super::{Known, RollbackPlan, RollbackTarget, applied, plan, wanted};
use crate::event::{Event, Events};
use crate::history::{self, Found};
use crate::lock::Scope;
use crate::placeholder::Text;
use crate::report::{RollbackReport, UndoneMigration};
use crate::rows::{MigrationId, Rows};
use crate::run::{Context, Opened, Options};
use crate::session::Session;
use crate::transaction::{Retries, Stop};
use crate::{Error, Set, run};

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    pub target: RollbackTarget,
    /// The plan that somebody has seen: another one is refused.
    pub shown: Option<&'r RollbackPlan>,
}

/// One application of a migration: its id, and the row of the ledger.
type Applied = (MigrationId, i64);

/// Undoes.
pub(crate) fn rollback(
    set: Set,
    options: &Options,
    config: &Config,
    events: Events,
    request: Request,
) -> Result<RollbackReport, Error> {
    let begun = Instant::now();
    let opened = Opened::of(&set, options)?;
    let mut report = RollbackReport::default();
    let mut todo: Option<Vec<Applied>> = None;
    run::attempts(options, config, events, |session| {
        let start = run::look(session, &opened.tables, &opened.encoded)?;
        let migrations = opened.migrations()?;
        let context = opened.context(&migrations, options, events, start.scope);
        if start.standby {
            let rows = run::read(session, &opened.tables, &start)?;
            let plan = match &todo {
                None => plan_for(session, &context, &rows, request.target, true)?,
                Some(todo) => next_plan(session, &context, &rows, todo, &mut report, true)?,
            };
            report.newest = plan.newest;
            return Ok(());
        }
        let known = start.probe.is_some();
        locked(session, &context, request, known, &mut todo, &mut report)
    })
    .map_err(in_words)?;
    report.elapsed = begun.elapsed();
    Ok(report)
}

/// What was interrupted is not the migration, which stays applied.
fn in_words(error: Error) -> Error {
    match error {
        Error::Cancelled { at } => Error::UndoCancelled { at },
        other => other,
    }
}

/// Takes the lock, reads again, plans again, and undoes. What is to be undone is settled in the
/// first plan, so that neither a lost connection nor another run makes it more.
fn locked(
    session: &mut Session,
    context: &Context,
    request: Request,
    known: bool,
    todo: &mut Option<Vec<Applied>>,
    report: &mut RollbackReport,
) -> Result<(), Stop> {
    let mut known = known;
    let mut retries = Retries::new();
    'again: loop {
        let (mut rows, found) = run::locked_rows(session, context, known)?;
        let plan = match &todo {
            None => first_plan(session, context, request, &mut rows, &found)?,
            Some(todo) => next_plan(session, context, &rows, todo, report, false)?,
        };
        let todo = todo.get_or_insert_with(|| {
            report.again.clone_from(&plan.again);
            let steps = plan.steps.iter();
            steps.filter_map(|s| Some((s.id.clone(), s.row?))).collect()
        });
        report.newest.clone_from(&plan.newest);
        if plan.steps.is_empty() {
            return Ok(run::release(session, context)?);
        }
        let steps = match context.scope {
            Scope::Session => &plan.steps[..],
            // The lock ends with the transaction, so that the next step reads and plans again.
            Scope::Transaction => &plan.steps[..1],
        };
        for (at, step) in steps.iter().enumerate() {
            if context.options.canceller.is_cancelled() {
                return Err(Stop::Failed(Error::Cancelled { at: None }));
            }
            let begun = Instant::now();
            context.events.emit(Event::Undoing {
                migration: step.id.clone(),
                number: report.undone.len() + 1,
                total: todo.len(),
                source: step.source.clone(),
            });
            match undo(session, context, &plan, step, (&rows, at == 0)) {
                Ok(()) => {}
                Err(stop) if context.scope == Scope::Transaction => {
                    retries.pause(session, context, &step.id, stop)?;
                    continue 'again;
                }
                Err(stop) => return Err(stop),
            }
            retries = Retries::new();
            let elapsed = begun.elapsed();
            context.events.emit(Event::Undone {
                migration: step.id.clone(),
                elapsed,
            });
            report.record(step.id.clone(), elapsed);
        }
        if context.scope == Scope::Session {
            return Ok(());
        }
        known = true;
    }
}

/// The plan of the first look under the lock. What refinery applied is taken over first: the
/// ledger says what was undone, and that can't be more than it says was applied.
fn first_plan(
    session: &mut Session,
    context: &Context,
    request: Request,
    rows: &mut Rows,
    found: &Found,
) -> Result<RollbackPlan, Error> {
    let mut plan = plan_for(session, context, rows, request.target, false)?;
    if !plan.adopt.is_empty() && !plan.steps.is_empty() {
        run::take_over(session, context, &plan.adopt, &[], found)?;
        *rows = run::read_tables(session, context.tables, &Found::both())?;
        plan = plan_for(session, context, rows, request.target, false)?;
    }
    let same = |shown: &RollbackPlan| {
        let texts = |plan: &RollbackPlan| -> Vec<_> {
            let steps = plan.steps.iter();
            steps.map(|s| (s.id.clone(), s.sql.clone())).collect()
        };
        texts(shown) == texts(&plan)
    };
    match request.shown.is_none_or(same) {
        true => Ok(plan),
        false => Err(Error::PlanChanged),
    }
}

/// The plan for what is left, after the lock was given up in between.
fn next_plan(
    session: &mut Session,
    context: &Context,
    rows: &Rows,
    todo: &[Applied],
    report: &mut RollbackReport,
    standby: bool,
) -> Result<RollbackPlan, Error> {
    let lookup = rows.lookup();
    let is_left = |(id, row): &&Applied| {
        let found = lookup.ledger.get(&id.key());
        found.is_some_and(|found| found.row == *row)
    };
    let (left, done): (Vec<_>, Vec<_>) = todo.iter().partition(is_left);
    // A failover may have lost what the server before it had acknowledged; it is undone again.
    let undone = &mut report.undone;
    undone.retain(|undone| !left.iter().any(|(id, _)| *id == undone.id));
    for (id, _) in done {
        // The connection was lost in it, and it was committed after all.
        if !report.undone.iter().any(|undone| undone.id == *id) {
            report.record(id.clone(), Duration::ZERO);
        }
    }
    let newest = applied(&lookup);
    if !left
        .iter()
        .map(|(id, _)| id)
        .eq(newest.iter().take(left.len()))
    {
        return Err(Error::PlanChanged);
    }
    plan_for(
        session,
        context,
        rows,
        RollbackTarget::Steps(left.len()),
        standby,
    )
}

/// Reads what the ledger has to undo with, where the set has nothing, and plans.
pub(crate) fn plan_for(
    session: &mut Session,
    context: &Context,
    rows: &Rows,
    target: RollbackTarget,
    standby: bool,
) -> Result<RollbackPlan, Error> {
    let wanted = wanted(context.set, rows, target);
    let scripts = match wanted.is_empty() {
        true => HashMap::new(),
        false => {
            let results = session
                .query(&history::scripts_sql(context.tables, &wanted))
                .map_err(|e| history::explain(e, session, context.tables, "read the history"))?;
            history::read_scripts(results.first().map_or(&[], Vec::as_slice))
        }
    };
    let known = Known {
        set: context.set,
        directory: context.directory,
        rows,
        scripts,
        standby,
    };
    let plan = plan(&known, target)?;
    check_values(context, &plan)?;
    Ok(plan)
}

/// Refuses a plan that lacks the value of a placeholder.
pub(crate) fn check_values(context: &Context, plan: &RollbackPlan) -> Result<(), Error> {
    let texts = plan.steps.iter().filter_map(|step| of_file(context, step));
    let texts = texts.map(|migration| Text {
        migration,
        is_down: true,
    });
    context.values.check(context.directory, texts)?;
    context.check_values(&[], &plan.adopt)
}

impl RollbackReport {
    fn record(&mut self, id: MigrationId, elapsed: Duration) {
        self.undone.push(UndoneMigration { id, elapsed });
    }
}
