//! `db-down`: the developer's database is stopped.

use touchmark_engine as engine;

use crate::error::Error;
use crate::project::Project;
use crate::screen::Screen;
use crate::{exit_code, json};

/// Stop the developer's database
///
/// Only one that these commands started; a database that DATABASE_URL names is left alone.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-down                   the data stays for the next db-up
  cargo xtask db-down --volumes         delete the data too")]
pub(crate) struct Args {
    /// Delete its data too
    #[arg(long)]
    volumes: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    screen.live("Stopping", "");
    let down = engine::down(&project.settings()?, args.volumes);
    screen.still();
    let down = down?;
    if screen.is_json() {
        json::print(&json::Down {
            engine: down.engine,
            stopped: down.stopped,
            deleted: down.deleted,
            detail: down.detail,
        });
        return Ok(exit_code::OK);
    }
    match down.detail.split_once(' ') {
        Some(("stopped", what)) => screen.done("Stopped", what),
        Some(("deleted", what)) => screen.done("Deleted", what),
        _ => screen.done("Finished", down.detail),
    }
    Ok(exit_code::OK)
}
