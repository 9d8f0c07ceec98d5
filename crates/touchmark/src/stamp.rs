//! Recording migrations as applied without running them, because what they make is there already.

use std::time::Instant;

use tokio_postgres::Config;
use touchmark_core::Kind;
use touchmark_core::encoded::EncodedMigration;

use crate::ahead::Ahead;
use crate::event::{Event, Events};
use crate::history::{self, Entry, Tables, Texts};
use crate::plan::{Action, Step, Target, plan};
use crate::report::StampReport;
use crate::rows::{MigrationId, RowState, Rows};
use crate::run::{self, Context, Opened, Options};
use crate::session::Session;
use crate::transaction::Stop;
use crate::{Error, Set};

/// What a stamp would record.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StampPlan {
    /// What was asked for.
    pub target: Target,
    /// What is recorded as applied and is not run, in that order.
    pub steps: Vec<Step>,
    /// What refinery applied and the ledger does not know yet: it is taken over with them.
    pub adopt: Vec<Step>,
    /// The newest version that is recorded as applied afterwards.
    pub newest: Option<MigrationId>,
}

/// What is asked for.
#[derive(Clone, Copy)]
pub(crate) struct Request<'r> {
    pub target: Target,
    /// The plan that somebody has seen: another one is refused.
    pub shown: Option<&'r StampPlan>,
}

/// Records.
pub(crate) fn stamp(
    set: Set,
    options: &Options,
    config: &Config,
    events: Events,
    request: Request,
) -> Result<StampReport, Error> {
    let begun = Instant::now();
    let opened = Opened::of(&set, options)?;
    let migrations = opened.migrations()?;
    let mut sent = None;
    let plan = run::attempts(options, config, events, |session| {
        let start = run::look(session, &opened.tables, &opened.encoded)?;
        let context = opened.context(&migrations, options, events, start.scope);
        if !start.standby {
            let known = start.probe.is_some();
            return Ok(locked(session, &context, request, known, &mut sent)?);
        }
        let rows = run::read(session, &opened.tables, &start)?;
        let plan = plan_for(&migrations, &rows, request.target, context.build)?;
        match plan.steps.len() + plan.adopt.len() {
            0 => Ok(recorded(&plan, sent.take()).unwrap_or(plan)),
            pending => Err(Stop::Failed(Error::Standby { pending })),
        }
    })?;
    let ids = |steps: Vec<Step>| steps.into_iter().map(|step| step.id).collect();
    Ok(StampReport {
        stamped: ids(plan.steps),
        adopted: ids(plan.adopt),
        newest: plan.newest,
        elapsed: begun.elapsed(),
    })
}

/// Takes the lock, reads and plans under it, and writes all rows in one transaction. `sent` is what
/// a connection that was lost has sent, and may have recorded.
fn locked(
    session: &mut Session,
    context: &Context,
    request: Request,
    known: bool,
    sent: &mut Option<StampPlan>,
) -> Result<StampPlan, Error> {
    let (rows, found) = run::locked_rows(session, context, known)?;
    let mut plan = plan_for(context.set, &rows, request.target, context.build)?;
    if let Some(sent) = recorded(&plan, sent.take()) {
        plan = sent;
    } else if request.shown.is_some_and(|shown| *shown != plan) {
        return Err(Error::PlanChanged);
    } else if !plan.is_empty() {
        context.check_values(&plan.steps, &plan.adopt)?;
        history::create(session, context.tables, context.scope, &found)?;
        let stamps = plan.steps.iter().map(|step| stamp_sql(context, step));
        let adopt = run::adopt_sql(context, &plan.adopt);
        let rows: Vec<_> = adopt.chain(stamps).collect();
        *sent = Some(plan.clone());
        run::record(session, context, &rows)
            .map_err(|error| narrow(error, context.tables, &plan))?;
    }
    run::release(session, context)?;
    if !plan.adopt.is_empty() {
        let count = plan.adopt.len();
        context.events.emit(Event::Adopted { count });
    }
    for step in &plan.steps {
        let migration = step.id.clone();
        context.events.emit(Event::Stamped { migration });
    }
    Ok(plan)
}

/// What a lost connection has sent, where nothing of it is left to record: it was committed.
fn recorded(left: &StampPlan, sent: Option<StampPlan>) -> Option<StampPlan> {
    sent.filter(|sent| left.is_empty() && left.newest == sent.newest)
}

fn stamp_sql(context: &Context, step: &Step) -> String {
    let migration = &context.set[step.position];
    let entry = Entry {
        migration,
        build: context.build,
        texts: Texts::Literals,
    };
    let refinery = history::refinery_sql(context.tables, migration);
    refinery + &history::stamp_sql(context.tables, &entry, step.chain)
}

/// A number that is out of range is a version that refinery's table has no room for.
fn narrow(error: Error, tables: &Tables, plan: &StampPlan) -> Error {
    let versions = plan.steps.iter().map(|step| step.id.version);
    match (&error, versions.max()) {
        (Error::Server { code, .. }, Some(version)) if code.as_deref() == Some("22003") => {
            Error::HistoryNarrow {
                table: tables.refinery.clone(),
                version,
            }
        }
        _ => error,
    }
}

/// What a stamp of `target` would record.
pub(crate) fn plan_for(
    set: &[EncodedMigration],
    rows: &Rows,
    target: Target,
    build: &str,
) -> Result<StampPlan, Error> {
    if !set.iter().any(|m| m.kind != Kind::Repeatable) {
        return Err(Error::NothingToStamp);
    }
    let lookup = rows.lookup();
    if let Some((id, done)) = lookup.unfinished_undo() {
        return Err(Error::UndoUnfinished { id, done });
    }
    // What has come half-way is neither applied nor not.
    for row in lookup.ledger.values() {
        if let RowState::Running(progress) = &row.state {
            let (id, done) = (row.id.clone(), progress.done);
            return Err(Error::StampUnfinished { id, done });
        }
    }
    let versions = match target {
        // Repeatable migrations are made to be applied again, so the next run does.
        Target::Latest => Target::Plus(usize::MAX),
        target => target,
    };
    let found = plan(set, rows, versions, Ahead::AcceptPrefix)
        .map_err(|refusal| run::refuse(refusal, build))?;
    let action = Action::Stamp;
    let steps = found.steps.into_iter();
    let steps: Vec<_> = steps.map(|step| Step { action, ..step }).collect();
    let last = steps.iter().chain(&found.adopt).map(|step| step.id.clone());
    Ok(StampPlan {
        target,
        newest: last.chain(found.newest).max_by_key(|id| id.version),
        steps,
        adopt: found.adopt,
    })
}

impl StampPlan {
    /// Whether there is nothing to record.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty() && self.adopt.is_empty()
    }
}
