//! The commands `cargo xtask db-*`. A project gets all of them with an `xtask/src/main.rs` of
//! three lines:
//!
//! ```no_run
//! fn main() -> std::process::ExitCode {
//!     touchmark_xtask::main()
//! }
//! ```
//!
//! and `xtask = "run --quiet --package xtask --"` under `[alias]` of `.cargo/config.toml`.
//!
//! # Configuration
//!
//! A flag goes before the environment, the environment before the manifest, and that before the
//! default. Paths in flags are relative to where the command is typed, all others to the workspace.
//!
//! | flag | environment | `[workspace.metadata.touchmark]` | default |
//! |---|---|---|---|
//! | `--database-url` | `MIGRATION_DATABASE_URL`, `DATABASE_URL`; also in `.env` | | |
//! | `--engine` | `TOUCHMARK_ENGINE` | `engine` | the first that works |
//! | `--directory` | `TOUCHMARK_DIRECTORY` | `directory` | `migrations` |
//! | `--database` | `TOUCHMARK_DATABASE` | `database` | the workspace's name |
//! | `--history-schema` | `TOUCHMARK_HISTORY_SCHEMA` | `history-schema` | `public` |
//! | `--history-table` | `TOUCHMARK_HISTORY_TABLE` | `history-table` | `refinery_schema_history` |
//! | `--compose-file` | `TOUCHMARK_COMPOSE_FILE` | `compose-file` | `compose.yaml` |
//! | `--base` | `TOUCHMARK_UPSTREAM` | `upstream` | `origin/HEAD`, `origin/main`, … |
//! | `--compose-service` | `TOUCHMARK_COMPOSE_SERVICE` | `compose-service` | `postgres` |
//!
//! # For scripts
//!
//! [`exit_code`] names the exit codes. With `--json` a command prints one JSON object, whose
//! shape is that of the structs in [`json`], and an error is [`json::Failure`].

// The doc example is a whole program, because that is how little it is.
#![allow(clippy::needless_doctest_main)]

mod adopt;
mod backup;
mod catalog;
mod cli;
mod commands;
mod confirm;
mod database;
mod error;
pub mod exit_code;
mod frozen;
mod git;
mod inspect;
mod interrupt;
pub mod json;
mod offline;
mod project;
mod schema;
mod scratch;
mod screen;
mod target;
mod watcher;

use std::process::ExitCode;

use clap::Parser;

use cli::{Cli, Command};
use error::Error;
use project::Project;
use screen::Screen;

/// Runs the command that the process was called with.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => return ExitCode::from(cli::refuse(&error)),
    };
    let screen = Screen::new(&cli);
    let code = run(&cli, &screen).unwrap_or_else(|error| screen.fail(&error));
    ExitCode::from(code)
}

fn run(cli: &Cli, screen: &Screen) -> Result<u8, Error> {
    if let Command::Completions(args) = &cli.command {
        return commands::completions::run(args);
    }
    if let Command::DbInspect(args) = &cli.command {
        return commands::db_inspect::run(args, &cli.global, screen);
    }
    // Looks into a project that can't be found, too.
    if let Command::DbDoctor(args) = &cli.command {
        return commands::db_doctor::run(args, &cli.global, screen);
    }
    let project = Project::find(&cli.global)?;
    match &cli.command {
        Command::DbUp(args) => commands::db_up::run(args, &project, screen),
        Command::DbDown(args) => commands::db_down::run(args, &project, screen),
        Command::DbMigrate(args) => commands::db_migrate::run(args, &project, screen),
        Command::DbRollback(args) => commands::db_rollback::run(args, &project, screen),
        Command::DbStamp(args) => commands::db_stamp::run(args, &project, screen),
        Command::DbNew(args) => commands::db_new::run(args, &project, screen),
        Command::DbLock(args) => commands::db_lock::run(args, &project, screen),
        Command::DbStatus(args) => commands::db_status::run(args, &project, screen),
        Command::DbCurrent(args) => commands::db_current::run(args, &project, screen),
        Command::DbHistory(args) => commands::db_history::run(args, &project, screen),
        Command::DbVerify(args) => commands::db_verify::run(args, &project, screen),
        Command::DbHook(args) => commands::db_hook::run(args, &project, screen),
        Command::DbReset(args) => commands::db_reset::run(args, &project, screen),
        Command::DbResolve(args) => commands::db_resolve::run(args, &project, screen),
        Command::DbPsql(args) => commands::db_psql::run(args, &project, screen),
        Command::DbLogs(args) => commands::db_logs::run(args, &project),
        Command::DbDocs(args) => commands::db_docs::run(args, &project, screen),
        Command::DbInspect(args) => commands::db_inspect::run(args, &cli.global, screen),
        Command::DbDoctor(args) => commands::db_doctor::run(args, &cli.global, screen),
        Command::Completions(args) => commands::completions::run(args),
    }
}
