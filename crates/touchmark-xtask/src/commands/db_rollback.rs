//! `db-rollback`: undoes what is applied.

use std::time::{Duration, Instant};

use touchmark::{MigrationId, Migrator, RollbackPlan, RollbackReport, RollbackTarget};
use touchmark_engine::{Database, url};

use super::db_migrate::{millis, took};
use crate::confirm::{Answers, Question, confirm};
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::{Files, Project};
use crate::screen::Screen;
use crate::watcher::Watcher;
use crate::{database, exit_code, json, offline, target};

/// Undo migrations, the newest first
///
/// Each is one transaction together with its record; a down file with `no-transaction` goes
/// statement by statement, and where it stopped, the next db-rollback goes on with it. The SQL is that of the `.down.sql` file, or
/// where there is none, what the ledger kept when the migration was applied. Shows the plan and
/// asks. All that is in the way is named before anything is undone. A database that is not local,
/// or that is marked as production, wants its name typed out, as db-reset does. Repeatable files
/// are applied again by the next db-migrate.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-rollback               the last one
  cargo xtask db-rollback -3            the last three
  cargo xtask db-rollback V3            everything above version 3
  cargo xtask db-rollback --all         everything, as `base` does
  cargo xtask db-rollback -1 --dry-run  what would be undone, and with which SQL; changes nothing
  cargo xtask db-rollback --sql 5:3     a script for psql, for a database that is at version 5")]
pub(crate) struct Args {
    /// How far: -1 for the last one, a version or a name to go back to, or base
    #[arg(default_value = "-1", allow_negative_numbers = true)]
    target: String,
    /// Undo so many
    #[arg(long, value_name = "N", conflicts_with_all = ["target", "all"])]
    steps: Option<std::num::NonZeroUsize>,
    /// Undo everything
    #[arg(long, conflicts_with = "target")]
    all: bool,
    /// Don't ask; enough for a local database that is not marked
    #[arg(long)]
    yes: bool,
    /// The name of the database, typed out
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Only show what would be undone
    #[arg(long)]
    dry_run: bool,
    /// Write a script for psql to standard output, and connect to nothing. TARGET is then FROM:TO,
    /// where FROM is the version that the database is at, by default the newest of the files. Only
    /// down files count, because the ledger can't be asked
    #[arg(long, conflicts_with_all = ["dry_run", "yes", "confirm", "wait", "json"])]
    sql: bool,
    /// How long to wait for another run that holds the lock, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// What the ledger names as having undone it.
const BUILD: &str = concat!(
    "cargo xtask db-rollback (touchmark ",
    env!("CARGO_PKG_VERSION"),
    ")"
);

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    if args.sql {
        return offline::rollback(&args.target, counted(args), project, screen);
    }
    offline::refuse_range(&args.target)?;
    let begun = Instant::now();
    let files = project.read(screen)?;
    let interrupts = Interrupts::listen()?;
    let database = match args.dry_run {
        true => database::running(project, screen)?,
        false => database::up(&project.settings()?, screen)?,
    };
    let migrator = files
        .migrator_of(BUILD)
        .wait(Duration::from_secs(args.wait))
        .canceller(&interrupts.canceller);
    let target = wanted(args, &files, &migrator, &database)?;
    let plan = migrator.rollback_plan(database.url.as_str(), target)?;
    if args.dry_run || plan.steps.is_empty() {
        show_only(args, &plan, &database, begun, screen);
        return Ok(exit_code::OK);
    }
    show(&plan, &database, screen);
    ask(args, &plan, &database)?;
    let watcher = Watcher::new(&files, &database, screen);
    let outcome = interrupts.during(|| {
        let watched = migrator.clone().on_event(|event| watcher.show(event));
        watched.rollback_as_planned(database.url.as_str(), &plan)
    });
    screen.still();
    let report = outcome?;
    if screen.is_json() {
        json::print(&answer(&plan, Some(&report), &database, report.elapsed));
        return Ok(exit_code::OK);
    }
    screen.done(
        "Finished",
        format_args!(
            "{} undone, {} ({})",
            report.undone.len(),
            head(report.newest.as_ref()),
            took(report.elapsed)
        ),
    );
    screen.print(url::redact(&database.url));
    Ok(exit_code::OK)
}

fn wanted(
    args: &Args,
    files: &Files,
    migrator: &Migrator,
    database: &Database,
) -> Result<RollbackTarget, Error> {
    match counted(args) {
        Some(target) => Ok(target),
        None => target::down(&args.target, files, || {
            let status = migrator.status(database.url.as_str())?;
            let unknown = status.comparison.unknown;
            Ok(unknown.into_iter().map(|unknown| unknown.id).collect())
        }),
    }
}

/// What `--all` and `--steps` say.
fn counted(args: &Args) -> Option<RollbackTarget> {
    match args.all {
        true => Some(RollbackTarget::Base),
        false => args.steps.map(|steps| RollbackTarget::Steps(steps.get())),
    }
}

/// Shows the plan where nothing follows.
fn show_only(
    args: &Args,
    plan: &RollbackPlan,
    database: &Database,
    begun: Instant,
    screen: &Screen,
) {
    if screen.is_json() {
        let mut answer = answer(plan, None, database, begun.elapsed());
        answer.dry_run = args.dry_run;
        json::print(&answer);
        return;
    }
    for line in lines(plan) {
        screen.print(line);
    }
    let head = head(plan.newest.as_ref());
    match plan.steps.len() {
        0 => screen.done("Finished", format_args!("nothing to undo, {head}")),
        steps => screen.done(
            "Finished",
            format_args!(
                "dry run: {steps} would be undone on {}, {head}",
                database::place(&database.url)
            ),
        ),
    }
}

/// Shows the plan before somebody is asked.
fn show(plan: &RollbackPlan, database: &Database, screen: &Screen) {
    screen.done("Plan", database::place(&database.url));
    for line in lines(plan) {
        screen.aside(format_args!("{:13}{line}\n", ""));
    }
}

/// A line for each migration, with where its SQL comes from.
fn lines(plan: &RollbackPlan) -> Vec<String> {
    let names = plan.steps.iter().map(|step| step.id.to_string());
    let width = names.map(|name| name.chars().count()).max();
    let width = width.unwrap_or_default().min(50);
    let undo = plan.steps.iter().map(|step| {
        let verb = if step.is_begun { "go on" } else { "undo" };
        let id = step.id.to_string();
        format!("{verb:<5} {id:<width$}  with {}", step.source)
    });
    let again = plan.again.iter().map(|id| {
        format!(
            "later {id:<width$}  applied again by the next db-migrate",
            id = id.to_string()
        )
    });
    undo.chain(again).collect()
}

fn ask(args: &Args, plan: &RollbackPlan, database: &Database) -> Result<(), Error> {
    let place = database::place(&database.url);
    let count = match plan.steps.len() {
        1 => "1 migration".to_owned(),
        count => format!("{count} migrations"),
    };
    let question = Question {
        command: format!("db-rollback {}", plan.target),
        will: format!("{count} will be undone, and data goes with what is dropped"),
        would: format!("{count} would be undone on {place}"),
        ask: format!(
            "{count} will be undone on {place}, and data goes with what is dropped. Type yes to go on: "
        ),
        yes: &["yes"],
    };
    let answers = Answers {
        yes: args.yes,
        name: args.confirm.as_deref(),
    };
    let environment = database::environment(&database.url)?;
    confirm(&question, &answers, database, environment.as_deref())
}

/// `head V2`.
fn head(newest: Option<&MigrationId>) -> String {
    newest.map_or_else(
        || "nothing is applied".into(),
        |id| format!("head {}", id.short()),
    )
}

fn answer(
    plan: &RollbackPlan,
    report: Option<&RollbackReport>,
    database: &Database,
    elapsed: Duration,
) -> json::RolledBack {
    let took = |id: &MigrationId| {
        let undone = report?.undone.iter().find(|undone| undone.id == *id)?;
        Some(millis(undone.elapsed))
    };
    let undone = plan.steps.iter().map(|step| json::Undo {
        migration: step.id.to_string(),
        source: step.source.to_string(),
        elapsed_ms: took(&step.id),
    });
    json::RolledBack {
        database: json::Database::of(database),
        undone: undone.collect(),
        again: plan.again.iter().map(ToString::to_string).collect(),
        head: plan.newest.as_ref().map(MigrationId::short),
        dry_run: false,
        elapsed_ms: millis(elapsed),
    }
}
