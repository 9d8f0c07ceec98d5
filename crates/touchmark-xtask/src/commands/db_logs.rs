//! `db-logs`: the server's log.

use touchmark_engine as engine;

use crate::error::Error;
use crate::exit_code;
use crate::project::Project;

/// Print the log of the developer's database
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-logs | grep ERROR
  cargo xtask db-logs -f                go on with what is added, until Ctrl-C")]
pub(crate) struct Args {
    /// Go on with what is added
    #[arg(short, long)]
    follow: bool,
}

pub(crate) fn run(args: &Args, project: &Project) -> Result<u8, Error> {
    engine::logs(&project.settings()?, args.follow)?;
    Ok(exit_code::OK)
}
