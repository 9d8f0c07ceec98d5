//! `db-psql`: psql, connected.

use std::ffi::OsString;
use std::process::Command;

use touchmark_engine as engine;

use crate::database;
use crate::error::Error;
use crate::project::Project;
use crate::screen::Screen;

/// Open psql on the developer's database
///
/// Uses the psql of the database's own programs, of the machine, or of the container. The password
/// is passed in the environment, never among the arguments. Unqualified names mean the schema of the
/// migrations first, where one is set. The exit code is psql's.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  cargo xtask db-psql
  cargo xtask db-psql -- -c 'SELECT count(*) FROM users'
  cargo xtask db-psql -- -f seed.sql")]
pub(crate) struct Args {
    /// What psql gets as its arguments
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<OsString>,
}

pub(crate) fn run(args: &Args, project: &Project, screen: &Screen) -> Result<u8, Error> {
    let database = database::running(project, screen)?;
    let mut command = engine::psql(
        &project.settings()?,
        &database,
        project.home.schema.as_deref(),
    )?;
    command.args(&args.arguments);
    become_it(command)
}

/// psql takes the place of this process, so that Ctrl-C is its own affair.
#[cfg(unix)]
fn become_it(mut command: Command) -> Result<u8, Error> {
    use std::os::unix::process::CommandExt;
    let source = command.exec();
    Err(failed(&command, source))
}

#[cfg(not(unix))]
fn become_it(mut command: Command) -> Result<u8, Error> {
    let status = command
        .status()
        .map_err(|source| failed(&command, source))?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.unwrap_or(crate::exit_code::FAILURE))
}

fn failed(command: &Command, source: std::io::Error) -> Error {
    Error::Process {
        doing: format!("run `{}`", command.get_program().to_string_lossy()),
        source,
    }
}
