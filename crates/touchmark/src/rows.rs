//! What the database records: the rows of the ledger and of refinery's history.

use std::collections::HashMap;
use std::fmt;

use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, Kind};

/// Names one migration: kind, version and name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MigrationId {
    /// What the first letter of the file name says.
    pub kind: Kind,
    /// The version; 0 for a repeatable one.
    pub version: i64,
    /// The name.
    pub name: String,
}

impl MigrationId {
    pub(crate) fn of(migration: &EncodedMigration) -> MigrationId {
        MigrationId {
            kind: migration.kind,
            version: migration.version,
            name: migration.name.into(),
        }
    }

    /// `V2`, or `R__views` for a repeatable one.
    pub fn short(&self) -> String {
        match self.kind {
            Kind::Repeatable => self.to_string(),
            kind => format!("{}{}", kind.letter(), self.version),
        }
    }

    /// Where it stands in the chain.
    pub(crate) fn key(&self) -> Key {
        match self.kind {
            Kind::Repeatable => Key::Repeatable(self.name.clone()),
            _ => Key::Version(self.version),
        }
    }
}

impl fmt::Display for MigrationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Repeatable => write!(f, "R__{}", self.name),
            kind => write!(f, "{}{}__{}", kind.letter(), self.version, self.name),
        }
    }
}

/// Identity and order in the chain: versions first, then the repeatable ones by name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Key {
    Version(i64),
    Repeatable(String),
}

/// What the ledger says of one application of a migration.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RowState {
    /// It was applied by this toolkit.
    Applied,
    /// refinery had applied it; its record was taken over.
    Adopted,
    /// A migration without a transaction that is not finished.
    Running(Progress),
    /// An unfinished one that was given up by hand.
    Abandoned,
    /// A repeatable one whose file is gone; what it made may still be there.
    Removed,
}

/// How far a migration without a transaction has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// How many statements are done and recorded.
    pub done: usize,
    /// What is known of the one after them.
    pub next: NextStatement,
    /// The semantic hash of every statement as it was when the run began or was resumed.
    pub statements: Vec<Checksum>,
}

/// What is known of the first statement that is not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NextStatement {
    /// It was not started.
    NotStarted,
    /// It was started, and nothing more is known.
    Started,
    /// It was started, and the server said that it failed.
    Failed,
    /// It was started, and somebody has said that it was not carried out.
    Retry,
}

/// One row of the ledger. Times are as the server writes them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRow {
    /// The row's own number, in the order of application.
    pub row: i64,
    /// Which migration.
    pub id: MigrationId,
    /// The checksum of what was applied.
    pub leaf: Checksum,
    /// The chain value over everything applied, after this row; none while it is unfinished.
    pub chain: Option<Checksum>,
    /// What the row says.
    pub state: RowState,
    /// Whether it declares that the release before it runs on the schema after it.
    pub compatible: bool,
    /// The role that applied it.
    pub role: String,
    /// The `application_name` of the session.
    pub application: String,
    /// The build that carried it.
    pub build: String,
    /// When it began.
    pub started_at: String,
    /// When it was finished.
    pub finished_at: Option<String>,
}

/// What a row of the ledger applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedScript {
    /// The text that was executed; of a row that was taken over, the file's text at that time.
    pub up: String,
    /// The text that undoes it, where there was one.
    pub down: Option<String>,
}

/// One row of refinery's history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefineryRow {
    /// The version.
    pub version: i64,
    /// The name.
    pub name: String,
    /// When it was applied, as refinery writes times.
    pub applied_on: String,
    /// refinery's checksum, a decimal number.
    pub checksum: String,
}

/// Everything that a database records of its migrations.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rows {
    /// The ledger, in the order of application.
    pub ledger: Vec<LedgerRow>,
    /// refinery's history, by version.
    pub refinery: Vec<RefineryRow>,
}

/// The rows that count, found by identity.
pub(crate) struct Lookup<'r> {
    pub ledger: HashMap<Key, &'r LedgerRow>,
    pub refinery: HashMap<i64, &'r RefineryRow>,
}

impl Lookup<'_> {
    /// Whether the ledger says that it is applied as it is.
    pub(crate) fn has_applied(&self, migration: &EncodedMigration) -> bool {
        let row = self.ledger.get(&MigrationId::of(migration).key());
        row.is_some_and(|row| row.state == RowState::Applied && row.leaf == migration.leaf)
    }
}

impl Rows {
    /// Per migration, the last row of the ledger that was not given up, and refinery's row.
    pub(crate) fn lookup(&self) -> Lookup<'_> {
        let mut ledger = HashMap::with_capacity(self.ledger.len());
        for row in &self.ledger {
            match row.state {
                RowState::Abandoned => {}
                RowState::Removed => drop(ledger.remove(&row.id.key())),
                _ => drop(ledger.insert(row.id.key(), row)),
            }
        }
        let refinery = self.refinery.iter().map(|row| (row.version, row)).collect();
        Lookup { ledger, refinery }
    }
}
