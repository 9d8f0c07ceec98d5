//! Everything that can go wrong, each with what to do about it.

use std::{io, path::PathBuf};

use crate::url::UrlProblem;

/// What went wrong. [`Error::help`] says what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// An engine's name that there is none of.
    #[error("unknown engine `{name}`")]
    UnknownEngine {
        /// What was asked for.
        name: String,
    },
    /// A database URL that can't be used.
    #[error("{problem}")]
    Url {
        /// What is wrong with it.
        problem: UrlProblem,
    },
    /// A file or directory could not be read, written, locked or deleted.
    #[error("failed to {action} `{}`: {source}", path.display())]
    Io {
        /// "read", "write" …
        action: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// The text of the `help:` line below the error.
    pub fn help(&self) -> Option<String> {
        Some(match self {
            Error::UnknownEngine { .. } => "use one of: url, compose, local, download".to_owned(),
            Error::Url { problem } => problem.help(),
            Error::Io { .. } => return None,
        })
    }
}
