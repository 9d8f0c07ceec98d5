//! Why a batch failed, and whether the connection is gone with it.

use tokio_postgres::error::{DbError, Severity};

/// Why a batch failed.
#[derive(Debug)]
pub(crate) enum Cause {
    /// The server or the driver said something.
    Driver(tokio_postgres::Error),
    /// The server is done with it or gone, and no answer arrives.
    Silent,
}

/// How a connection was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    Broken,
    /// By an administrator: on purpose, or because the server is shut down.
    Terminated,
}

impl Cause {
    pub(crate) fn as_db_error(&self) -> Option<&DbError> {
        match self {
            Cause::Driver(error) => error.as_db_error(),
            Cause::Silent => None,
        }
    }

    /// Whether the connection is gone with it.
    pub(crate) fn loss(&self) -> Option<Loss> {
        let error = match self {
            Cause::Silent => return Some(Loss::Broken),
            Cause::Driver(error) => error,
        };
        if let Some(server) = error.as_db_error() {
            return match (server.code().code(), server.parsed_severity()) {
                ("57P01", _) => Some(Loss::Terminated),
                // The server ends the session after such an error, whatever it is.
                (_, Some(Severity::Fatal | Severity::Panic)) => Some(Loss::Broken),
                ("57P02" | "57P03", _) => Some(Loss::Broken),
                _ => None,
            };
        }
        // What the driver can't read leaves it where it can't go on.
        Some(Loss::Broken)
    }

    /// What was said, by the server or the system.
    pub(crate) fn text(&self) -> String {
        match self {
            Cause::Silent => "the server does not answer any more".into(),
            Cause::Driver(error) => match error.as_db_error() {
                Some(server) => server.message().into(),
                None => deepest(error),
            },
        }
    }
}

/// The innermost cause: tokio_postgres' own text only says that something failed.
pub(crate) fn deepest(error: &tokio_postgres::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
}
