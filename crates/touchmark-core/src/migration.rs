//! One migration as it was read from its files.

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use crate::{Checksum, Hole, Placeholder};

/// What the first letter of a file name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// `V<version>__<name>.sql`: applied once, in the order of the versions.
    Versioned,
    /// `U<version>__<name>.sql`: applied once, also when newer versions are applied already.
    OutOfOrder,
    /// `R__<name>.sql`: applied after the others, again whenever its content changes.
    Repeatable,
}

impl Kind {
    /// The first letter of the file name.
    pub fn letter(self) -> char {
        match self {
            Kind::Versioned => 'V',
            Kind::OutOfOrder => 'U',
            Kind::Repeatable => 'R',
        }
    }

    /// The kind that a file name's first letter stands for.
    pub fn from_letter(letter: char) -> Option<Kind> {
        match letter {
            'V' => Some(Kind::Versioned),
            'U' => Some(Kind::OutOfOrder),
            'R' => Some(Kind::Repeatable),
            _ => None,
        }
    }
}

/// One migration: its identity, its SQL, and what was computed from them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    /// What the first letter of the file name says.
    pub kind: Kind,
    /// The version; 0 for a repeatable one.
    pub version: i64,
    /// How many digits the version has in the file name (`V001` has 3); 0 for a repeatable one.
    pub digits: u8,
    /// The name: `\w+`.
    pub name: String,
    /// What applies it.
    pub up: Script,
    /// What undoes it.
    pub down: Option<Script>,
    /// Commits to kind, version, name and the up script.
    pub leaf: Checksum,
    /// Commits to this migration and to all before it in the set.
    pub chain: Checksum,
    /// refinery's checksums that an applied row may carry; see [`crate::checksum::refinery`].
    pub refinery: Vec<u64>,
}

impl fmt::Display for Migration {
    /// `V1__users` or `R__views`, without leading zeros.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        label(f, self.kind, self.version, &self.name)
    }
}

pub(crate) fn label(
    f: &mut fmt::Formatter<'_>,
    kind: Kind,
    version: i64,
    name: &str,
) -> fmt::Result {
    match kind {
        Kind::Repeatable => write!(f, "R__{name}"),
        _ => write!(f, "{}{version}__{name}", kind.letter()),
    }
}

pub(crate) fn file_name(kind: Kind, version: i64, digits: u8, name: &str) -> String {
    match kind {
        Kind::Repeatable => format!("R__{name}.sql"),
        _ => format!(
            "{}{version:0digits$}__{name}.sql",
            kind.letter(),
            digits = usize::from(digits)
        ),
    }
}

/// The text of one file, as it is hashed and executed, and what its header and statements say.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Script {
    /// The normalised text: without a byte order mark, with LF line ends.
    pub sql: String,
    /// What the header says.
    pub directives: Directives,
    /// Where the statements stand, in order, without their semicolons.
    pub spans: Vec<Span>,
    /// Of a script without a transaction, what each of them means to it.
    pub statements: Vec<Statement>,
    /// Where placeholders stand in it, in order.
    pub holes: Vec<Hole>,
    /// How it is carried out, where that is not as it stands.
    pub adaptation: Option<Adaptation>,
}

/// Where a statement stands in a text, which has less than 1 GiB. A large file has a million of them,
/// so it is small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

impl Span {
    /// Byte offsets of the first token, and behind the last one.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

impl From<Range<usize>> for Span {
    /// What is beyond 4 GiB is no place in a text.
    fn from(range: Range<usize>) -> Span {
        let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
        Span {
            start: offset(range.start),
            end: offset(range.end),
        }
    }
}

/// How a locked text is carried out that another tool has applied, and that a run would not carry
/// out as it stands. It is a function of the text, so it is neither hashed nor written down.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Adaptation {
    /// What is executed, in order: the statements of the one transaction; or, without one, each
    /// transaction of the text as a whole, and each statement that stands outside of any.
    pub statements: Vec<Statement>,
    /// Whether it takes more than one transaction.
    pub no_transaction: bool,
    /// What is not executed, as ranges of bytes in order: the words that begin and end
    /// transactions, and what only changes the table of the other tool.
    pub skipped: Vec<Range<usize>>,
    /// What its transactions are isolated by.
    pub isolation: Option<Isolation>,
}

/// The isolation level of a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Isolation {
    /// `READ COMMITTED`, and `READ UNCOMMITTED`, which the server takes for the same.
    ReadCommitted,
    /// `REPEATABLE READ`
    RepeatableRead,
    /// `SERIALIZABLE`
    Serializable,
}

impl fmt::Display for Isolation {
    /// As it is written in SQL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Isolation::ReadCommitted => "READ COMMITTED",
            Isolation::RepeatableRead => "REPEATABLE READ",
            Isolation::Serializable => "SERIALIZABLE",
        })
    }
}

/// The header directives of a file: `-- touchmark: …` lines at its top.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Directives {
    /// `no-transaction`: each statement on its own, because one of them refuses a transaction.
    pub no_transaction: bool,
    /// `lock-timeout 5s`: how long a statement may wait for a lock before the migration is
    /// rolled back and tried again.
    pub lock_timeout: Option<Duration>,
    /// `statement-timeout 10min`: how long one statement may run.
    pub statement_timeout: Option<Duration>,
    /// `irreversible "why"`: there is no way back, and why.
    pub irreversible: Option<String>,
    /// `compatible-with previous`: the code of the release before the one that brings this
    /// migration runs on the schema after it.
    pub compatible_with_previous: bool,
    /// `unparsed`: the syntax check is off for this file; only the lexer is used.
    pub unparsed: bool,
}

/// One statement of a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Statement {
    /// Byte offset of its first token in the script's text.
    pub start: usize,
    /// Byte offset after its last token, before the semicolon.
    pub end: usize,
    /// What it means for a run without a transaction.
    pub kind: StatementKind,
    /// Hash of its tokens, so without comments and white space.
    pub semantic: Checksum,
}

/// What a statement means for a run without a transaction, and how an interrupted one is
/// found out about. Names are as the server stores them: folded, or unquoted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StatementKind {
    /// May run in a transaction, so it commits together with the record of its progress.
    Transactional,
    /// `CREATE INDEX CONCURRENTLY`: look at the index.
    CreateIndexConcurrently {
        /// Schema of the table, where the statement names it.
        schema: Option<String>,
        /// Name of the table.
        table: String,
        /// Name of the index, which lives in the table's schema.
        index: String,
        /// Whether it has `IF NOT EXISTS`, with which the server passes over an invalid index too.
        if_not_exists: bool,
    },
    /// `DROP INDEX CONCURRENTLY`: done when the index is gone.
    DropIndexConcurrently {
        /// Schema of the index, where the statement names it.
        schema: Option<String>,
        /// Name of the index.
        index: String,
    },
    /// `REINDEX … CONCURRENTLY`: may be run again; an interrupted one leaves invalid indexes.
    ReindexConcurrently(Reindexed),
    /// `ALTER TABLE … DETACH PARTITION … CONCURRENTLY`: look whether it is pending.
    DetachConcurrently {
        /// Schema of the partitioned table, where the statement names it.
        schema: Option<String>,
        /// Name of the partitioned table.
        table: String,
        /// Schema of the partition, where the statement names it.
        partition_schema: Option<String>,
        /// Name of the partition.
        partition: String,
    },
    /// `CREATE DATABASE` and the like: done when it is there.
    Create(ServerObject, String),
    /// `DROP DATABASE` and the like: done when it is gone.
    Drop(ServerObject, String),
    /// `VACUUM` without `FULL`: may be run again, and nobody waits behind it.
    Vacuum,
    /// May be run again without harm: `VACUUM FULL`, `CLUSTER`, `REINDEX`, `ALTER SYSTEM`, …
    Rerunnable,
    /// All or nothing, and the database does not tell which: somebody has to look.
    Opaque,
    /// May commit a part of what it does: `CALL`, and `DO` with a `COMMIT` in it.
    Committing,
}

impl StatementKind {
    /// Whether it may wait for a lock without end: neither readers nor writers of the table queue
    /// behind it.
    pub fn queues_harmlessly(&self) -> bool {
        // The second half of a DETACH takes ACCESS EXCLUSIVE on the partition, so it is not here.
        matches!(
            self,
            StatementKind::CreateIndexConcurrently { .. }
                | StatementKind::DropIndexConcurrently { .. }
                | StatementKind::ReindexConcurrently(_)
                | StatementKind::Vacuum
        )
    }
}

/// What a `REINDEX` names. Names are as the server stores them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reindexed {
    /// One index.
    Index {
        /// Its schema, where the statement names it.
        schema: Option<String>,
        /// Its name.
        name: String,
    },
    /// All indexes of a table.
    Table {
        /// Its schema, where the statement names it.
        schema: Option<String>,
        /// Its name.
        name: String,
    },
    /// All indexes of a schema.
    Schema(String),
    /// All indexes of the database.
    Database,
}

/// What is made and dropped outside of a transaction, as a whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ServerObject {
    /// A database.
    Database,
    /// A tablespace.
    Tablespace,
    /// A subscription.
    Subscription,
}

/// All migrations of a directory.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct MigrationSet {
    /// Name of the directory for messages, relative to the workspace, with `/`: `migrations`.
    pub directory: String,
    /// In the order of the chain: versioned and out-of-order ones by version, then the
    /// repeatable ones by name.
    pub migrations: Vec<Migration>,
    /// The placeholders that the configuration declares, by name.
    pub placeholders: Vec<Placeholder>,
}

impl MigrationSet {
    /// Commits to the whole set: the chain value of its last migration.
    pub fn head(&self) -> Checksum {
        self.migrations.last().map_or(Checksum::EMPTY, |m| m.chain)
    }
}
