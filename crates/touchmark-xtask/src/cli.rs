//! The command line.

use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand};
use touchmark_engine::Kind;

use crate::commands::{
    completions, db_current, db_docs, db_doctor, db_down, db_history, db_hook, db_inspect, db_lock,
    db_logs, db_migrate, db_new, db_psql, db_reset, db_resolve, db_rollback, db_stamp, db_status,
    db_up, db_verify,
};
use crate::{exit_code, json};

const ENVIRONMENT: &str = "Configuration: a flag goes before the environment, that before \
[workspace.metadata.touchmark] in Cargo.toml.
  MIGRATION_DATABASE_URL, DATABASE_URL   the database (also read from .env)
  PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGSSLMODE, PGSERVICE, PGSERVICEFILE, PGPASSFILE
                                         what that leaves out, as psql takes it
  TOUCHMARK_ENGINE, TOUCHMARK_DIRECTORY, TOUCHMARK_DATABASE, TOUCHMARK_SCHEMA,
  TOUCHMARK_HISTORY_SCHEMA, TOUCHMARK_HISTORY_TABLE, TOUCHMARK_COMPOSE_FILE,
  TOUCHMARK_COMPOSE_SERVICE, TOUCHMARK_UPSTREAM
                                         as the flags and the keys of that name
  TOUCHMARK_PLACEHOLDER_<NAME>           the value of a placeholder
  NO_COLOR                               no colour

Examples:
  cargo xtask db-migrate                 find or start a database, and migrate it
  cargo xtask db-new add user email      write the next migration
  cargo xtask db-status                  what is applied, what is pending
";

/// Runs the developer's PostgreSQL, migrates it, and proves that what was applied has not been
/// changed since.
#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    version,
    after_help = format!("{ENVIRONMENT}\n{}", exit_code::HELP),
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// What every command takes. Not `Debug`, because a URL has a password and a placeholder may have a secret.
#[derive(Clone, Default, Args)]
pub(crate) struct Global {
    /// Change to this directory first
    #[arg(
        short = 'C',
        value_name = "DIR",
        global = true,
        help_heading = "Project"
    )]
    pub change_dir: Option<PathBuf>,
    /// The Cargo.toml of the project
    #[arg(long, value_name = "PATH", global = true, help_heading = "Project")]
    pub manifest_path: Option<PathBuf>,
    /// The directory of the migrations
    #[arg(long, value_name = "DIR", global = true, help_heading = "Project")]
    pub directory: Option<PathBuf>,
    /// The schema that unqualified names of the migrations mean, and of the history
    #[arg(long, value_name = "NAME", global = true, help_heading = "Project")]
    pub schema: Option<String>,
    /// The value of a placeholder; may be given several times
    #[arg(
        long = "placeholder",
        value_name = "NAME=VALUE",
        value_parser = pair,
        global = true,
        help_heading = "Project"
    )]
    pub placeholders: Vec<(String, String)>,
    /// The schema of the history table and of the ledger, where it is another
    #[arg(long, value_name = "NAME", global = true, help_heading = "Project")]
    pub history_schema: Option<String>,
    /// refinery's history table
    #[arg(long, value_name = "NAME", global = true, help_heading = "Project")]
    pub history_table: Option<String>,

    /// The database. It is visible in the list of processes: DATABASE_URL in the environment or
    /// in `.env` is the better way
    #[arg(long, value_name = "URL", global = true, help_heading = "Database")]
    pub database_url: Option<String>,
    /// Where the database comes from: url, compose, local or download
    #[arg(long, global = true, help_heading = "Database")]
    pub engine: Option<Kind>,
    /// The name of the database in a server that is started here
    #[arg(long, value_name = "NAME", global = true, help_heading = "Database")]
    pub database: Option<String>,
    /// The compose file
    #[arg(long, value_name = "PATH", global = true, help_heading = "Database")]
    pub compose_file: Option<PathBuf>,
    /// The service in it that is PostgreSQL
    #[arg(long, value_name = "NAME", global = true, help_heading = "Database")]
    pub compose_service: Option<String>,

    /// When to colour: auto, always or never
    #[arg(
        long,
        value_name = "WHEN",
        global = true,
        default_value_t,
        help_heading = "Output"
    )]
    pub color: ColorChoice,
    /// Only results and errors
    #[arg(short, long, global = true, help_heading = "Output")]
    pub quiet: bool,
    /// More about what is done and why
    #[arg(
        short,
        long,
        global = true,
        conflicts_with = "quiet",
        help_heading = "Output"
    )]
    pub verbose: bool,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    DbUp(db_up::Args),
    DbDown(db_down::Args),
    DbMigrate(db_migrate::Args),
    DbRollback(db_rollback::Args),
    DbStamp(db_stamp::Args),
    DbNew(db_new::Args),
    DbLock(db_lock::Args),
    DbStatus(db_status::Args),
    DbCurrent(db_current::Args),
    DbHistory(db_history::Args),
    DbVerify(db_verify::Args),
    DbReset(db_reset::Args),
    DbResolve(db_resolve::Args),
    DbPsql(db_psql::Args),
    DbLogs(db_logs::Args),
    DbDoctor(db_doctor::Args),
    DbHook(db_hook::Args),
    DbDocs(db_docs::Args),
    DbInspect(db_inspect::Args),
    Completions(completions::Args),
}

impl Command {
    /// Whether the answer is JSON.
    pub fn is_json(&self) -> bool {
        match self {
            Command::DbUp(args) => args.json,
            Command::DbDown(args) => args.json,
            Command::DbMigrate(args) => args.json,
            Command::DbRollback(args) => args.json,
            Command::DbStamp(args) => args.json,
            Command::DbNew(args) => args.json,
            Command::DbLock(args) => args.json,
            Command::DbStatus(args) => args.json,
            Command::DbCurrent(args) => args.json,
            Command::DbHistory(args) => args.json,
            Command::DbDoctor(args) => args.json,
            Command::DbVerify(args) => args.json,
            Command::DbReset(args) => args.json,
            Command::DbResolve(args) => args.json,
            Command::DbDocs(args) => args.json,
            Command::DbInspect(args) => args.json,
            Command::DbHook(_)
            | Command::DbPsql(_)
            | Command::DbLogs(_)
            | Command::Completions(_) => false,
        }
    }
}

/// The two sides of `NAME=VALUE`.
fn pair(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=').filter(|(name, _)| !name.is_empty());
    let (name, value) = pair.ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Prints what clap has to say, which may be the help; gives the exit code.
pub(crate) fn refuse(error: &clap::Error) -> u8 {
    let is_json = std::env::args_os()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json");
    if error.use_stderr() && is_json {
        let text = error.render().to_string();
        let message = text.lines().next().unwrap_or_default();
        json::print(&json::Failure::new(
            "usage",
            message.trim_start_matches("error: "),
            exit_code::USAGE,
        ));
    } else if error.print().is_err() {
        // Nobody reads it.
        return exit_code::FAILURE;
    }
    match error.use_stderr() {
        true => exit_code::USAGE,
        false => exit_code::OK,
    }
}
