//! What contradicts what, in words.

use std::fmt;

use crate::rows::{LedgerRow, MigrationId};

/// A row of the ledger that contradicts another row, or itself.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fault {
    /// The row's number.
    pub row: i64,
    /// Which migration it says that it is of.
    pub id: MigrationId,
    /// What contradicts what.
    pub what: Contradiction,
}

/// What contradicts what.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Contradiction {
    /// These columns are not what `leaf` says; none where it is not known which.
    Text(Vec<&'static str>),
    /// `leaf` is not the checksum of its SQL, and `chain` agrees with the SQL.
    Leaf,
    /// `chain` alone: the rows before and after it agree with each other.
    Chain,
    /// `chain` does not follow from the rows before; with what refinery's history has and the
    /// ledger has not, where that may explain it.
    Before(Vec<MigrationId>),
    /// This `state` can't be, and why.
    State(&'static str, &'static str),
    /// refinery's history has no row of it.
    HistoryMissing,
    /// refinery's row has this name.
    HistoryName(String),
    /// refinery's row has this checksum.
    HistoryChecksum(String),
}

impl Fault {
    pub(crate) fn of(row: &LedgerRow, what: Contradiction) -> Fault {
        Fault {
            row: row.row,
            id: row.id.clone(),
            what,
        }
    }

    /// Whether refinery's history is the other side of it.
    pub fn is_of_history(&self) -> bool {
        matches!(
            self.what,
            Contradiction::HistoryMissing
                | Contradiction::HistoryName(_)
                | Contradiction::HistoryChecksum(_)
        )
    }
}

impl fmt::Display for Fault {
    /// One line: row, migration, and which column contradicts which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Fault { row, id, what } = self;
        write!(f, "row {row} of the ledger, {id}: {what}")
    }
}

impl fmt::Display for Contradiction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Contradiction::Text(columns) if columns.is_empty() => {
                f.write_str("its `kind`, `version`, `name` or `up_sql` is not what its `leaf` says")
            }
            Contradiction::Text(columns) => {
                let columns: Vec<_> = columns.iter().map(|c| format!("`{c}`")).collect();
                let are = if columns.len() == 1 { "is" } else { "are" };
                write!(
                    f,
                    "its {} {are} not what its `leaf` says",
                    columns.join(" and ")
                )
            }
            Contradiction::Leaf => {
                f.write_str("its `leaf` is not what its `up_sql` and its `chain` say")
            }
            Contradiction::Chain => f.write_str(
                "its `chain` was changed: the rows before it and after it agree with each other",
            ),
            Contradiction::Before(gone) => {
                f.write_str(
                    "its `chain` does not follow from the rows before it: a row was changed, \
                     added or deleted at or before it",
                )?;
                match &gone[..] {
                    [] => Ok(()),
                    [one] => write!(f, "; of {one} there is a row in refinery's history only"),
                    [one, rest @ ..] => write!(
                        f,
                        "; of {one} and {} more there are rows in refinery's history only",
                        rest.len()
                    ),
                }
            }
            Contradiction::State(state, why) => {
                write!(f, "its `state` can't be `{state}`: {why}")
            }
            Contradiction::HistoryMissing => f.write_str("its row in refinery's history is gone"),
            Contradiction::HistoryName(name) => {
                write!(f, "refinery's history has it under the `name` {name}")
            }
            Contradiction::HistoryChecksum(checksum) => write!(
                f,
                "the `checksum` {checksum} in refinery's history is not that of its `up_sql`"
            ),
        }
    }
}
