//! The ingestion service: one binary that carries its migrations and applies them itself.
//!
//! [`migration::migrate`] is what an async application does with the runtime; the rest is a small
//! HTTP service over the tables that the migrations make.
//!
//! ```text
//! app serve              migrates, then serves
//! app healthcheck        asks the service whether it is ready
//! app migrate            only migrates
//! app rollback --to -1   undoes, also what a newer binary has applied
//! app migrations --json  says what is embedded, without a database
//! ```

pub mod cli;
pub mod config;
mod error;
pub mod healthcheck;
pub mod http;
pub mod listing;
pub mod migration;
pub mod readiness;
pub mod repository;
pub mod rollback;
pub mod serve;
pub mod signals;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use touchmark::Target;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

pub use error::Error;

use cli::{Cli, Command};
use config::Config;
use signals::Signals;

/// Runs the command that the arguments name, and says on standard error what went wrong.
pub fn main() -> ExitCode {
    // Before the arguments are read, because their defaults come from the environment too.
    let dotenv = config::load_dotenv();
    let cli = Cli::parse();
    match run(cli, dotenv) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where nobody reads standard error, the exit code is all that is left.
            let _ = writeln!(io::stderr(), "{}", error.report());
            ExitCode::from(error.exit_code())
        }
    }
}

fn run(cli: Cli, dotenv: Result<(), Error>) -> Result<(), Error> {
    if let Command::Migrations { json } = cli.command {
        return listing::print(&mut io::stdout().lock(), json);
    }
    dotenv?;
    if let Command::Healthcheck(address) = cli.command {
        return healthcheck::ask(&address.listen);
    }
    start_log();
    let config = Config::from_env()?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Error::Start)?;
    runtime.block_on(async {
        let mut signals = Signals::listen().map_err(Error::Start)?;
        let target = match cli.command {
            Command::Rollback { to, yes } => {
                return rollback::rollback(&config, to, yes, &mut signals).await;
            }
            Command::Migrate { to } => to,
            _ => Target::Latest,
        };
        migration::migrate(&config, target, &mut signals).await?;
        match cli.command {
            Command::Serve(address) => serve::serve(&config, &address.listen, &mut signals).await,
            _ => Ok(()),
        }
    })
}

/// One line for each event on standard error. The runtime's events arrive through `log`.
fn start_log() {
    let wanted = std::env::var("RUST_LOG").unwrap_or_default();
    let filter = EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse_lossy(match wanted.trim() {
            // refinery says over two lines what the runtime's own events say.
            "" => "info,refinery_core=warn",
            wanted => wanted,
        });
    let is_plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !is_plain)
        .init();
}

#[cfg(test)]
mod tests {
    /// Of all tests Cargo runs these first, so what is missing is told once, rather than by each test that needs it.
    #[test]
    fn the_machine_has_what_the_tests_need() {
        test_needs::everything();
    }
}
