//! What the commands print with `--json`: one object each, on standard output.
//!
//! Names of fields and of enumerated values stay as they are; new ones may be added. Passwords
//! in URLs are replaced by `***`. Durations are milliseconds, times are as the server writes
//! them, and a migration is named as `V2__users` or `R__views`.

mod inspect;
mod run;
mod status;
mod verify;

use std::io::Write;

use serde::Serialize;

pub use inspect::{
    AddedMigration, CarriedMigration, CarriedPlaceholder, Compared, Docs, DocsFile, Inspected,
};
pub use run::{
    Backup, DifferentObject, Down, Migrated, MissingObject, New, Resolved, RolledBack, Stamped,
    Step, Undo, Up,
};
pub use status::{Check, Current, Examined, History, HistoryRow, Mark, Migration, Status};
pub use verify::{
    Accepted, DownFinding, Finding, LeftOut, Link, LockChange, Locked, Proven, Rebased, Recorded,
    Renamed, Staged, StagedFinding, Verified, Warning,
};

/// Any command that failed.
#[derive(Debug, Clone, Serialize)]
pub struct Failure {
    /// What went wrong.
    pub error: Problem,
}

/// What went wrong.
#[derive(Debug, Clone, Serialize)]
pub struct Problem {
    /// `usage`, `configuration`, `files`, `database`, `migration`, `busy`, `divergent`,
    /// `unfinished`, `binary`, `refused`, `interrupted` or `failure`.
    pub kind: &'static str,
    /// What and why.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
    /// The exit code of the process.
    pub exit_code: u8,
    /// Places in files, where that is what is wrong.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<Place>,
    /// The SQLSTATE, where the server said it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sqlstate: Option<String>,
}

/// A place in a file, and what is wrong there.
#[derive(Debug, Clone, Serialize)]
pub struct Place {
    /// Relative to the workspace.
    pub file: String,
    /// From 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// In characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// `error` or `warning`.
    pub severity: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// A database that was found or started.
#[derive(Debug, Clone, Serialize)]
pub struct Database {
    /// Without the password.
    pub url: String,
    /// `url`, `compose`, `local` or `download`.
    pub engine: touchmark_engine::Kind,
    /// Why this engine.
    pub reason: String,
    /// What was started for it, if anything.
    pub started: Option<String>,
}

impl Failure {
    pub(crate) fn new(kind: &'static str, message: &str, exit_code: u8) -> Failure {
        Failure {
            error: Problem {
                kind,
                message: message.to_owned(),
                help: None,
                exit_code,
                places: Vec::new(),
                sqlstate: None,
            },
        }
    }
}

impl Database {
    pub(crate) fn of(database: &touchmark_engine::Database) -> Database {
        Database {
            url: touchmark_engine::url::redact(&database.url),
            engine: database.engine,
            reason: database.reason.clone(),
            started: database
                .started
                .as_ref()
                .map(|started| started.what.clone()),
        }
    }
}

/// Prints one object on standard output.
pub(crate) fn print(value: &impl Serialize) {
    // Serializing these structs to a string can't fail: no maps, no foreign types.
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    // A reader that has gone away has seen enough.
    let _ = writeln!(std::io::stdout(), "{text}");
}
