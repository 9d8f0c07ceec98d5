//! What can be wrong with a database URL, and how to write it.

use std::path::PathBuf;

/// What is wrong with a database URL. None of it shows a part of the password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UrlProblem {
    /// Nothing, or white space.
    #[error("the database URL is empty")]
    Empty,
    /// The quotes of a shell or of a `.env` file became part of the value.
    #[error("the database URL begins with a quotation mark ({quote})")]
    Quoted {
        /// `"` or `'`.
        quote: char,
    },
    /// The closing one of such quotes alone.
    #[error("the database URL ends with a quotation mark ({quote})")]
    QuotedEnd {
        /// `"` or `'`.
        quote: char,
    },
    /// White space or a control character.
    #[error("the database URL contains white space (character {position})")]
    WhiteSpace {
        /// Counted from 1.
        position: usize,
    },
    /// SQLAlchemy's `dialect+driver://`.
    #[error("the database URL begins with `{scheme}://`, which names a Python driver")]
    Driver {
        /// `postgresql+psycopg2`.
        scheme: String,
    },
    /// Another database's URL, or none at all.
    #[error("the database URL is not a PostgreSQL URL{}", .scheme.as_ref().map(|s| format!(" (it begins with `{s}://`)")).unwrap_or_default())]
    Scheme {
        /// `mysql`, if there is one.
        scheme: Option<String>,
    },
    /// A character that ends the password, or means something else in it.
    #[error(
        "the password in the database URL contains an unescaped `{character}` (character {position})"
    )]
    Unescaped {
        /// The character.
        character: char,
        /// Counted from 1.
        position: usize,
    },
    /// `%` without two hexadecimal digits after it, outside the password.
    #[error(
        "`%` at character {position} of the database URL is not followed by two hexadecimal digits"
    )]
    Percent {
        /// Counted from 1.
        position: usize,
    },
    /// What stands where the port belongs is not a port.
    #[error("the port in the database URL is not a number from 1 to 65535")]
    Port,
    /// What stands for the port elsewhere is not one.
    #[error("the port in {place} is not a number from 1 to 65535")]
    PortOf {
        /// "PGPORT", "the service `app`".
        place: String,
    },
    /// A service that no file has.
    #[error("the service `{name}` is not known: {detail}")]
    Service {
        /// What was asked for.
        name: String,
        /// Where it was looked for, or why it can't be read.
        detail: String,
    },
    /// A line of a service that can't be read.
    #[error("`{}:{line}` is not `keyword=value`, as a line of a service is", path.display())]
    ServiceLine {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
    },
    /// No host.
    #[error("the database URL names no host")]
    NoHost,
    /// No database.
    #[error("the database URL names no database")]
    NoDatabase,
    /// What the driver says about it.
    #[error("the database URL is not valid: {detail}")]
    Other {
        /// The driver's words, without values.
        detail: String,
    },
}

impl UrlProblem {
    /// What to do about it.
    pub fn help(&self) -> String {
        match self {
            UrlProblem::Empty => format!("write it like {EXAMPLE}"),
            UrlProblem::Quoted { quote } => {
                format!("remove the {quote} at both ends: they are part of the value here")
            }
            UrlProblem::QuotedEnd { quote } => {
                format!("remove the {quote} at its end: it is part of the value here")
            }
            UrlProblem::WhiteSpace { .. } => {
                "remove it, or write a space that belongs to a value as %20".to_owned()
            }
            UrlProblem::Driver { .. } => "write postgresql:// instead".to_owned(),
            UrlProblem::Scheme { .. } => format!("write it like {EXAMPLE}"),
            UrlProblem::Unescaped { character, .. } => {
                format!("write the `{character}` as %{:02X}", u32::from(*character))
            }
            UrlProblem::Percent { .. } => "write a `%` that is meant as such as %25".to_owned(),
            UrlProblem::Port => format!(
                "write it like {EXAMPLE}; a `:` in the password is written as %3A, a `/` as %2F, a `@` as %40"
            ),
            UrlProblem::PortOf { place } => format!("correct the port in {place}"),
            UrlProblem::Service { name, .. } => format!(
                "write a section `[{name}]` with `host=…`, `dbname=…`, or correct PGSERVICE and PGSERVICEFILE"
            ),
            UrlProblem::ServiceLine { .. } => {
                "mend the line; a service does not name another one".to_owned()
            }
            UrlProblem::NoHost | UrlProblem::NoDatabase | UrlProblem::Other { .. } => {
                format!("write it like {EXAMPLE}")
            }
        }
    }
}

const EXAMPLE: &str = "postgresql://user:password@host:5432/database";
