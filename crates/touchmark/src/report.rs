//! What a run did.

use std::time::Duration;

use touchmark_core::encoded::Encoded;

use crate::ahead::Unknown;
use crate::rows::MigrationId;

/// What a run did.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Report {
    /// What was applied, in order. Empty where there was nothing to do.
    pub applied: Vec<AppliedMigration>,
    /// The highest version of the set, where it has one.
    pub last_version: Option<i64>,
    /// The newest version that is applied, where the run had to read the history.
    pub newest: Option<MigrationId>,
    /// What the database has beyond the set.
    pub ahead: Vec<Unknown>,
    /// From connecting to the end.
    pub elapsed: Duration,
    /// The migration of the set that was sent and not heard of yet.
    pub(crate) in_flight: Option<usize>,
}

/// One migration that a run applied.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AppliedMigration {
    /// Which.
    pub id: MigrationId,
    /// How long it took, waiting for locks included.
    pub elapsed: Duration,
}

/// What an undo did.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct RollbackReport {
    /// What was undone, in order. Empty where there was nothing to undo.
    pub undone: Vec<UndoneMigration>,
    /// The repeatable migrations that the next run applies again.
    pub again: Vec<MigrationId>,
    /// The newest version that is applied now.
    pub newest: Option<MigrationId>,
    /// From connecting to the end.
    pub elapsed: Duration,
}

/// One migration that was undone.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct UndoneMigration {
    /// Which.
    pub id: MigrationId,
    /// How long it took, waiting for locks included.
    pub elapsed: Duration,
}

/// What a stamp recorded.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct StampReport {
    /// What is recorded as applied and was not run, in order. Empty where there was nothing to
    /// record.
    pub stamped: Vec<MigrationId>,
    /// What refinery had applied, and was taken over with them.
    pub adopted: Vec<MigrationId>,
    /// The newest version that is recorded as applied now.
    pub newest: Option<MigrationId>,
    /// From connecting to the end.
    pub elapsed: Duration,
}

impl Report {
    pub(crate) fn new(set: &Encoded) -> Report {
        Report {
            applied: Vec::new(),
            last_version: Some(set.last_version()).filter(|version| *version >= 0),
            newest: None,
            ahead: Vec::new(),
            elapsed: Duration::ZERO,
            in_flight: None,
        }
    }
}
