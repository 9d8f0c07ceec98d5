//! Migrates PostgreSQL from the migrations that a build script embedded in the binary.
//!
//! ```no_run
//! # mod lib { pub static MIGRATIONS: touchmark::Set<'static> = touchmark::Set::from_bytes(&[]); }
//! # use lib::MIGRATIONS;
//! // In the package that owns `migrations/`, build.rs calls `touchmark_build::embed("migrations")`
//! // and lib.rs has `touchmark::embedded!();`, which makes `MIGRATIONS`. Then, at the start:
//! let report = touchmark::migrate(&MIGRATIONS, "postgresql://app@localhost/app")?;
//! # Ok::<(), touchmark::Error>(())
//! ```
//!
//! One process or a thousand may start at once: one of them applies, the others wait for it.
//! Each migration is one transaction together with its record, so a database is never half-way.
//! A start that has nothing to do costs one round trip after connecting, whatever the number of
//! migrations, and needs no privilege beyond `SELECT`.
//!
//! The record is refinery's own table `refinery_schema_history`, in refinery's own format, and
//! beside it `touchmark_ledger`, which keeps what was applied, when, by whom and from which build.

mod accept;
mod ahead;
mod audit;
mod backoff;
mod cancel;
mod chain;
mod compare;
mod config;
mod error;
mod event;
mod failure;
mod history;
mod lock;
mod migrator;
mod no_transaction;
mod placeholder;
mod plan;
mod report;
mod resolve;
mod rows;
mod run;
mod script;
mod search_path;
mod session;
mod set;
mod sql;
mod stale;
mod stamp;
mod tls;
mod transaction;
mod undo;

pub use accept::Accepted;
pub use ahead::{Ahead, Unaccepted, Unknown};
pub use audit::{Audit, Contradiction, Fault};
pub use cancel::Canceller;
pub use compare::{Comparison, Finding, Standing};
pub use config::ToConfig;
pub use error::Error;
pub use event::{Activity, Event};
pub use failure::{Failure, Left, Place, ServerError};
pub use migrator::{Migrator, Status};
pub use placeholder::MissingValue;
pub use plan::{Action, Plan, Removal, Step, Target};
pub use report::{AppliedMigration, Report, RollbackReport, StampReport, UndoneMigration};
pub use resolve::{Resolution, Resolved};
pub use rows::{
    AppliedScript, LedgerRow, MigrationId, NextStatement, Origin, Progress, RefineryRow, RowState,
    Rows,
};
pub use script::Script;
pub use set::Set;
pub use stamp::StampPlan;
pub use touchmark_core::encoded;
pub use touchmark_core::{Checksum, Kind};
pub use undo::{Block, DownSource, RollbackPlan, RollbackTarget, UndoStep};

use session::BatchError;

/// Migrates a database to a set, with the defaults of [`Migrator`].
///
/// Blocks until it is done. Safe inside an async runtime too, where [`Migrator::run_async`]
/// does not block.
///
/// # Errors
/// See [`Error`].
pub fn migrate(set: &Set, database: impl ToConfig) -> Result<Report, Error> {
    Migrator::new(set).run(database)
}

/// A list of migrations for a message.
fn ids(list: &[MigrationId]) -> String {
    let ids: Vec<_> = list.iter().map(ToString::to_string).collect();
    ids.join(", ")
}

/// The error of a batch that is no migration.
fn failed_to(doing: &'static str, error: BatchError) -> Error {
    if error.cancelled {
        return Error::Cancelled { at: None };
    }
    let cause = error.source.text();
    match error.source.as_db_error() {
        Some(server) if error.source.loss().is_none() => Error::Server {
            doing,
            cause,
            code: Some(server.code().code().into()),
        },
        _ => Error::ConnectionLost { cause, then: None },
    }
}
