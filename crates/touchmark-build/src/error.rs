//! Why nothing was embedded.

use std::io;
use std::path::PathBuf;

use touchmark_core::Problems;

/// Why nothing was embedded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The migrations or a manifest are wrong.
    #[error("{0}")]
    Problems(#[from] Problems),
    /// Cargo sets it for every build script.
    #[error("`{name}` is not set: this must be called from a build script that Cargo runs")]
    NotCargo {
        /// The environment variable.
        name: &'static str,
    },
    /// `TOUCHMARK_COMMIT` is for one word.
    #[error(
        "`TOUCHMARK_COMMIT` is `{value}`, which is no name of a commit: it takes up to 64 letters, \
         digits, `.`, `_`, `+`, `-` and `/`"
    )]
    Commit {
        /// What it holds.
        value: String,
    },
    /// A manifest, or the file for the encoded set.
    #[error("failed to {what} `{}`: {source}", path.display())]
    Io {
        /// `read` or `write`.
        what: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    /// As rustc shows an error; ends with a line end.
    pub fn render(&self, coloured: bool) -> String {
        match self {
            Error::Problems(problems) => {
                let count = match problems.errors() {
                    1 => "1 error".to_owned(),
                    count => format!("{count} errors"),
                };
                let shown = problems.render(coloured);
                format!("{shown}error: {count} in the migrations, nothing was embedded\n")
            }
            other => format!("error: {other}\n"),
        }
    }
}
