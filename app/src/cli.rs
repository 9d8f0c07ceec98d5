//! The command line.

use clap::{Args, Parser, Subcommand};
use touchmark::{RollbackTarget, Target};

/// The ingestion service
#[derive(Debug, Parser)]
#[command(name = "app", version, about, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What the binary can do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Migrate the database, then serve HTTP until SIGINT or SIGTERM
    Serve(Address),
    /// Ask the service that listens on this machine whether it is ready, as a container's health
    /// check does
    Healthcheck(Address),
    /// Migrate the database and exit, as a job before a deployment does
    Migrate {
        /// How far: latest, a version such as 3, or +1 for the next one
        #[arg(long, value_name = "TARGET", default_value = "latest")]
        to: Target,
    },
    /// Undo migrations, also those that a newer binary has applied: the database keeps what undoes
    /// them
    Rollback {
        /// How far: a version to go back to, -1 for the last one, or base
        #[arg(long, value_name = "TARGET", allow_hyphen_values = true)]
        to: RollbackTarget,
        /// Don't ask
        #[arg(long)]
        yes: bool,
    },
    /// List the embedded migrations; needs no database
    Migrations {
        /// Print one JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
}

/// The same for the service and for who asks it.
#[derive(Debug, Args)]
pub struct Address {
    /// Where `serve` listens; port 0 takes a free one
    #[arg(
        long,
        env = "LISTEN_ADDRESS",
        default_value = "127.0.0.1:8000",
        value_name = "HOST:PORT"
    )]
    pub listen: String,
}

// A password belongs in the environment: arguments can be read by everybody on the machine.
const AFTER_HELP: &str = "\
Environment (a file .env in the current directory is read too; what is set already wins):
  DATABASE_URL            the database, as postgresql://user:password@host:port/database
  MIGRATION_DATABASE_URL  preferred for migrating: a direct connection, the role of the owner
  TOUCHMARK_AHEAD         when a newer release has migrated the database on: refuse to start,
                          accept-prefix (start and log what is unknown; the default), or
                          accept-compatible (start if it declares `compatible-with previous`)
  LISTEN_ADDRESS          where `serve` listens, and `healthcheck` asks
  RUST_LOG                what is logged, as info or app=debug

Exit codes:
  0    done; for `serve`, stopped by a signal after the open requests were answered
  1    failed; for `healthcheck`, not ready
  2    the arguments or the environment are not usable
  14   `rollback` was not confirmed
  130  interrupted by SIGINT while migrating or undoing, or a second time while stopping
  143  the same by SIGTERM";
