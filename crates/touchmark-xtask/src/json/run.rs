//! What is done to a database, and what is written for it.

use serde::Serialize;

use super::Database;

/// `db-up`.
#[derive(Debug, Clone, Serialize)]
pub struct Up {
    /// The database.
    pub database: Database,
}

/// `db-down`.
#[derive(Debug, Clone, Serialize)]
pub struct Down {
    /// Where the database came from.
    pub engine: touchmark_engine::Kind,
    /// Whether it ran and was stopped.
    pub stopped: bool,
    /// Whether its data was deleted.
    pub deleted: bool,
    /// The same for people.
    pub detail: String,
}

/// `db-migrate`, and the second half of `db-reset`.
#[derive(Debug, Clone, Serialize)]
pub struct Migrated {
    /// The database.
    pub database: Database,
    /// What was applied, or with `--dry-run` would be, in order.
    pub applied: Vec<Step>,
    /// The newest version that is applied: `V2`.
    pub head: Option<String>,
    /// Whether nothing was done because of `--dry-run`.
    pub dry_run: bool,
    /// With `--backup`, where something was pending.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backup: Option<Backup>,
    /// From connecting to the end.
    pub elapsed_ms: u64,
}

/// A backup that was taken before.
#[derive(Debug, Clone, Serialize)]
pub struct Backup {
    /// The file, with its directory.
    pub file: String,
    /// How large it is.
    pub bytes: u64,
    /// What to type in a shell to have the database back as it was.
    pub restore: String,
}

/// One migration of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Which.
    pub migration: String,
    /// `apply`, `resume` (an unfinished one); in a dry run, of a repeatable one `new`, `changed`, or
    /// `again` (a version was undone since).
    pub action: &'static str,
    /// How long it took; none in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
}

/// `db-rollback`.
#[derive(Debug, Clone, Serialize)]
pub struct RolledBack {
    /// The database.
    pub database: Database,
    /// What was undone, or with `--dry-run` would be, in order.
    pub undone: Vec<Undo>,
    /// The repeatable migrations that the next `db-migrate` applies again.
    pub again: Vec<String>,
    /// The newest version that is applied afterwards: `V2`.
    pub head: Option<String>,
    /// Whether nothing was done because of `--dry-run`.
    pub dry_run: bool,
    /// From connecting to the end.
    pub elapsed_ms: u64,
}

/// One migration that is undone.
#[derive(Debug, Clone, Serialize)]
pub struct Undo {
    /// Which.
    pub migration: String,
    /// Where the SQL comes from: a file, or a row of the ledger.
    pub source: String,
    /// How long it took; none in a dry run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub elapsed_ms: Option<u64>,
}

/// `db-stamp`.
#[derive(Debug, Clone, Serialize)]
pub struct Stamped {
    /// The database.
    pub database: Database,
    /// `alembic`, `diesel`, `refinery` or `sqlx`, where its history was taken over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub adopt: Option<&'static str>,
    /// What was recorded as applied, or with `--dry-run` would be, in order.
    pub stamped: Vec<String>,
    /// What refinery had applied, and was taken over with them.
    pub adopted: Vec<String>,
    /// The newest version that is recorded as applied: `V2`.
    pub head: Option<String>,
    /// Whether it was looked whether what the migrations make is there.
    pub checked: bool,
    /// What they make and is not there; where there is anything, nothing was recorded.
    pub missing: Vec<MissingObject>,
    /// What is there, and is not as they make it.
    pub different: Vec<DifferentObject>,
    /// What the catalog has and this version does not know, so that it was not compared:
    /// `column option pg_new`.
    pub not_compared: Vec<String>,
    /// Whether nothing was done because of `--dry-run`.
    pub dry_run: bool,
    /// From connecting to the end.
    pub elapsed_ms: u64,
}

/// What the migrations make, and the database has not.
#[derive(Debug, Clone, Serialize)]
pub struct MissingObject {
    /// Kind and name: `index public.users_email`.
    pub object: String,
    /// What is there, and is the same but for this name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub named: Option<String>,
}

/// What is there, and is not as the migrations make it.
#[derive(Debug, Clone, Serialize)]
pub struct DifferentObject {
    /// Kind and name: `column public.users.email`.
    pub object: String,
    /// Both definitions as a unified diff: `-` as the migrations make it, `+` as it is.
    pub diff: String,
}

/// `db-new`.
#[derive(Debug, Clone, Serialize)]
pub struct New {
    /// The new migration.
    pub migration: String,
    /// The files that were written, relative to the workspace.
    pub files: Vec<String>,
}

/// `db-resolve`.
#[derive(Debug, Clone, Serialize)]
pub struct Resolved {
    /// Which migration.
    pub migration: String,
    /// How many of its statements are recorded as carried out.
    pub statements_done: usize,
    /// How many it has.
    pub statements: usize,
    /// Whether it was being undone.
    pub undo: bool,
    /// Whether it is recorded as applied now, or as undone.
    pub finished: bool,
}
