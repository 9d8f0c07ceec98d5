//! `db-resolve`: settles what an interrupted migration left open.

use touchmark::Resolution;

use crate::error::Error;
use crate::project::Project;
use crate::screen::Screen;
use crate::{database, exit_code, json};

/// Settle a migration without a transaction, or the undo of one, that was interrupted
///
/// Of some statements nobody can tell after an interruption whether they were carried out. Look at
/// the database, then say it here. The decision is recorded under the migration lock.
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("resolution").required(true),
    after_help = "Examples:
  cargo xtask db-resolve V7 --done      the statement was carried out: go on after it
  cargo xtask db-resolve V7 --retry     it was not: carry it out again with the next db-migrate
  cargo xtask db-resolve V7 --abandon   give the migration up; what it did stays"
)]
pub(crate) struct Args {
    /// The migration: 7, V7 or V7__name
    migration: String,
    /// The interrupted statement was carried out
    #[arg(long, group = "resolution")]
    done: bool,
    /// It was not carried out, and is to be carried out again
    #[arg(long, group = "resolution")]
    retry: bool,
    /// Give the migration up: it counts as not applied
    #[arg(long, group = "resolution")]
    abandon: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let files = project.read(screen)?;
    let database = database::running(project, screen)?;
    let resolution = match (args.done, args.retry) {
        (true, _) => Resolution::Done,
        (_, true) => Resolution::Retry,
        _ => Resolution::Abandon,
    };
    let resolved = files
        .migrator()
        .on_event(|event| screen.odd("Waiting", event))
        .resolve(database.url.as_str(), &args.migration, resolution)?;
    if screen.is_json() {
        json::print(&json::Resolved {
            migration: resolved.id.to_string(),
            statements_done: resolved.done,
            statements: resolved.total,
            undo: resolved.is_undo,
            finished: resolved.finished,
        });
        return Ok(exit_code::OK);
    }
    let (id, done, total) = (&resolved.id, resolved.done, resolved.total);
    let (state, command) = match resolved.is_undo {
        true => ("undone", "db-rollback"),
        false => ("applied", "db-migrate"),
    };
    match resolution {
        Resolution::Abandon if resolved.is_undo => screen.done(
            "Abandoned",
            format_args!(
                "the undo of {id}, which counts as applied: {done} of {total} statements that undo it stay carried out"
            ),
        ),
        Resolution::Abandon => {
            screen.done(
                "Abandoned",
                format_args!("{id}: {done} of its {total} statements stay carried out"),
            );
        }
        _ if resolved.finished => screen.done("Resolved", format_args!("{id} is {state}")),
        _ => screen.done(
            "Resolved",
            format_args!(
                "{id}: {done} of {total} statements done, `cargo xtask {command}` goes on"
            ),
        ),
    }
    Ok(exit_code::OK)
}
