//! What a database is found to be.

use serde::Serialize;

use super::{Database, Finding};

/// `db-status`.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The directory of the migrations, relative to the workspace.
    pub directory: String,
    /// The schema that unqualified names of the migrations mean; null where none is set.
    pub schema: Option<String>,
    /// The history table: `public.refinery_schema_history`.
    pub history: String,
    /// Where the database is; none when it does not run.
    pub database: Option<Database>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_running: Option<String>,
    /// The newest version that is applied: `V2`.
    pub head: Option<String>,
    /// All that the files have or the database records, in the order of application.
    pub migrations: Vec<Migration>,
    /// What is wrong, in the same order.
    pub findings: Vec<Finding>,
}

/// One migration in `db-status`.
#[derive(Debug, Clone, Serialize)]
pub struct Migration {
    /// Which.
    pub migration: String,
    /// `applied`, `stamped` (recorded as applied, and not run), `adoptable` (by refinery; the ledger takes it over), `pending`, `out-of-order`,
    /// of a repeatable one that is to be applied `new`, `changed` or `again` (a version was undone since), `unfinished`, `divergent`, `missing`, or
    /// `unknown` when the database does not run.
    pub state: &'static str,
    /// When it was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<String>,
    /// The role that applied it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The build that carried it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
}

/// `db-current`.
#[derive(Debug, Clone, Serialize)]
pub struct Current {
    /// The database.
    pub database: Database,
    /// The row of the newest version that is applied; none where nothing is.
    pub current: Option<HistoryRow>,
    /// Whether all versions of the files are applied, and no other.
    pub head: bool,
    /// The versions that are not applied, in order.
    pub behind: Vec<String>,
    /// The versions that are applied, or begun, and have no file.
    pub ahead: Vec<String>,
    /// What is wrong between files and database.
    pub findings: Vec<Finding>,
}

/// `db-doctor`.
#[derive(Debug, Clone, Serialize)]
pub struct Examined {
    /// From the compiler to the database.
    pub checks: Vec<Check>,
    /// How many of them are errors.
    pub errors: usize,
    /// How many of them are warnings.
    pub warnings: usize,
}

/// One check of `db-doctor`.
#[derive(Debug, Clone, Serialize)]
pub struct Check {
    /// What was looked at: `cargo`, `login`, `lock` …
    pub check: &'static str,
    /// `ok`, `warning`, `error`, or `skipped` where something before it has to be mended first.
    pub mark: Mark,
    /// What was found.
    pub found: String,
    /// What mends it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

/// What `db-doctor` thinks of something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mark {
    /// As it should be.
    Ok,
    /// It works, and something is missing or odd.
    Warning,
    /// It stops a command.
    Error,
    /// It could not be looked at.
    Skipped,
}

/// `db-history`.
#[derive(Debug, Clone, Serialize)]
pub struct History {
    /// The database.
    pub database: Database,
    /// The schema that unqualified names of the migrations mean; null where none is set.
    pub schema: Option<String>,
    /// The history table: `public.refinery_schema_history`.
    pub history: String,
    /// What was done, in that order.
    pub rows: Vec<HistoryRow>,
    /// What the next `db-migrate` applies, in that order.
    pub pending: Vec<String>,
}

/// One row of the ledger, or of refinery's history where the ledger has none.
#[derive(Debug, Clone, Serialize)]
pub struct HistoryRow {
    /// The number of the ledger's row.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<i64>,
    /// Which migration.
    pub migration: String,
    /// As the ledger has it: `applied`, `adopted`, `stamped`, `running`, `abandoned`, `removed`, `accepted` …;
    /// `refinery` where only refinery's history has a row.
    pub state: &'static str,
    /// When it was finished; none while it runs.
    pub at: Option<String>,
    /// When it began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<String>,
    /// How long it took, where that was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
    /// The role of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The `application_name` of the session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub application: Option<String>,
    /// The build that carried it, or the command; of an accepted text, also who accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub build: Option<String>,
    /// The checksum of what was applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaf: Option<String>,
}
