//! What can go wrong, and what to do about it.

mod finding;
mod help;

use std::fmt;
use std::time::Duration;

use touchmark_core::encoded::DecodeError;

use crate::ahead::{self, Unaccepted, Unknown};
use crate::compare::Finding;
use crate::event::Activity;
use crate::failure::{Failure, Left};
use crate::placeholder::MissingValue;
use crate::rows::MigrationId;
use crate::undo::Block;

use finding::{first, told};
use help::help;

/// What can go wrong in a run. `Display` is one line that says what and why; [`Error::help`] is
/// what to do; [`Error::report`] is both with the place in the file, for a terminal or a log.
///
/// No variant carries a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The connection string can't be read.
    #[error("the connection string is not valid: {0}")]
    Config(String),
    /// No connection could be made.
    #[error("failed to connect to {place}: {cause}")]
    Connect {
        /// Host and port, without user and password.
        place: String,
        /// What the server or the system said.
        cause: String,
        /// The server's SQLSTATE, where it answered.
        code: Option<String>,
    },
    /// The embedded set can't be read.
    #[error("failed to read the embedded migrations: {0}")]
    Set(#[from] DecodeError),
    /// Another run held the lock until the deadline.
    #[error("waited {} s for another migration run, and it still goes on{}", waited.as_secs(), HolderOf(holder))]
    Locked {
        /// How long.
        waited: Duration,
        /// Who holds the lock, where the server tells.
        holder: Option<Box<Activity>>,
    },
    /// What was applied is not what the set has.
    #[error(
        "the applied migrations and this set contradict each other: {}",
        first(findings, build)
    )]
    Divergent {
        /// What contradicts, in the order of the chain.
        findings: Vec<Finding>,
        /// The build that carries the set, or an empty string.
        build: String,
    },
    /// A newer release has migrated the database on, and this one may not start on it.
    #[error("the database is ahead of this binary by {}, {}", ahead::ids(unknown), why.reason())]
    Ahead {
        /// What it does not know.
        unknown: Vec<Unknown>,
        /// Why that is not accepted.
        why: Unaccepted,
    },
    /// The target is not in the set.
    #[error("there is no migration with version {version}")]
    TargetUnknown {
        /// The version that was asked for.
        version: i64,
        /// The nearest version that there is.
        nearest: Option<i64>,
    },
    /// The target is behind what is applied.
    #[error("the database is at {newest}, which is beyond version {version}")]
    TargetBehind {
        /// The version that was asked for.
        version: i64,
        /// The newest version that is applied.
        newest: MigrationId,
    },
    /// A migration failed, and was rolled back, or stopped at a recorded statement.
    #[error("{0}")]
    Failed(Box<Failure>),
    /// The role may not do what is needed.
    #[error("role {role} lacks a privilege: {message}")]
    Privilege {
        /// The role of the session.
        role: String,
        /// What the server said.
        message: String,
        /// The statement that grants it.
        grant: String,
    },
    /// The server takes no writes.
    #[error("{}: {cause}", if remedy.is_none() { "this is a standby" } else { "the session is read-only" })]
    ReadOnly {
        /// What the server said.
        cause: String,
        /// What takes off the setting `default_transaction_read_only`. None on a standby.
        remedy: Option<String>,
    },
    /// The server is a standby, and migrations are pending.
    #[error("this is a standby, and {} pending", are(*pending))]
    Standby {
        /// How many.
        pending: usize,
    },
    /// A value was given for a placeholder that is not declared.
    #[error("there is no placeholder `{placeholder}`")]
    PlaceholderUnknown {
        /// The name that was given.
        placeholder: String,
        /// Those that are declared.
        declared: Vec<String>,
    },
    /// What is to be done needs placeholders that have no value.
    #[error("{}", first_missing(missing))]
    PlaceholderMissing {
        /// Which, and the files that have them.
        missing: Vec<MissingValue>,
    },
    /// A placeholder can't have the value that was given.
    #[error("the placeholder `{placeholder}` can't have this value: {why}")]
    PlaceholderValue {
        /// Its name.
        placeholder: String,
        /// Why.
        why: &'static str,
    },
    /// The schema of the migrations can't have this name.
    #[error("`{schema}` can't be the schema of the migrations: {why}")]
    SchemaName {
        /// The name.
        schema: String,
        /// Why.
        why: &'static str,
    },
    /// The schema of the migrations is gone, and what they make would land in another one.
    #[error("the schema {schema} of the migrations is not there any more")]
    SchemaMissing {
        /// The schema, quoted.
        schema: String,
    },
    /// refinery's history stands in another schema than the one that is configured.
    #[error("the history was looked for in schema {expected}, and there is one in schema {found}")]
    HistoryElsewhere {
        /// The schema that is configured.
        expected: String,
        /// The schema in which the search path finds one.
        found: String,
    },
    /// refinery's table is too narrow for a version.
    #[error("{table} keeps versions as 32-bit integers, and version {version} needs 64")]
    HistoryNarrow {
        /// The table, quoted.
        table: String,
        /// The version.
        version: i64,
    },
    /// A row of the records is not one that this release writes.
    #[error("row {row} of {table} has a `{column}` that this release can't read")]
    Unreadable {
        /// `the ledger` or `refinery's history`.
        table: &'static str,
        /// The row's number, or its version.
        row: String,
        /// The column.
        column: &'static str,
    },
    /// The ledger was made before its first release, and lacks a column.
    #[error("{table} was made by an unreleased version of touchmark")]
    LedgerOld {
        /// The table, quoted.
        table: String,
        /// The statement that makes it as it is now.
        alter: String,
    },
    /// An interrupted migration without a transaction needs somebody to look.
    #[error(
        "{id} was interrupted in statement {statement}, and whether that was carried out can't be told: {evidence}"
    )]
    Unresolved {
        /// Which migration.
        id: MigrationId,
        /// Which statement, from 1.
        statement: usize,
        /// What was found in the database.
        evidence: String,
    },
    /// A statement of an unfinished migration that was carried out already was edited.
    #[error(
        "{id} is unfinished, and its statement {statement}, which was carried out, has been edited since"
    )]
    UnfinishedEdited {
        /// Which migration.
        id: MigrationId,
        /// Which statement, from 1.
        statement: usize,
    },
    /// A migration was to be resolved that is not unfinished.
    #[error("{which} is not unfinished{}", others(unfinished))]
    NotUnfinished {
        /// What was asked for.
        which: String,
        /// What is unfinished.
        unfinished: Vec<MigrationId>,
    },
    /// A migration was to be resolved of which it is known how far it came.
    #[error("there is no doubt about {id}: its statement {statement} was not begun")]
    NotInDoubt {
        /// Which migration.
        id: MigrationId,
        /// Whether it is being undone.
        is_undo: bool,
        /// Which statement comes next, from 1.
        statement: usize,
    },
    /// An edited text can't take the place of the one that was applied.
    #[error("the text of {which} can't take the place of the one that was applied: {why}")]
    NotAccepted {
        /// What was asked for.
        which: String,
        /// Why.
        why: &'static str,
    },
    /// An unfinished migration was made one that runs in a transaction.
    #[error("{id} is unfinished, and its line `-- touchmark: no-transaction` is gone")]
    UnfinishedTransaction {
        /// Which migration.
        id: MigrationId,
    },
    /// The connection goes through a pooler that gives each transaction another session.
    #[error(
        "{id} can't run through a pooler: it runs without a transaction, or at an isolation level of its own"
    )]
    Pooled {
        /// Which migration.
        id: MigrationId,
    },
    /// The migration lock was lost in the middle of a run.
    #[error("the session lost its migration lock during {id}{}", LeftOf(left))]
    LockLost {
        /// Which migration.
        id: MigrationId,
        /// What is left of it in the database.
        left: Left,
    },
    /// Somebody asked the run to stop.
    #[error("the run was interrupted{}", InterruptedAt(at))]
    Cancelled {
        /// Which migration was rolled back, if one was.
        at: Option<MigrationId>,
    },
    /// Something is in the way of an undo, and nothing was undone.
    #[error("nothing was undone: {}", first_of(blocks))]
    Blocked {
        /// All that is in the way.
        blocks: Vec<Block>,
    },
    /// What would be done is not what the plan said that was given.
    #[error("what would be done has changed since the plan was made: another run was faster")]
    PlanChanged,
    /// The set has no versioned migration that could be recorded.
    #[error("nothing was recorded: this set has no versioned migrations")]
    NothingToStamp,
    /// A migration has come half-way, so that what follows can't be recorded as applied.
    #[error("nothing was recorded: {id} is unfinished after statement {done}")]
    StampUnfinished {
        /// Which migration.
        id: MigrationId,
        /// How many of its statements are done.
        done: usize,
    },
    /// An undo without a transaction has come half-way.
    #[error("the undo of {id} is unfinished after statement {done}")]
    UndoUnfinished {
        /// Which migration.
        id: MigrationId,
        /// How many of the statements that undo it are done.
        done: usize,
    },
    /// Somebody asked an undo to stop.
    #[error("the undo was interrupted{}", UndoInterruptedAt(at))]
    UndoCancelled {
        /// Which migration was being undone, and stays applied.
        at: Option<MigrationId>,
    },
    /// The connection was lost, and could not be made again.
    #[error("lost the connection to the server: {cause}{}", Then(then))]
    ConnectionLost {
        /// What was said of it, the first time.
        cause: String,
        /// Why it could not be made again, or what came after that.
        then: Option<Box<Error>>,
    },
    /// The server refused something outside of any migration.
    #[error("failed to {doing}: {cause}")]
    Server {
        /// What was being done: `read the history`.
        doing: &'static str,
        /// The server's message.
        cause: String,
        /// The server's SQLSTATE, where there is one.
        code: Option<String>,
    },
    /// The thread or the runtime of the run could not be started.
    #[error("failed to start the migration run: {0}")]
    Start(std::io::Error),
}

impl Error {
    /// What to do about it, where there is something to say.
    pub fn help(&self) -> Option<String> {
        help(self)
    }

    /// The error with its place in the file and the help, over several lines.
    pub fn report(&self) -> impl fmt::Display + '_ {
        Report(self)
    }

    /// The failure of a migration, where this is one.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Error::Failed(failure) => Some(failure),
            _ => None,
        }
    }
}

struct Report<'e>(&'e Error);

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "error: {}", self.0)?;
        if let Error::Failed(failure) = self.0 {
            failure.write_place(f)?;
        }
        if let Error::Divergent { findings, build } = self.0 {
            for finding in findings.iter().skip(1) {
                write!(f, "\n       {}", told(finding, build))?;
            }
        }
        if let Error::Blocked { blocks } = self.0 {
            for block in blocks.iter().skip(1) {
                write!(f, "\n       {block}")?;
            }
        }
        if let Error::PlaceholderMissing { missing } = self.0 {
            for missing in missing.iter().skip(1) {
                write!(f, "\n       {}", needed(missing))?;
            }
        }
        if let Error::Ahead { unknown, .. } = self.0 {
            for unknown in unknown {
                write!(f, "\n       {unknown} was applied by {}", unknown.origin)?;
            }
        }
        match self.0.help() {
            Some(help) => write!(f, "\nhelp: {help}"),
            None => Ok(()),
        }
    }
}

fn first_of(blocks: &[Block]) -> String {
    blocks.first().map_or_else(String::new, ToString::to_string)
}

fn first_missing(missing: &[MissingValue]) -> String {
    missing.first().map_or_else(String::new, needed)
}

fn needed(missing: &MissingValue) -> String {
    format!(
        "the placeholder `{}` has no value, and {} {} it",
        missing.placeholder,
        missing.files.join(", "),
        match missing.files.len() {
            1 => "needs",
            _ => "need",
        }
    )
}

/// `1 migration is`, `2 migrations are`.
fn are(count: usize) -> String {
    match count {
        1 => "1 migration is".into(),
        _ => format!("{count} migrations are"),
    }
}

fn others(unfinished: &[MigrationId]) -> String {
    match unfinished.is_empty() {
        true => ", and nothing else is".into(),
        false => format!("; what is unfinished is {}", crate::ids(unfinished)),
    }
}

struct Then<'a>(&'a Option<Box<Error>>);

impl fmt::Display for Then<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(then) => write!(f, "; after that: {then}"),
            None => Ok(()),
        }
    }
}

struct HolderOf<'a>(&'a Option<Box<Activity>>);

impl fmt::Display for HolderOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(holder) => write!(f, ": {holder}"),
            None => Ok(()),
        }
    }
}

struct LeftOf<'a>(&'a Left);

impl fmt::Display for LeftOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Left::RolledBack(_) => f.write_str(", which was rolled back"),
            left => write!(f, "; {left}"),
        }
    }
}

struct UndoInterruptedAt<'a>(&'a Option<MigrationId>);

impl fmt::Display for UndoInterruptedAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, " while undoing {id}, which stays applied"),
            None => Ok(()),
        }
    }
}

struct InterruptedAt<'a>(&'a Option<MigrationId>);

impl fmt::Display for InterruptedAt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(id) => write!(f, " during {id}, which was rolled back"),
            None => Ok(()),
        }
    }
}
