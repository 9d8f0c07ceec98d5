//! `db-up`: the developer's database runs.

use touchmark_engine::{Kind, url};

use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::Project;
use crate::screen::Screen;
use crate::{database, exit_code, json};

/// Start the developer's database, unless it runs already
///
/// Uses DATABASE_URL if there is one, else docker compose, else PostgreSQL on this machine, else
/// downloads it. Waits until it accepts logins, and writes DATABASE_URL to `.env`, which git
/// ignores. Prints the URL without its password.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-up
  cargo xtask db-up --pgadmin           pgAdmin too, with the server registered (compose only)
  cargo xtask db-up --engine local      a private server from the programs of this machine")]
pub(crate) struct Args {
    /// Start pgAdmin too, with the server registered already (compose only)
    #[arg(long)]
    pgadmin: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let mut settings = project.settings()?;
    settings.pgadmin = args.pgadmin;
    let _interrupts = Interrupts::listen()?;
    let database = database::up(&settings, screen)?;
    if args.pgadmin && database.engine != Kind::Compose {
        let engine = database.engine;
        screen.warning(format_args!(
            "pgAdmin comes with the engine compose only, and this database is of the engine {engine}"
        ));
    }
    if screen.is_json() {
        let database = json::Database::of(&database);
        json::print(&json::Up { database });
        return Ok(exit_code::OK);
    }
    if database.started.is_none() {
        screen.done("Running", database::place(&database.url));
    }
    screen.print(url::redact(&database.url));
    Ok(exit_code::OK)
}
