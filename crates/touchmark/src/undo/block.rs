//! What is in the way of an undo, in words.

use std::fmt;

use super::DownSource;
use crate::compare::Finding;
use crate::rows::MigrationId;

/// What is in the way of an undo.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Block {
    /// The server is a standby.
    Standby,
    /// A migration is not finished.
    Unfinished {
        /// Which.
        id: MigrationId,
        /// How many of its statements are done.
        done: usize,
    },
    /// What was applied is not what the set has, or refinery's history contradicts the ledger.
    Divergent(Box<Finding>),
    /// Its own file says that there is no way back.
    Irreversible {
        /// Which.
        id: MigrationId,
        /// Why.
        why: String,
    },
    /// Neither the set nor the ledger says what undoes it.
    NoDown {
        /// Which.
        id: MigrationId,
        /// The file that would, where the set has the migration.
        file: Option<String>,
    },
    /// The set does not say what undoes it, and a script is made without asking the ledger.
    NoDownFile {
        /// Which.
        id: MigrationId,
        /// The file that would.
        file: String,
    },
    /// What undoes it asks to run without a transaction, and only of a file it is known which
    /// statements it has.
    WithoutTransaction {
        /// Which.
        id: MigrationId,
        /// Where that stands.
        source: DownSource,
    },
}

impl fmt::Display for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Block::Standby => f.write_str("this is a standby"),
            Block::Unfinished { id, done } => {
                write!(f, "{id} is unfinished after statement {done}")
            }
            Block::Divergent(finding) => finding.fmt(f),
            Block::Irreversible { id, why } => write!(f, "{id} is irreversible: {why}"),
            Block::NoDown {
                id,
                file: Some(file),
            } => write!(
                f,
                "nothing undoes {id}: there is no {file}, and the ledger kept none"
            ),
            Block::NoDown { id, file: None } => write!(
                f,
                "nothing undoes {id}: this set does not have it, and the ledger kept nothing"
            ),
            Block::NoDownFile { id, file } => {
                write!(f, "nothing undoes {id} in a script: there is no {file}")
            }
            Block::WithoutTransaction { id, source } => write!(
                f,
                "{id} can't be undone with what {source} has: that is to be carried out statement by statement, as only a file of the set can be"
            ),
        }
    }
}

impl Block {
    /// What to do about it.
    pub(crate) fn help(&self) -> String {
        match self {
            Block::Standby => "undo on the primary; a standby follows by itself".into(),
            Block::Unfinished { id, .. } => format!(
                "finish it with a run of the release that began it, or give it up with `cargo xtask db-resolve {} --abandon`",
                id.short()
            ),
            Block::Divergent(_) => {
                "`cargo xtask db-verify` shows what differs; put that right first".into()
            }
            Block::Irreversible { .. } => {
                "go forward: write a new migration, or restore a backup".into()
            }
            Block::NoDownFile { .. } => {
                "write it; or undo with `cargo xtask db-rollback`, which takes what the ledger kept"
                    .into()
            }
            Block::NoDown {
                file: Some(file), ..
            } => {
                format!("write {file}, or go forward with a new migration")
            }
            Block::NoDown { file: None, .. } => {
                "run a release that has it, or bring its file back".into()
            }
            Block::WithoutTransaction { .. } => {
                "undo it with a release that has its down file, or bring the file back".into()
            }
        }
    }
}
