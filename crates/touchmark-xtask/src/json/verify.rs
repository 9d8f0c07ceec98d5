//! What is as it was applied, merged and locked, and what is not.

use serde::Serialize;

use super::{Database, Place, Problem};

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

/// `db-verify --down`.
#[derive(Debug, Clone, Serialize)]
pub struct Proven {
    /// The database beside which a scratch database was made.
    pub database: Database,
    /// Whose down files undo what they do, in order.
    pub proven: Vec<String>,
    /// What has no way back.
    pub left_out: Vec<LeftOut>,
    /// What is wrong.
    pub findings: Vec<DownFinding>,
    /// What it did not come to, because a migration can't be applied, or because of `error`.
    pub not_tried: Vec<String>,
    /// What the catalog has and this version does not know, so that it was not compared:
    /// `column option pg_new`.
    pub not_compared: Vec<String>,
    /// From the first look at the files to the end.
    pub elapsed_ms: u64,
    /// What ended it before it was through; then all of the above is what was known by then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}

/// A migration without a down file.
#[derive(Debug, Clone, Serialize)]
pub struct LeftOut {
    /// Which.
    pub migration: String,
    /// Why, for people.
    pub why: String,
}

/// One thing that is wrong with a down file.
#[derive(Debug, Clone, Serialize)]
pub struct DownFinding {
    /// What was tried: `up`, `down`, `again` (up after down) or `repeatable` (everything down and
    /// up with the repeatable files applied).
    pub kind: &'static str,
    /// Which migration; with `repeatable`, how far down.
    pub migration: String,
    /// The file that is to be mended, or their directory where that can't be told.
    pub file: String,
    /// The same for people.
    pub message: String,
    /// All objects that differ with both definitions, as a unified diff.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// What the server said, with the place in the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Problem>,
}
