//! A run from connecting to the report.

use std::time::{Duration, Instant};

use tokio_postgres::Config;
use touchmark_core::Kind;
use touchmark_core::encoded::{Encoded, EncodedMigration, EncodedScript};

use crate::backoff::Backoff;
use crate::cancel::Canceller;
use crate::event::{Event, Events};
use crate::history::{self, Entry, Found, Probe, Tables};
use crate::lock::{self, Scope};
use crate::plan::{Action, Plan, Refusal, Step, Target, plan};
use crate::report::{AppliedMigration, Report};
use crate::rows::{MigrationId, Rows};
use crate::session::Session;
use crate::tls::Connector;
use crate::transaction::{Retries, Stop};
use crate::{Error, Set, failed_to, no_transaction, transaction};

/// The settings of a run.
#[derive(Clone)]
pub(crate) struct Options {
    pub target: Target,
    pub lock_timeout: Duration,
    pub retry: Duration,
    pub wait: Duration,
    pub canceller: Canceller,
    pub connector: Connector,
    pub history: Option<touchmark_core::encoded::History>,
}

/// What every step of a run needs.
pub(crate) struct Context<'c> {
    pub set: &'c [EncodedMigration<'c>],
    pub directory: &'c str,
    pub build: &'c str,
    pub tables: &'c Tables,
    pub options: &'c Options,
    pub events: Events<'c>,
    pub scope: Scope,
}

impl Context<'_> {
    /// The path of a migration's file for messages.
    pub(crate) fn file(&self, id: &MigrationId, script: &EncodedScript) -> String {
        let found = self.set.iter().find(|m| MigrationId::of(m) == *id);
        let name = found.map_or_else(|| format!("{id}.sql"), EncodedMigration::file_name);
        let is_down = found.is_some_and(|m| m.down.as_ref() == Some(script));
        match name.strip_suffix(".sql") {
            Some(stem) if is_down => format!("{}/{stem}.down.sql", self.directory),
            _ => format!("{}/{name}", self.directory),
        }
    }
}

/// What the first round trip tells.
pub(crate) struct Start {
    pub scope: Scope,
    pub standby: bool,
    /// None where a table is missing.
    pub probe: Option<Probe>,
}

impl Start {
    /// Whether everything of the set is applied, nothing is unfinished, and nobody has applied
    /// more behind the ledger's back.
    pub(crate) fn is_current(&self, set: &Encoded) -> bool {
        self.probe.as_ref().is_some_and(|probe| {
            probe.head == Some(set.head())
                && !probe.unfinished
                && probe.last_version.unwrap_or(-1) == set.last_version()
        })
    }
}

/// Opens the connection of a run.
pub(crate) fn connect<'a>(
    options: &Options,
    config: &Config,
    events: Events<'a>,
) -> Result<Session<'a>, Error> {
    connect_until(Instant::now() + options.wait, options, config, events)
}

fn connect_until<'a>(
    deadline: Instant,
    options: &Options,
    config: &Config,
    events: Events<'a>,
) -> Result<Session<'a>, Error> {
    Session::connect(
        &options.connector,
        config,
        &options.canceller,
        events,
        deadline,
    )
}

/// The one round trip of a start that has nothing to do.
pub(crate) fn look(session: &mut Session, tables: &Tables, set: &Encoded) -> Result<Start, Error> {
    let sql = format!(
        "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(); {}",
        history::probe_sql(tables, set.head())
    );
    let (results, probe) = match session.query(&sql) {
        Ok(results) => {
            let probe = results
                .get(1)
                .and_then(|rows| rows.first())
                .map(Probe::read);
            (results, probe)
        }
        Err(error) => {
            let code = error
                .source
                .as_db_error()
                .map(|e| e.code().code().to_owned());
            // undefined_table, invalid_schema_name
            if !matches!(code.as_deref(), Some("42P01" | "3F000")) {
                return Err(history::explain(error, session, tables, "read the history"));
            }
            (error.done, None)
        }
    };
    let first = results.first().and_then(|rows| rows.first());
    let pid: Option<i32> = first.and_then(|row| row.get(0)?.parse().ok());
    // Behind a transaction pooler, the process that answers is not the one that was promised.
    let scope = match (session.start_pid, pid) {
        (Some(start), Some(pid)) if start != pid => Scope::Transaction,
        _ => Scope::Session,
    };
    Ok(Start {
        scope,
        standby: first.and_then(|row| row.get(1)) == Some("t"),
        probe,
    })
}

/// Reads what is recorded, without a lock and without creating anything.
pub(crate) fn read(session: &mut Session, tables: &Tables, start: &Start) -> Result<Rows, Error> {
    if start.probe.is_some() {
        return read_tables(session, tables, &Found::both());
    }
    let results = session
        .query(&history::exist_sql(tables))
        .map_err(|e| failed_to("look for the history", e))?;
    let found = Found::read(results.first());
    found.check(tables)?;
    read_tables(session, tables, &found)
}

fn read_tables(session: &mut Session, tables: &Tables, found: &Found) -> Result<Rows, Error> {
    if !found.refinery && !found.ledger {
        return Ok(Rows::default());
    }
    let results = session
        .query(&history::read_sql(tables, found, "true"))
        .map_err(|e| history::explain(e, session, tables, "read the history"))?;
    read_results(&results)
}

fn read_results(results: &crate::session::Results) -> Result<Rows, Error> {
    let empty = Vec::new();
    history::read_rows(
        results.first().unwrap_or(&empty),
        results.get(1).unwrap_or(&empty),
    )
}

/// Migrates.
pub(crate) fn run(
    set: Set,
    options: &Options,
    config: &Config,
    events: Events,
) -> Result<Report, Error> {
    let begun = Instant::now();
    let encoded = set.open()?;
    let (directory, history) = encoded.names()?;
    let tables = Tables::of(options.history.clone().unwrap_or(history));
    let mut session = connect(options, config, events)?;
    let start = look(&mut session, &tables, &encoded)?;
    let mut report = Report::new(&encoded);
    if options.target == Target::Latest && start.is_current(&encoded) {
        report.elapsed = begun.elapsed();
        return Ok(report);
    }
    let migrations = encoded.migrations()?;
    let context = Context {
        set: &migrations,
        directory,
        build: set.build(),
        tables: &tables,
        options,
        events,
        scope: start.scope,
    };
    if settled_without_lock(&mut session, &context, &start, &mut report)? {
        report.elapsed = begun.elapsed();
        return Ok(report);
    }
    let mut known = start.probe.is_some();
    loop {
        let mut in_flight = None;
        let outcome = round(&mut session, &context, known, &mut report, &mut in_flight);
        match outcome {
            Ok(()) => break,
            Err(Stop::Failed(error)) => return Err(error),
            Err(Stop::Again { error, .. }) => return Err(*error),
            Err(Stop::Lost { cause }) => {
                session = recover(&context, config, &mut report, in_flight, cause)?;
                known = false;
            }
        }
    }
    report.elapsed = begun.elapsed();
    Ok(report)
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
    let plan = plan_for(context, &rows, report)?;
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

/// One connection's worth of work: lock, read again, plan again, apply.
fn round(
    session: &mut Session,
    context: &Context,
    known: bool,
    report: &mut Report,
    in_flight: &mut Option<usize>,
) -> Result<(), Stop> {
    let mut number = 0;
    let mut known = known;
    let mut total = None;
    let mut retries = Retries::new();
    'again: loop {
        let (rows, found) = locked_rows(session, context, known)?;
        // The connection before this one was lost in a migration: was it committed after all?
        if let Some(position) = report.unsure.take()
            && rows.lookup().has_applied(&context.set[position])
        {
            report.record(MigrationId::of(&context.set[position]), Duration::ZERO);
        }
        let plan = plan_for(context, &rows, report)?;
        if plan.steps.is_empty() && plan.only_steps() {
            release(session, context)?;
            finish_report(context, &plan, report);
            return Ok(());
        }
        prepare(session, context, &plan, &found)?;
        let total = *total.get_or_insert(plan.steps.len());
        let steps = match context.scope {
            Scope::Session => &plan.steps[..],
            // The lock ends with the transaction, so that the next step reads and plans again.
            Scope::Transaction => &plan.steps[..plan.steps.len().min(1)],
        };
        let mut newest = plan.newest.clone();
        for step in steps {
            number += 1;
            let begun = Instant::now();
            if context.options.canceller.is_cancelled() {
                return Err(Stop::Failed(Error::Cancelled { at: None }));
            }
            context.events.emit(Event::Applying {
                migration: step.id.clone(),
                number,
                total,
            });
            *in_flight = Some(step.position);
            match apply(session, context, step, &rows, newest.as_ref()) {
                Ok(()) => {}
                Err(stop) if context.scope == Scope::Transaction => {
                    retries.pause(session, context, &step.id, stop)?;
                    continue 'again;
                }
                Err(stop) => return Err(stop),
            }
            retries = Retries::new();
            *in_flight = None;
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
    let directives = &context.set[step.position].up.directives;
    if !directives.no_transaction {
        // Some of its statements may be carried out already.
        if step.action == Action::Resume {
            let id = step.id.clone();
            return Err(Stop::Failed(Error::UnfinishedTransaction { id }));
        }
        return transaction::apply(session, context, step, newest);
    }
    if context.scope == Scope::Transaction {
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

/// Takes the lock and reads the history under it.
fn locked_rows(
    session: &mut Session,
    context: &Context,
    known: bool,
) -> Result<(Rows, Found), Error> {
    let tables = context.tables;
    let then = match known {
        true => history::read_sql(tables, &Found::both(), &lock::holds(&[tables.keys.run])),
        false => history::exist_sql(tables),
    };
    let wait = context.options.wait;
    let results = lock::acquire(session, context.events, tables, context.scope, wait, &then)?;
    if known {
        return Ok((read_results(&results)?, Found::both()));
    }
    let found = Found::read(results.first());
    found.check(tables)?;
    Ok((read_tables(session, tables, &found)?, found))
}

/// Creates the tables that are missing, and takes refinery's rows over.
fn prepare(
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
    history::create(session, context.tables, context.scope, found)?;
    if plan.only_steps() {
        return Ok(());
    }
    let mut rows: Vec<_> = plan
        .adopt
        .iter()
        .map(|position| {
            let entry = Entry {
                migration: &context.set[*position],
                build: context.build,
            };
            history::adopt_sql(context.tables, &entry, plan.chain)
        })
        .collect();
    let removed = plan.remove.iter();
    rows.extend(removed.map(|id| history::removed_sql(context.tables, id, plan.chain)));
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
    if plan.steps.is_empty() {
        release(session, context)?;
    }
    if !plan.adopt.is_empty() {
        context.events.emit(Event::Adopted {
            count: plan.adopt.len(),
        });
    }
    Ok(())
}

/// Ends the transaction that holds the lock. A session's lock goes with its connection.
fn release(session: &mut Session, context: &Context) -> Result<(), Error> {
    match context.scope {
        Scope::Session => Ok(()),
        Scope::Transaction => session
            .settle("COMMIT")
            .map(drop)
            .map_err(|e| failed_to("end a transaction", e)),
    }
}

/// Connects again after the connection was lost in the middle of a migration. Whether that was
/// committed is found out under the lock, which the lost session keeps for as long as it lives.
fn recover<'a>(
    context: &Context<'a>,
    config: &Config,
    report: &mut Report,
    in_flight: Option<usize>,
    cause: String,
) -> Result<Session<'a>, Error> {
    if report.reconnects >= MAX_RECONNECTS {
        return Err(Error::ConnectionLost { cause });
    }
    report.reconnects += 1;
    report.unsure = in_flight;
    context.events.emit(Event::Reconnecting {
        cause: cause.clone(),
    });
    let deadline = Instant::now() + RECONNECT.min(context.options.wait);
    let mut backoff = Backoff::new();
    loop {
        match connect_until(deadline, context.options, config, context.events) {
            Ok(session) => return Ok(session),
            Err(Error::Connect { .. }) if Instant::now() < deadline => {
                std::thread::sleep(backoff.next());
            }
            Err(Error::Connect { .. }) => return Err(Error::ConnectionLost { cause }),
            Err(error) => return Err(error),
        }
    }
}

/// A migration that kills its server each time must not be tried for ever.
const MAX_RECONNECTS: u32 = 3;
/// How long a server may be away in the middle of a run.
const RECONNECT: Duration = Duration::from_secs(30);

/// The plan for what is left of the run.
fn plan_for(context: &Context, rows: &Rows, report: &Report) -> Result<Plan, Error> {
    let target = match context.options.target {
        Target::Plus(count) => Target::Plus(count.saturating_sub(report.applied.len())),
        target => target,
    };
    plan(context.set, rows, target).map_err(refuse)
}

pub(crate) fn refuse(refusal: Refusal) -> Error {
    match refusal {
        Refusal::Findings(findings) => Error::Divergent(findings),
        Refusal::TargetUnknown { version, nearest } => Error::TargetUnknown { version, nearest },
        Refusal::TargetBehind { version, newest } => Error::TargetBehind { version, newest },
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
    fn record(&mut self, id: MigrationId, elapsed: Duration) {
        self.applied.push(AppliedMigration { id, elapsed });
    }
}
