//! What stops the service, and what to do about it.

use std::fmt;
use std::io;

use crate::signals::Signal;

/// What stops the service. No variant shows a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Nothing says where the database is.
    #[error("DATABASE_URL is not set")]
    NoDatabase,
    /// A connection string can't be read.
    #[error("{variable}: {source}")]
    Database {
        /// The variable that holds it.
        variable: &'static str,
        /// What is wrong with it.
        source: Box<touchmark::Error>,
    },
    /// The policy for a database that is ahead can't be read.
    #[error("TOUCHMARK_AHEAD: {0}")]
    Ahead(String),
    /// There is a `.env`, and it can't be read.
    #[error("failed to read .env: {0}")]
    Dotenv(String),
    /// The migrations, or reading them.
    #[error(transparent)]
    Migration(Box<touchmark::Error>),
    /// Nobody has said that migrations are to be undone.
    #[error("{0}")]
    NotConfirmed(&'static str),
    /// A signal came before the work was done.
    #[error("stopped by {signal}")]
    Interrupted {
        /// Which signal.
        signal: Signal,
        /// What it interrupted, where it was a migration.
        source: Option<Box<touchmark::Error>>,
    },
    /// The address can't be listened at.
    #[error("failed to listen at {address}: {source}")]
    Listen {
        /// The address as it was configured.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// The service can't be asked, or does not answer as one does that can take requests.
    #[error("the service at {address} is not ready: {reason}")]
    NotReady {
        /// The address as it was configured.
        address: String,
        /// What it answered, or why it did not.
        reason: String,
    },
    /// The pool of connections can't be made.
    #[error("failed to make the pool of connections: {0}")]
    Pool(#[from] deadpool_postgres::BuildError),
    /// The server ended by itself.
    #[error("failed to serve: {0}")]
    Serve(io::Error),
    /// The async runtime or the signal handlers can't be started.
    #[error("failed to start: {0}")]
    Start(io::Error),
    /// Standard output can't be written to.
    #[error("failed to write to standard output: {0}")]
    Output(io::Error),
}

impl From<touchmark::Error> for Error {
    fn from(error: touchmark::Error) -> Error {
        Error::Migration(error.into())
    }
}

impl Error {
    /// The exit code that `--help` documents.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::NoDatabase | Error::Database { .. } | Error::Ahead(_) | Error::Dotenv(_) => 2,
            Error::NotConfirmed(_) => 14,
            Error::Interrupted { signal, .. } => signal.exit_code(),
            _ => 1,
        }
    }

    /// The error and what to do about it, over several lines.
    pub fn report(&self) -> impl fmt::Display + '_ {
        Report(self)
    }

    fn help(&self) -> Option<String> {
        match self {
            Error::NoDatabase => Some(
                "`cargo xtask db-up` starts a database and writes it to .env; or set DATABASE_URL=postgresql://user:password@host:port/database".into(),
            ),
            Error::Database { source, .. } => source.help(),
            Error::NotConfirmed(_) => Some("nothing was changed; answer with `--yes`".into()),
            Error::Dotenv(_) => Some("mend the file, or remove it".into()),
            Error::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
                Some("something listens there already; set LISTEN_ADDRESS to another port".into())
            }
            Error::Listen { .. } => Some("write LISTEN_ADDRESS as host:port".into()),
            _ => None,
        }
    }
}

struct Report<'e>(&'e Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Error::Migration(error)
            | Error::Interrupted {
                source: Some(error),
                ..
            } => return error.report().fmt(f),
            error => write!(f, "error: {error}")?,
        }
        match self.0.help() {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}
