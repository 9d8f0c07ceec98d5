//! `db-migrate`: the schema is that of the files.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use touchmark::{Action, Kind, Migrator, Report, Step, Target};
use touchmark_engine::{Database, url};

use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::{Files, Project};
use crate::screen::Screen;
use crate::watcher::Watcher;
use crate::{backup, database, exit_code, json, offline, target};

/// Find or start the database, and apply what is pending
///
/// Each migration is one transaction together with its record. A second run finds nothing to do.
/// Ctrl-C rolls back what runs.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-migrate                everything that is pending
  cargo xtask db-migrate +1             the next one only
  cargo xtask db-migrate V3             up to version 3
  cargo xtask db-migrate add_user_email up to the migration of that name
  cargo xtask db-migrate --backup       keep a dump in backups/ first, and say how to restore it
  cargo xtask db-migrate --dry-run      what would be applied; starts and creates nothing
  cargo xtask db-migrate --sql          everything as a script for psql, for an empty database
  cargo xtask db-migrate --sql 3:       the same for a database that is at version 3")]
pub(crate) struct Args {
    /// How far: latest, a version such as 3 or V3 or the beginning of one, a name such as
    /// add_user_email, or +1 for the next one
    #[arg(default_value = "latest", allow_hyphen_values = true)]
    target: String,
    /// Only show what would be applied
    #[arg(long)]
    dry_run: bool,
    /// Take a backup with pg_dump first, where something is pending; without one, nothing is
    /// migrated. Default: backups/DATABASE-TIME.dump in the workspace
    #[arg(long, value_name = "FILE", num_args = 0..=1, require_equals = true, conflicts_with_all = ["dry_run", "sql"])]
    backup: Option<Option<PathBuf>>,
    /// Write a script for psql to standard output, and connect to nothing. TARGET is then FROM:TO,
    /// where FROM is the version that the database is at, or base
    #[arg(long, conflicts_with_all = ["dry_run", "wait", "json"])]
    sql: bool,
    /// How long to wait for another run that holds the lock, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    wait: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    if args.sql {
        return offline::migrate(&args.target, project, screen);
    }
    offline::refuse_range(&args.target)?;
    // Before anything is started: a broken file stops the command either way.
    let files = project.read(screen)?;
    let target = target::up(&args.target, &files).map_err(|error| match &args.backup {
        // The file of the backup is part of its flag, so that a target may follow it.
        Some(None) if args.target.contains(['.', '/', '\\']) => Error::Configuration {
            message: format!("`{}` is not a target", args.target),
            help: format!(
                "the file of a backup stands behind `=`: `--backup={}`",
                args.target
            ),
        },
        _ => error,
    })?;
    if args.dry_run {
        return dry_run(target, project, &files, screen);
    }
    let interrupts = Interrupts::listen()?;
    let database = database::up(&project.settings()?, screen)?;
    let mut options = Options {
        target,
        wait: Duration::from_secs(args.wait),
        backup: None,
    };
    if let Some(file) = &args.backup {
        let plan = migrator(&files, &options, &interrupts).plan(database.url.as_str())?;
        if !plan.steps.is_empty() {
            let file = file.as_deref();
            let backup = backup::take(file, project, &database, &interrupts, screen)?;
            options.backup = Some(backup);
        }
    }
    migrate(&files, &database, &options, &interrupts, screen)
}

pub(crate) struct Options {
    pub(crate) target: Target,
    pub(crate) wait: Duration,
    /// The backup that was taken.
    pub(crate) backup: Option<json::Backup>,
}

/// Migrates, and shows what happens.
pub(crate) fn migrate(
    files: &Files,
    database: &Database,
    options: &Options,
    interrupts: &Interrupts,
    screen: &Screen,
) -> Result<u8, Error> {
    let watcher = Watcher::new(files, database, screen);
    let migrator = migrator(files, options, interrupts);
    let outcome = interrupts.during(|| {
        let watched = migrator.clone().on_event(|event| watcher.show(event));
        watched.run(database.url.as_str())
    });
    screen.still();
    let report = outcome?;
    if screen.is_json() {
        json::print(&answer(&report, files, database, options));
        return Ok(exit_code::OK);
    }
    let pending = match options.target {
        Target::Latest => 0,
        _ => pending(&migrator, database)?,
    };
    screen.done("Finished", finished(&report, files, pending));
    screen.print(url::redact(&database.url));
    Ok(exit_code::OK)
}

fn migrator<'f>(files: &'f Files, options: &Options, interrupts: &Interrupts) -> Migrator<'f> {
    files
        .migrator()
        .target(options.target)
        .wait(options.wait)
        .canceller(&interrupts.canceller)
}

/// How many are left after a run to a target.
fn pending(migrator: &Migrator, database: &Database) -> Result<usize, Error> {
    let plan = migrator
        .clone()
        .target(Target::Latest)
        .plan(database.url.as_str())?;
    Ok(plan.steps.len())
}

fn finished(report: &Report, files: &Files, pending: usize) -> String {
    let did = match (report.applied.len(), files.set.migrations.is_empty()) {
        (0, true) => {
            "nothing to do: there are no migrations (`cargo xtask db-new NAME` writes one)".into()
        }
        (0, false) => "nothing to do".into(),
        (applied, _) => format!("{applied} applied"),
    };
    let left = match (report.applied.len(), pending) {
        (0, 0) => String::new(),
        (_, 0) => ", nothing pending".into(),
        (_, pending) => format!(", {pending} pending"),
    };
    let head = head(report, files).map_or_else(String::new, |head| format!(", head {head}"));
    format!("{did}{left}{head} ({})", took(report.elapsed))
}

/// `0.02 s`, `1.5 s`.
pub(crate) fn took(elapsed: Duration) -> String {
    let seconds = elapsed.as_secs_f64();
    match seconds < 0.1 {
        true => format!("{seconds:.2} s"),
        false => format!("{seconds:.1} s"),
    }
}

/// `V2`: the newest version that is applied.
fn head(report: &Report, files: &Files) -> Option<String> {
    if let Some(newest) = &report.newest {
        return Some(newest.short());
    }
    // A run that had nothing to do did not read the history: it is at the head of the set.
    let versioned = files
        .set
        .migrations
        .iter()
        .rfind(|m| m.kind != Kind::Repeatable)?;
    Some(format!("{}{}", versioned.kind.letter(), versioned.version))
}

fn answer(
    report: &Report,
    files: &Files,
    database: &Database,
    options: &Options,
) -> json::Migrated {
    let steps = report.applied.iter().map(|applied| json::Step {
        migration: applied.id.to_string(),
        action: "apply",
        elapsed_ms: Some(millis(applied.elapsed)),
    });
    json::Migrated {
        database: json::Database::of(database),
        applied: steps.collect(),
        head: head(report, files),
        dry_run: false,
        backup: options.backup.clone(),
        elapsed_ms: millis(report.elapsed),
    }
}

pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn dry_run(target: Target, project: &Project, files: &Files, screen: &Screen) -> Result<u8, Error> {
    let begun = Instant::now();
    let database = database::running(project, screen)?;
    let plan = files
        .migrator()
        .target(target)
        .plan(database.url.as_str())?;
    if screen.is_json() {
        let steps = plan.steps.iter().map(|step| json::Step {
            migration: step.id.to_string(),
            action: action(step),
            elapsed_ms: None,
        });
        json::print(&json::Migrated {
            database: json::Database::of(&database),
            applied: steps.collect(),
            head: plan.newest.as_ref().map(|newest| newest.short()),
            dry_run: true,
            backup: None,
            elapsed_ms: millis(begun.elapsed()),
        });
        return Ok(exit_code::OK);
    }
    for step in &plan.steps {
        screen.print(format_args!("{:<7} {}", action(step), step.id));
    }
    if !plan.adopt.is_empty() {
        screen.done(
            "Would",
            format_args!("take over {} that refinery applied", plan.adopt.len()),
        );
    }
    let head = plan
        .newest
        .as_ref()
        .map_or_else(String::new, |id| format!(", head {}", id.short()));
    let would = match plan.steps.len() {
        0 => "nothing to do".into(),
        steps => format!(
            "dry run: {steps} would be applied to {}",
            database::place(&database.url)
        ),
    };
    screen.done("Finished", format_args!("{would}{head}"));
    Ok(exit_code::OK)
}

fn action(step: &Step) -> &'static str {
    match step.action {
        Action::Changed => "changed",
        Action::Again => "again",
        Action::Resume => "resume",
        Action::Apply if step.id.kind == Kind::Repeatable => "new",
        _ => "apply",
    }
}
