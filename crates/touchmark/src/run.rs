//! A run from connecting to the report.

mod attempts;
mod opened;
mod prepare;
mod start;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tokio_postgres::Config;
use touchmark_core::Kind;
use touchmark_core::encoded::{EncodedMigration, History};

use crate::ahead::Ahead;
use crate::cancel::Canceller;
use crate::event::{Event, Events};
use crate::history::Tables;
use crate::lock::Scope;
use crate::placeholder::Values;
use crate::plan::{Action, Plan, Refusal, Step, Target, plan};
use crate::report::{AppliedMigration, Report};
use crate::rows::{MigrationId, Rows};
use crate::session::Session;
use crate::tls::Connector;
use crate::transaction::{Retries, Stop};
use crate::{Error, Set, no_transaction, transaction};

pub(crate) use attempts::attempts;
pub(crate) use opened::Opened;
use prepare::prepare;
pub(crate) use prepare::{adopt_sql, locked_rows, record, release, take_over};
pub(crate) use start::{Start, connect, find, look, read, read_tables};

/// The settings of a run.
#[derive(Clone)]
pub(crate) struct Options {
    pub target: Target,
    pub ahead: Ahead,
    pub lock_timeout: Duration,
    pub retry: Duration,
    pub wait: Duration,
    /// How long the server may say nothing before it is looked at.
    pub answer: Duration,
    pub canceller: Canceller,
    pub connector: Connector,
    pub history: Option<History>,
    /// The schema of the migrations, and of the history where that is not given too.
    pub schema: Option<String>,
    /// The values of placeholders.
    pub placeholders: BTreeMap<String, String>,
}

/// What every step of a run needs.
pub(crate) struct Context<'c> {
    pub set: &'c [EncodedMigration<'c>],
    pub directory: &'c str,
    pub values: &'c Values,
    pub build: &'c str,
    pub tables: &'c Tables,
    pub options: &'c Options,
    pub events: Events<'c>,
    pub scope: Scope,
}

impl Context<'_> {
    /// Refuses steps that lack the value of a placeholder, before any of them is carried out.
    pub(crate) fn check_values(&self, steps: &[Step], adopt: &[Step]) -> Result<(), Error> {
        let steps = steps.iter().chain(adopt);
        self.values.check_steps(self.directory, self.set, steps)
    }

    /// The path of a migration's file for messages.
    pub(crate) fn file(&self, id: &MigrationId) -> String {
        let found = self.set.iter().find(|m| MigrationId::of(m) == *id);
        let name = found.map_or_else(|| format!("{id}.sql"), EncodedMigration::file_name);
        format!("{}/{name}", self.directory)
    }
}

/// Migrates.
pub(crate) fn run(
    set: Set,
    options: &Options,
    config: &Config,
    events: Events,
) -> Result<Report, Error> {
    let begun = Instant::now();
    let opened = Opened::of(&set, options)?;
    let mut report = Report::new(&opened.encoded);
    attempts(options, config, events, |session| {
        attempt(session, &opened, options, events, &mut report)
    })?;
    report.elapsed = begun.elapsed();
    Ok(report)
}

/// One connection's worth of work: look, and where something is to be done, do it under the lock.
fn attempt(
    session: &mut Session,
    opened: &Opened,
    options: &Options,
    events: Events,
    report: &mut Report,
) -> Result<(), Stop> {
    let start = look(session, &opened.tables, &opened.encoded)?;
    let is_all = options.target == Target::Latest && report.in_flight.is_none();
    if is_all && start.is_current(&opened.encoded) {
        return Ok(());
    }
    let migrations = opened.migrations()?;
    let context = opened.context(&migrations, options, events, start.scope);
    match settled_without_lock(session, &context, &start, report)? {
        true => Ok(()),
        false => locked(session, &context, start.probe.is_some(), report),
    }
}

/// Whether there is nothing to do, as far as that can be told without the lock: on a standby,
/// and where the database is ahead of the set.
fn settled_without_lock(
    session: &mut Session,
    context: &Context,
    start: &Start,
    report: &mut Report,
) -> Result<bool, Error> {
    let reached = start.probe.as_ref().is_some_and(|probe| probe.reached);
    let nothing_there = start.probe.is_none() && context.set.is_empty();
    if !reached && !start.standby && !nothing_there {
        return Ok(false);
    }
    let rows = read(session, context.tables, start)?;
    report.record_in_flight(context, &rows);
    let plan = match plan_for(context, &rows, report) {
        // It may go on at this moment, which the lock tells.
        Err(Error::UndoUnfinished { .. }) if !start.standby => return Ok(false),
        plan => plan?,
    };
    if plan.steps.is_empty() && (plan.only_steps() || start.standby) {
        finish_report(context, &plan, report);
        return Ok(true);
    }
    match start.standby {
        true => Err(Error::Standby {
            pending: plan.steps.len(),
        }),
        false => Ok(false),
    }
}

/// Takes the lock, reads again, plans again, and applies.
fn locked(
    session: &mut Session,
    context: &Context,
    known: bool,
    report: &mut Report,
) -> Result<(), Stop> {
    let mut known = known;
    let mut retries = Retries::new();
    'again: loop {
        let (rows, found) = locked_rows(session, context, known)?;
        report.record_in_flight(context, &rows);
        report.in_flight = None;
        report.keep_what_is_applied(&rows);
        let plan = plan_for(context, &rows, report)?;
        if plan.steps.is_empty() && plan.only_steps() {
            release(session, context)?;
            finish_report(context, &plan, report);
            return Ok(());
        }
        context.check_values(&plan.steps, &plan.adopt)?;
        prepare(session, context, &plan, &found)?;
        let total = report.applied.len() + plan.steps.len();
        let steps = match context.scope {
            Scope::Session => &plan.steps[..],
            // The lock ends with the transaction, so that the next step reads and plans again.
            Scope::Transaction => &plan.steps[..plan.steps.len().min(1)],
        };
        let mut newest = plan.newest.clone();
        for step in steps {
            let begun = Instant::now();
            if context.options.canceller.is_cancelled() {
                return Err(Stop::Failed(Error::Cancelled { at: None }));
            }
            context.events.emit(Event::Applying {
                migration: step.id.clone(),
                number: report.applied.len() + 1,
                total,
            });
            report.in_flight = Some(step.position);
            match apply(session, context, step, &rows, newest.as_ref()) {
                Ok(()) => {}
                Err(stop) if context.scope == Scope::Transaction => {
                    retries.pause(session, context, &step.id, stop)?;
                    continue 'again;
                }
                Err(stop) => return Err(stop),
            }
            retries = Retries::new();
            report.in_flight = None;
            if step.id.kind != Kind::Repeatable {
                newest = Some(step.id.clone());
            }
            let elapsed = begun.elapsed();
            context.events.emit(Event::Applied {
                migration: step.id.clone(),
                elapsed,
            });
            report.record(step.id.clone(), elapsed);
        }
        if context.scope == Scope::Session || steps.is_empty() {
            finish_report(context, &plan, report);
            return Ok(());
        }
        known = true;
    }
}

fn apply(
    session: &mut Session,
    context: &Context,
    step: &Step,
    rows: &Rows,
    newest: Option<&MigrationId>,
) -> Result<(), Stop> {
    let up = &context.set[step.position].up;
    // The statement that takes a pooler's lock is a query, after which no isolation level is taken.
    let is_pooled = context.scope == Scope::Transaction;
    let is_direct = up.directives.no_transaction || is_pooled && up.isolation.is_some();
    if !is_direct {
        // Some of its statements may be carried out already.
        if step.action == Action::Resume {
            let id = step.id.clone();
            return Err(Stop::Failed(Error::UnfinishedTransaction { id }));
        }
        return transaction::apply(session, context, step, newest);
    }
    if is_pooled {
        release(session, context)?;
        return Err(Stop::Failed(Error::Pooled {
            id: step.id.clone(),
        }));
    }
    let lookup = rows.lookup();
    let row = match step.action {
        Action::Resume => lookup.ledger.get(&step.id.key()).copied(),
        _ => None,
    };
    no_transaction::apply(session, context, step, row)
}

/// The plan for what is left of the run.
fn plan_for(context: &Context, rows: &Rows, report: &Report) -> Result<Plan, Error> {
    let target = match context.options.target {
        Target::Plus(count) => Target::Plus(count.saturating_sub(report.applied.len())),
        target => target,
    };
    plan(context.set, rows, target, context.options.ahead)
        .map_err(|refusal| refuse(refusal, context.build))
}

pub(crate) fn refuse(refusal: Refusal, build: &str) -> Error {
    match refusal {
        Refusal::Findings(findings) => Error::Divergent {
            findings,
            build: build.into(),
        },
        Refusal::Undoing { id, done } => Error::UndoUnfinished { id, done },
        Refusal::TargetUnknown { version, nearest } => Error::TargetUnknown { version, nearest },
        Refusal::TargetBehind { version, newest } => Error::TargetBehind { version, newest },
        Refusal::Ahead { unknown, why } => Error::Ahead { unknown, why },
    }
}

fn finish_report(context: &Context, plan: &Plan, report: &mut Report) {
    let applied = plan.steps.iter().map(|step| &step.id);
    report.newest = applied
        .chain(&plan.newest)
        .filter(|id| id.kind != Kind::Repeatable)
        .max_by_key(|id| id.version)
        .cloned();
    if !plan.unknown.is_empty() {
        context.events.emit(Event::DatabaseAhead {
            unknown: plan.unknown.clone(),
        });
        report.ahead = plan.unknown.clone();
    }
}

impl Report {
    /// The connection before this one was lost in a migration: was that committed after all?
    fn record_in_flight(&mut self, context: &Context, rows: &Rows) {
        let Some(position) = self.in_flight else {
            return;
        };
        let migration = &context.set[position];
        if rows.lookup().has_applied(migration) {
            self.in_flight = None;
            self.record(MigrationId::of(migration), Duration::ZERO);
        }
    }

    /// A failover may have lost what the server before it had acknowledged; it is applied again.
    fn keep_what_is_applied(&mut self, rows: &Rows) {
        let lookup = rows.lookup();
        let is_applied = |id: &MigrationId| lookup.ledger.contains_key(&id.key());
        self.applied.retain(|applied| is_applied(&applied.id));
    }

    fn record(&mut self, id: MigrationId, elapsed: Duration) {
        self.applied.push(AppliedMigration { id, elapsed });
    }
}
