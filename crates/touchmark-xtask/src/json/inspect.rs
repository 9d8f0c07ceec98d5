//! What programs carry, and what the schema is.

use serde::Serialize;

use super::Database;

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
    /// The schema that unqualified names of the migrations mean; null where none is set.
    pub schema: Option<String>,
    /// The history table: `public.refinery_schema_history`.
    pub history: String,
    /// The placeholders that its migrations may have.
    pub placeholders: Vec<CarriedPlaceholder>,
    /// In the order of the chain.
    pub migrations: Vec<CarriedMigration>,
}

/// One placeholder in `db-inspect`.
#[derive(Debug, Clone, Serialize)]
pub struct CarriedPlaceholder {
    /// Its name.
    pub name: String,
    /// `literal` or `identifier`.
    #[serde(rename = "as")]
    pub becomes: String,
    /// Its value where nobody gives another one; null where there is none.
    pub default: Option<String>,
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
    /// `down`, `again` (the older content of a repeatable one), `missing` or `irreversible`.
    pub undo: &'static str,
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
