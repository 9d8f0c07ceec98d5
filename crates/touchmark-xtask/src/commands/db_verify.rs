//! `db-verify`: the files are what was applied.
//!
//! Each link of the chain from the files to refinery's history has a module of its own, which
//! gives what differs there.

mod database;
mod diff;
mod difference;

use crate::error::Error;
use crate::project::Project;
use crate::screen::Screen;
use crate::{exit_code, json};

use difference::{Difference, code_of_all};

/// Prove that the files are what was applied
///
/// Compares the checksums of the files with those that the database recorded. Names the first
/// difference, and shows what changed against the SQL that was applied. Reads only. The exit code
/// says what kind of difference it is.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-verify
  cargo xtask db-verify --all           show every difference, not only the first")]
pub(crate) struct Args {
    /// Show every difference, not only the first
    #[arg(long)]
    all: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let database = crate::database::running(project, screen)?;
    let held = database::hold(&files, &database)?;
    let (verified, pending) = (held.verified, held.pending);
    let differences = held.differences;
    let code = code_of_all(&differences).unwrap_or(exit_code::OK);
    if screen.is_json() {
        json::print(&json::Verified {
            database: json::Database::of(&database),
            verified,
            pending,
            findings: differences.into_iter().map(|d| d.finding).collect(),
        });
        return Ok(code);
    }
    difference::show(&differences, args.all, screen);
    conclude(verified, pending, &differences, screen);
    Ok(code)
}

fn conclude(verified: usize, pending: usize, differences: &[Difference], screen: &Screen) {
    let pending = match pending {
        0 => String::new(),
        pending => format!(", {pending} pending"),
    };
    match differences.len() {
        0 => screen.done(
            "Verified",
            format_args!("{verified} applied, all as their files{pending}"),
        ),
        1 => screen.odd(
            "Verified",
            format_args!("{verified} applied, 1 difference{pending}"),
        ),
        some => screen.odd(
            "Verified",
            format_args!("{verified} applied, {some} differences{pending}"),
        ),
    }
}
