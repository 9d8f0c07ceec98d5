//! What the database records: the rows of the ledger and of refinery's history.

use std::collections::HashMap;
use std::fmt;
use std::time::Duration;

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

    /// Whether somebody means it with `7`, `V7`, `V7__name` or `R__name`.
    pub fn is_called(&self, which: &str) -> bool {
        let version = (self.kind != Kind::Repeatable).then(|| self.version.to_string());
        [Some(self.to_string()), Some(self.short()), version]
            .into_iter()
            .flatten()
            .any(|name| name == which)
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
    /// It was recorded as applied and not run, because what it makes was there already.
    Stamped,
    /// A migration without a transaction that is not finished.
    Running(Progress),
    /// A migration that is applied, of which an undo without a transaction is not finished.
    Undoing(Progress),
    /// An unfinished row that was given up by hand.
    Abandoned,
    /// A repeatable one whose file is gone; what it made may still be there.
    Removed,
    /// Applied before; its text was edited since in comments or white space only, which somebody
    /// has accepted.
    Accepted,
    /// Applied before, and undone: it is pending again. A repeatable one, because what it made may
    /// have gone with a version that was undone.
    Undone,
}

impl RowState {
    /// As the ledger writes it.
    pub fn name(&self) -> &'static str {
        match self {
            RowState::Applied => "applied",
            RowState::Adopted => "adopted",
            RowState::Stamped => "stamped",
            RowState::Running(_) => "running",
            RowState::Undoing(_) => "undoing",
            RowState::Abandoned => "abandoned",
            RowState::Removed => "removed",
            RowState::Accepted => "accepted",
            RowState::Undone => "undone",
        }
    }
}

impl RowState {
    /// How far it has come, where it is not finished.
    pub fn progress(&self) -> Option<&Progress> {
        match self {
            RowState::Running(progress) | RowState::Undoing(progress) => Some(progress),
            _ => None,
        }
    }
}

/// How far a migration without a transaction, or an undo of one, has come.
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
    /// It was started, and nothing more is known; invalid indexes, as it leaves them when it is
    /// interrupted, were there before.
    StartedUnclean,
    /// It was started, and the server said that it failed.
    Failed,
    /// It was started, and somebody has said that it was not carried out.
    Retry,
}

impl NextStatement {
    const ALL: [NextStatement; 4] = [
        NextStatement::Started,
        NextStatement::StartedUnclean,
        NextStatement::Failed,
        NextStatement::Retry,
    ];

    /// As the ledger writes it.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            NextStatement::NotStarted => None,
            NextStatement::Started => Some("started"),
            NextStatement::StartedUnclean => Some("started-unclean"),
            NextStatement::Failed => Some("failed"),
            NextStatement::Retry => Some("retry"),
        }
    }

    /// Reads what the ledger has; none where it is nothing that is written there.
    pub(crate) fn read(name: Option<&str>) -> Option<NextStatement> {
        match name {
            None => Some(NextStatement::NotStarted),
            name => Self::ALL.into_iter().find(|next| next.name() == name),
        }
    }
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
    /// From the one to the other, to the millisecond.
    pub elapsed: Option<Duration>,
}

/// Which build applied a migration, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// As the ledger names it; none where refinery had applied it.
    build: Option<String>,
    at: String,
}

impl Origin {
    pub(crate) fn new(build: Option<&str>, at: &str) -> Origin {
        Origin {
            build: build.map(Into::into),
            at: at.into(),
        }
    }

    pub(crate) fn of(row: &LedgerRow) -> Origin {
        let at = row.finished_at.as_ref().unwrap_or(&row.started_at);
        // The build of a row that was taken over is the one that took it over.
        let build = (row.state != RowState::Adopted).then_some(row.build.as_str());
        Origin::new(build, at)
    }

    /// The build, as the ledger names it. None where refinery had applied it, or where the build
    /// had no name.
    pub fn build(&self) -> Option<&str> {
        self.build.as_deref().filter(|build| !build.is_empty())
    }

    /// Whether refinery had applied it.
    pub fn is_refinery(&self) -> bool {
        self.build.is_none()
    }

    /// When it was applied, as the server writes times.
    pub fn at(&self) -> &str {
        &self.at
    }

    /// The build where it is a release of the application, and not a command.
    pub(crate) fn release(&self) -> Option<&str> {
        self.build().filter(|build| !is_command(build))
    }

    /// When it was applied, without the fraction of the second.
    pub(crate) fn second(&self) -> String {
        let is_fraction = |c: char| c == '.' || c.is_ascii_digit();
        let (second, rest) = self.at.split_at(self.at.find('.').unwrap_or(self.at.len()));
        format!("{second}{}", rest.trim_start_matches(is_fraction))
    }

    /// Who applied it, for a message.
    pub(crate) fn by(&self) -> String {
        match self.build.as_deref() {
            None => "refinery".into(),
            Some("") => "a build without a name".into(),
            Some(build) => match build.split_once(" (").filter(|_| is_command(build)) {
                Some((command, rest)) => format!("`{command}` ({rest}"),
                None => build.into(),
            },
        }
    }
}

/// Whether files were read to apply it, rather than a set that a binary carries.
pub(crate) fn is_command(build: &str) -> bool {
    build.starts_with("cargo xtask ")
}

impl fmt::Display for Origin {
    /// `app 0.2.0 (a1b2c3d4e5f6) at 2026-11-21 05:13:32+00`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.by(), self.second())
    }
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

impl RefineryRow {
    pub(crate) fn origin(&self) -> Origin {
        Origin::new(None, &self.applied_on)
    }

    pub(crate) fn id(&self) -> MigrationId {
        MigrationId {
            kind: Kind::Versioned,
            version: self.version,
            name: self.name.clone(),
        }
    }
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
    /// The unfinished undos of what is applied. Until one is finished, the migration is applied.
    pub undoing: HashMap<Key, &'r LedgerRow>,
    pub refinery: HashMap<i64, &'r RefineryRow>,
    /// The rows in whose place an accepted one stands, the first one first.
    superseded: HashMap<Key, Vec<&'r LedgerRow>>,
}

impl<'r> Lookup<'r> {
    /// The row of the application itself, whatever was accepted since.
    pub(crate) fn application(&self, row: &'r LedgerRow) -> &'r LedgerRow {
        let superseded = self.superseded.get(&row.id.key());
        superseded
            .and_then(|rows| rows.first())
            .copied()
            .unwrap_or(row)
    }

    /// Whether an accepted text stands in the place of this one.
    pub(crate) fn is_superseded(&self, migration: &EncodedMigration) -> bool {
        let superseded = self.superseded.get(&MigrationId::of(migration).key());
        superseded.is_some_and(|rows| rows.iter().any(|row| row.leaf == migration.leaf))
    }

    /// A migration of which an undo is not finished, and how many of its statements are done.
    pub(crate) fn unfinished_undo(&self) -> Option<(MigrationId, usize)> {
        let row = self.undoing.values().min_by_key(|row| row.row)?;
        Some((row.id.clone(), row.state.progress()?.done))
    }

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
        let mut undoing = HashMap::new();
        let mut superseded: HashMap<_, Vec<&LedgerRow>> = HashMap::new();
        for row in &self.ledger {
            match row.state {
                RowState::Abandoned => {}
                RowState::Undoing(_) => drop(undoing.insert(row.id.key(), row)),
                RowState::Removed | RowState::Undone => {
                    ledger.remove(&row.id.key());
                    superseded.remove(&row.id.key());
                }
                RowState::Accepted => {
                    let before = ledger.insert(row.id.key(), row);
                    superseded.entry(row.id.key()).or_default().extend(before);
                }
                _ => drop(ledger.insert(row.id.key(), row)),
            }
        }
        let refinery = self.refinery.iter().map(|row| (row.version, row)).collect();
        Lookup {
            ledger,
            undoing,
            refinery,
            superseded,
        }
    }
}
