//! What the commands print with `--json`: one object each, on standard output.
//!
//! Names of fields and of enumerated values stay as they are; new ones may be added. Passwords
//! in URLs are replaced by `***`. Durations are milliseconds, times are as the server writes
//! them, and a migration is named as `V2__users` or `R__views`.

use std::io::Write;

use serde::Serialize;

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
    /// From connecting to the end.
    pub elapsed_ms: u64,
}

/// One migration of a run.
#[derive(Debug, Clone, Serialize)]
pub struct Step {
    /// Which.
    pub migration: String,
    /// `apply`, `again` (a repeatable one that has changed) or `resume` (an unfinished one).
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

/// `db-new`.
#[derive(Debug, Clone, Serialize)]
pub struct New {
    /// The new migration.
    pub migration: String,
    /// The files that were written, relative to the workspace.
    pub files: Vec<String>,
}

/// `db-status`.
#[derive(Debug, Clone, Serialize)]
pub struct Status {
    /// The directory of the migrations, relative to the workspace.
    pub directory: String,
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
    /// `applied`, `adoptable` (by refinery; the ledger takes it over), `pending`, `out-of-order`,
    /// `outdated` (a repeatable one that has changed), `unfinished`, `divergent`, `missing`, or
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
    /// As the ledger has it: `applied`, `adopted`, `running`, `abandoned`, `removed`, `accepted` …;
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

/// One thing that is wrong between files and database.
#[derive(Debug, Clone, Serialize)]
pub struct Finding {
    /// `edited`, `cosmetic`, `renamed`, `missing`, `out-of-order`, `unfinished`, `history`; of the
    /// lock also `draft`, `unlocked` (no line), `down` (what undoes it) and `lock` (no lock at all);
    /// of a program `stale` (it was built from other files).
    pub kind: &'static str,
    /// Which two contradict each other.
    pub link: Link,
    /// Which migration.
    pub migration: String,
    /// The same for people.
    pub message: String,
    /// What changed since it was applied, as a unified diff (`db-verify` only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
}

/// A link of the chain from the files to refinery's history, or one of its ends alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Link {
    /// The files and `migrations.lock`.
    #[serde(rename = "files <-> lock")]
    FilesLock,
    /// The files and what a program carries.
    #[serde(rename = "files <-> binary")]
    FilesBinary,
    /// The ledger contradicts itself.
    #[serde(rename = "ledger")]
    Ledger,
    /// The files and the ledger.
    #[serde(rename = "files <-> ledger")]
    FilesLedger,
    /// The ledger and refinery's history.
    #[serde(rename = "ledger <-> history")]
    LedgerHistory,
    /// The files and refinery's history, where the ledger has no row.
    #[serde(rename = "files <-> history")]
    FilesHistory,
}

/// `db-lock`.
#[derive(Debug, Clone, Serialize)]
pub struct Locked {
    /// The lock, relative to the workspace.
    pub file: String,
    /// How many migrations it has, or with `--check` how many are as it says.
    pub migrations: usize,
    /// The chain value over all versioned ones.
    pub head: String,
    /// What differed from the lock before.
    pub changes: Vec<LockChange>,
    /// Whether the lock was written.
    pub written: bool,
}

/// One migration in `db-lock`.
#[derive(Debug, Clone, Serialize)]
pub struct LockChange {
    /// Which.
    pub migration: String,
    /// As [`Finding::kind`].
    pub kind: &'static str,
    /// The same for people.
    pub message: String,
}

/// `db-lock --rebase`.
#[derive(Debug, Clone, Serialize)]
pub struct Rebased {
    /// The lock, relative to the workspace.
    pub file: String,
    /// What everything that is not merged stands behind.
    pub base: String,
    /// How many lines are as they are there.
    pub kept: usize,
    /// What has another version now.
    pub renamed: Vec<Renamed>,
    /// The chain value over all versioned ones.
    pub head: String,
    /// Whether the lock was written.
    pub written: bool,
}

/// One migration with another version.
#[derive(Debug, Clone, Serialize)]
pub struct Renamed {
    /// What it was: `V2__users`.
    pub from: String,
    /// What it is now.
    pub to: String,
}

/// `db-verify`.
#[derive(Debug, Clone, Serialize)]
pub struct Verified {
    /// The database; none with `--offline`.
    pub database: Option<Database>,
    /// How many applied migrations are as their files; with `--offline`, how many files are as
    /// they were locked.
    pub verified: usize,
    /// How many are pending.
    pub pending: usize,
    /// What is wrong, the first one first.
    pub findings: Vec<Finding>,
    /// What is odd and changes no exit code.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
}

/// `db-verify --accept-cosmetic`.
#[derive(Debug, Clone, Serialize)]
pub struct Accepted {
    /// Which.
    pub migration: String,
    /// False where it was recorded as its file already.
    pub accepted: bool,
    /// The number of the new row in the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub row: Option<i64>,
    /// Who accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
}

/// One thing that is odd.
#[derive(Debug, Clone, Serialize)]
pub struct Warning {
    /// `down`: the file that undoes it was changed after it was applied.
    pub kind: &'static str,
    /// Which migration.
    pub migration: String,
    /// The same for people.
    pub message: String,
}

/// `db-inspect` of one program.
#[derive(Debug, Clone, Serialize)]
pub struct Inspected {
    /// The file as it was given.
    pub file: String,
    /// The path of the program in a container image.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub program: Option<String>,
    /// As the ledger names the build: `app 0.1.0 (a1b2c3d4e5f6)`.
    pub build: String,
    /// The package that embedded the migrations.
    pub package: String,
    /// Its version.
    pub version: String,
    /// The commit it was built from, where that is known.
    pub commit: Option<String>,
    /// `clean`, `dirty`, `debug` or `unknown`.
    pub state: &'static str,
    /// The version of touchmark that embedded them.
    pub touchmark: String,
    /// The last chain value: commits to all migrations.
    pub head: String,
    /// The history table: `public.refinery_schema_history`.
    pub history: String,
    /// In the order of the chain.
    pub migrations: Vec<CarriedMigration>,
}

/// One migration in `db-inspect`.
#[derive(Debug, Clone, Serialize)]
pub struct CarriedMigration {
    /// Which.
    pub migration: String,
    /// Its checksum.
    pub leaf: String,
    /// Whether it has a down file.
    pub down: bool,
    /// Why it can't be undone, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub irreversible: Option<String>,
    /// Whether the release before it runs on the schema after it.
    pub compatible: bool,
    /// Whether it runs without a transaction.
    pub no_transaction: bool,
}

/// `db-inspect` of two releases.
#[derive(Debug, Clone, Serialize)]
pub struct Compared {
    /// The older one.
    pub old: Inspected,
    /// The newer one.
    pub new: Inspected,
    /// What the newer one applies to a database of the older one.
    pub added: Vec<AddedMigration>,
    /// What must be undone before the older one is started again, in this order.
    pub undo: Vec<String>,
    /// Why the newer one is no successor of the older one.
    pub problems: Vec<String>,
    /// `same`, `runs` (the older one on the newer one's schema), `undo-first`, `irreversible` or
    /// `no-successor`.
    pub verdict: &'static str,
}

/// One migration that the newer release brings.
#[derive(Debug, Clone, Serialize)]
pub struct AddedMigration {
    /// Which.
    pub migration: String,
    /// Whether it is a repeatable one that the older release has too.
    pub changed: bool,
    /// Whether the release before it runs on the schema after it.
    pub compatible: bool,
    /// `down`, `again` (the older content of a repeatable one), `missing`, `no-transaction` (its down file asks for it) or
    /// `irreversible`.
    pub undo: &'static str,
}

/// `db-verify --staged` and `db-verify --ci`.
#[derive(Debug, Clone, Serialize)]
pub struct Staged {
    /// The branch that this one builds on: `origin/main`.
    pub upstream: Option<String>,
    /// The commit in it that the index was compared with; none before the first commit.
    pub base: Option<String>,
    /// How many migrations differ from it.
    pub changed: usize,
    /// What stops the commit.
    pub findings: Vec<StagedFinding>,
    /// What should be looked at, but stops nothing.
    pub warnings: Vec<Place>,
    /// Whether `--fix` has staged another lock.
    pub fixed: bool,
}

/// One thing that stops a commit.
#[derive(Debug, Clone, Serialize)]
pub struct StagedFinding {
    /// As [`Finding::kind`]; also `files`, when a text is wrong.
    pub kind: &'static str,
    /// Which migration.
    pub migration: String,
    /// Where, what and what to do; the file is relative to the top of the repository.
    #[serde(flatten)]
    pub place: Place,
}

/// `db-verify --record`.
#[derive(Debug, Clone, Serialize)]
pub struct Recorded {
    /// The database.
    pub database: Database,
    /// The name of the environment.
    pub environment: String,
    /// What was written, relative to the workspace.
    pub file: String,
    /// The newest version that is applied there: `V7`.
    pub head: Option<String>,
    /// Whether anything had to be written.
    pub written: bool,
}

/// `db-docs`.
#[derive(Debug, Clone, Serialize)]
pub struct Docs {
    /// The database.
    pub database: Database,
    /// The page and the diagram.
    pub files: Vec<DocsFile>,
    /// How many tables there are.
    pub tables: usize,
    /// How many views there are.
    pub views: usize,
    /// Whether nothing was written because of `--check`.
    pub check: bool,
}

/// One file of `db-docs`.
#[derive(Debug, Clone, Serialize)]
pub struct DocsFile {
    /// Relative to the workspace.
    pub file: String,
    /// Whether it is not there, or was not of this schema.
    pub changed: bool,
    /// Whether it was not there.
    pub missing: bool,
    /// The first lines of the difference, of the page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
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
    /// Whether it is recorded as applied now.
    pub finished: bool,
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

impl Accepted {
    pub(crate) fn nothing(id: &touchmark::MigrationId) -> Accepted {
        Accepted {
            migration: id.to_string(),
            accepted: false,
            row: None,
            by: None,
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
