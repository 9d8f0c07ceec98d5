//! `db-reset`: the database is dropped, made again and migrated.

use std::time::Duration;

use touchmark::Target;

use super::db_migrate::{self, Options};
use crate::confirm::{Answers, Question, confirm};
use crate::database;
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::Project;
use crate::screen::Screen;

mod recreate;

/// Drop the database, make it again, and migrate it
///
/// All its data is lost. A database that is not local, or that is marked, is reset only when its
/// name is typed out. It is marked with ALTER DATABASE app SET touchmark.environment =
/// 'production'; the values development, test and local are no mark. Owner, encoding, locale and
/// settings of the database stay as they were.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-reset                  asks first
  cargo xtask db-reset --yes            for scripts; enough for a local database
  cargo xtask db-reset --confirm app    for one that is not local, or marked")]
pub(crate) struct Args {
    /// Don't ask; enough for a local database that is not marked
    #[arg(long)]
    yes: bool,
    /// The name of the database, typed out
    #[arg(long, value_name = "NAME")]
    confirm: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    // A broken file must be found while there still is a database.
    let files = project.read(screen)?;
    let interrupts = Interrupts::listen()?;
    let database = database::up(&project.settings()?, screen)?;
    let known = recreate::look(&database.url)?;
    let place = database::place(&database.url);
    let question = Question {
        command: "db-reset".into(),
        will: "All its data will be lost".into(),
        would: format!("all data of {place} would be lost"),
        ask: format!("All data of {place} will be lost. Reset it? [y/N] "),
        yes: &["y", "Y", "yes", "Yes"],
    };
    let answers = Answers {
        yes: args.yes,
        name: args.confirm.as_deref(),
    };
    confirm(&question, &answers, &database, known.environment.as_deref())?;
    recreate::recreate(&database.url, &known)?;
    screen.done("Reset", database::place(&database.url));
    let options = Options {
        target: Target::Latest,
        wait: Duration::from_secs(600),
        backup: None,
    };
    db_migrate::migrate(&files, &database, &options, &interrupts, screen)
}
