//! `db-verify`: the files are what was applied.
//!
//! Each link of the chain from the files to refinery's history has a module of its own, which
//! gives what differs there.

mod accept;
mod binary;
pub(crate) mod database;
pub(crate) mod diff;
pub(crate) mod difference;
mod down;
pub(crate) mod lock;
pub(crate) mod record;
pub(crate) mod staged;

use std::path::PathBuf;

use crate::error::Error;
use crate::inspect;
use crate::project::Project;
use crate::screen::Screen;
use crate::{exit_code, json};

use binary::Binary;
use difference::{Difference, code_of_all};

/// Prove that the files are what was applied
///
/// Compares the files with their lock and with what the database recorded. Names the first
/// difference, and shows what changed against the SQL that was applied. Reads only, unless a
/// cosmetic edit is to be accepted, an environment to be recorded or the lock to be fixed. The exit
/// code says what kind of difference it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-verify
  cargo xtask db-verify --offline       only the files and migrations.lock, without a database
  cargo xtask db-verify --binary target/release/app
                                        the program carries what the files say
  cargo xtask db-verify --all           show every difference, not only the first
  cargo xtask db-verify --accept-cosmetic 7
                                        the edited comments of V7 are what is recorded now
  cargo xtask db-verify --down          every down file undoes what its migration does
  cargo xtask db-verify --down V7       that of V7 does
  cargo xtask db-verify --staged        what is staged changes nothing that is merged or deployed
  cargo xtask db-verify --ci            the same for what is checked out, and all files and their lock
  cargo xtask db-verify --record staging
                                        what this database has applied may not be changed any more")]
pub(crate) struct Args {
    /// Show every difference, not only the first
    #[arg(long)]
    all: bool,
    /// Compare the files with migrations.lock only, without a database
    #[arg(long)]
    offline: bool,
    /// Also compare what this program, or a program in this container image, carries
    #[arg(long, value_name = "PROGRAM", conflicts_with_all = ["staged", "ci", "accept_cosmetic"])]
    binary: Option<PathBuf>,
    #[command(flatten)]
    which: inspect::Options,
    /// Record that the file of this migration was edited in comments and white space only: its
    /// text takes the place of the one that was applied, with your name from git. It is compared
    /// first, and refused where more was changed
    #[arg(long, value_name = "VERSION", conflicts_with_all = ["all", "offline", "staged", "ci", "record"])]
    accept_cosmetic: Option<String>,
    /// Compare what is staged with what is merged or deployed, without a database
    #[arg(long, conflicts_with_all = ["all", "offline"])]
    staged: bool,
    /// Write migrations.lock as the staged files are, and stage it
    #[arg(long, requires = "staged", conflicts_with = "ci")]
    fix: bool,
    /// As --staged for a clean checkout, with all files and their lock; fails where it can't tell
    #[arg(long, conflicts_with_all = ["all", "offline", "staged"])]
    ci: bool,
    /// The branch or commit that this one builds on, with --staged or --ci
    #[arg(long, value_name = "REV")]
    base: Option<String>,
    /// Write the findings as SARIF 2.1.0, with --staged or --ci
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write down in environments.lock how far this database is: all of that is frozen
    #[arg(long, value_name = "NAME", conflicts_with_all = ["offline", "staged", "ci"])]
    record: Option<String>,
    /// Try every down file, or that of one migration: up, down and up again in a scratch database
    /// on the same server, where each time everything must be as it was before
    #[arg(long, value_name = "VERSION", num_args = 0..=1, conflicts_with_all = ["all", "offline", "binary", "staged", "ci", "accept_cosmetic", "record"])]
    down: Option<Option<String>>,
    /// The name of the database, typed out, with --down: where it is not local or is marked, or
    /// where the migrations change roles or other things of the whole server
    #[arg(long, value_name = "NAME", requires = "down")]
    confirm: Option<String>,
    /// Exit with 75 when this program is older than its sources
    #[arg(long, hide = true, requires = "staged")]
    if_fresh: bool,
    /// Cargo has started this program for a hook
    #[arg(long, hide = true, requires = "staged", conflicts_with = "if_fresh")]
    from_hook: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    if let Some(which) = &args.accept_cosmetic {
        return accept::run(which, project, screen);
    }
    if let Some(which) = &args.down {
        return down::run(which.as_deref(), args.confirm.as_deref(), project, screen);
    }
    if args.staged || args.ci {
        return staged::run(args, project, screen);
    }
    if args.base.is_some() || args.sarif.is_some() {
        return Err(Error::Configuration {
            message: "--base and --sarif go with --staged or --ci".into(),
            help: "`cargo xtask db-verify --ci` compares what is checked out".into(),
        });
    }
    if args.binary.is_none() && (args.which.path.is_some() || args.which.package.is_some()) {
        return Err(Error::Configuration {
            message: "--path and --package go with --binary".into(),
            help: "`cargo xtask db-verify --binary PROGRAM` reads what a program carries".into(),
        });
    }
    if let Some(name) = &args.record {
        record::check(name)?;
    }
    let mut locked = lock::hold(project)?;
    let (binary, mut stale) = match &args.binary {
        Some(path) => {
            let binary = Binary::read(path, &args.which)?;
            let stale = binary.hold(&locked.files, project)?;
            if stale.is_empty() && !screen.is_json() {
                screen.done(
                    "Built",
                    format_args!("{}, from these files", binary.title()),
                );
            }
            (Some(binary), stale)
        }
        None => (None, Vec::new()),
    };
    if args.offline {
        locked.differences.append(&mut stale);
        return offline(args, locked, screen);
    }
    let database = match crate::database::running(project, screen) {
        Ok(database) => database,
        // What is known without a database goes before its absence.
        Err(_) if !locked.differences.is_empty() || !stale.is_empty() => {
            locked.differences.append(&mut stale);
            return offline(args, locked, screen);
        }
        Err(error) => return Err(error),
    };
    let files = project.read(screen)?;
    let mut held = database::hold(&files, &database)?;
    let mut differences = locked.differences;
    if let Some(binary) = &binary
        && !held.differences.is_empty()
        && !stale.is_empty()
        && binary.agrees_with(project, &database)?
    {
        binary::blame_files(&mut stale);
    }
    differences.append(&mut held.differences);
    differences.append(&mut stale);
    let code = code_of_all(differences.iter().map(|d| d.code)).unwrap_or(exit_code::OK);
    if let (Some(name), exit_code::OK) = (&args.record, code) {
        return record::run(name, &held, &database, project, screen);
    }
    if screen.is_json() {
        json::print(&json::Verified {
            database: Some(json::Database::of(&database)),
            verified: held.verified,
            pending: held.pending,
            findings: differences.into_iter().map(|d| d.finding).collect(),
            warnings: held.warnings,
        });
        return Ok(code);
    }
    difference::show(&differences, args.all, screen);
    for warning in &held.warnings {
        screen.warning(&warning.message);
    }
    conclude(&held, &differences, screen);
    Ok(code)
}

/// The answer without a database.
fn offline(args: &Args, locked: lock::Held, screen: &Screen) -> Result<u8, Error> {
    let lock::Held {
        differences,
        verified,
        is_locked,
        ..
    } = locked;
    let code = code_of_all(differences.iter().map(|d| d.code)).unwrap_or(exit_code::OK);
    if screen.is_json() {
        json::print(&json::Verified {
            database: None,
            verified,
            pending: 0,
            findings: differences.into_iter().map(|d| d.finding).collect(),
            warnings: Vec::new(),
        });
        return Ok(code);
    }
    difference::show(&differences, args.all, screen);
    match (differences.is_empty(), is_locked) {
        (true, false) => screen.odd(
            "Verified",
            "nothing: there is no migrations.lock; `cargo xtask db-lock` writes it",
        ),
        (true, true) => screen.done(
            "Verified",
            format_args!("{verified} as they were locked; no database was asked"),
        ),
        _ => screen.odd(
            "Verified",
            format_args!(
                "{verified} as they were locked, {}; no database was asked",
                difference::count(&differences)
            ),
        ),
    }
    Ok(code)
}

fn conclude(held: &database::Held, differences: &[Difference], screen: &Screen) {
    let mut applied = format!("{} applied", held.verified);
    if held.adoptable > 0 {
        applied += &format!(" ({} in refinery's history only)", held.adoptable);
    }
    let pending = match held.pending {
        0 => String::new(),
        pending => format!(", {pending} pending"),
    };
    match differences.is_empty() {
        true => screen.done(
            "Verified",
            format_args!("{applied}, all as their files{pending}"),
        ),
        false => screen.odd(
            "Verified",
            format_args!("{applied}, {}{pending}", difference::count(differences)),
        ),
    }
}
