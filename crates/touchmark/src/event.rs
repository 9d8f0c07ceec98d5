//! What a run tells while it goes on.

use std::fmt;
use std::time::Duration;

use crate::MigrationId;
use crate::ahead::{Unknown, by_build};
use crate::undo::DownSource;

/// What a run tells while it goes on. Its `Display` is one line for a log.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// The server does not take connections yet, or no more of them, or is a standby that may be
    /// about to become the primary; it is asked again. Or somebody blocks the reading or recording
    /// of what is applied.
    WaitingForServer {
        /// What the server said.
        cause: String,
    },
    /// Another process migrates this database. Told once until another one holds the lock.
    WaitingForLock {
        /// Who holds the lock, where the server tells.
        holder: Option<Activity>,
        /// How long it was waited for so far.
        waited: Duration,
    },
    /// A history that refinery wrote was taken over into the ledger.
    Adopted {
        /// How many migrations.
        count: usize,
    },
    /// A migration is recorded as applied, and was not run.
    Stamped {
        /// Which.
        migration: MigrationId,
    },
    /// The database has migrations that this set does not know; all of this set are applied.
    DatabaseAhead {
        /// What it has more.
        unknown: Vec<Unknown>,
    },
    /// A migration begins.
    Applying {
        /// Which.
        migration: MigrationId,
        /// Its place among the migrations of this run, from 1.
        number: usize,
        /// How many migrations this run applies.
        total: usize,
    },
    /// One statement of a migration without a transaction is done.
    StatementDone {
        /// Which migration.
        migration: MigrationId,
        /// Which statement, from 1.
        number: usize,
        /// How many statements it has.
        total: usize,
    },
    /// A migration waits for a lock that others hold.
    Blocked {
        /// Which migration.
        migration: MigrationId,
        /// Who holds it.
        by: Vec<Activity>,
    },
    /// A migration, or a statement of one without a transaction, was rolled back and is tried
    /// again.
    Retrying {
        /// Which migration.
        migration: MigrationId,
        /// Why it was rolled back.
        cause: String,
        /// Who held the lock, where that could be found out.
        blocked_by: Vec<Activity>,
        /// When it is tried again.
        after: Duration,
    },
    /// The connection was lost; it is made again, and the history is read again.
    Reconnecting {
        /// What was said of it.
        cause: String,
    },
    /// A migration and its record are committed.
    Applied {
        /// Which.
        migration: MigrationId,
        /// How long it took.
        elapsed: Duration,
    },
    /// A migration is about to be undone.
    Undoing {
        /// Which.
        migration: MigrationId,
        /// Its place among what is undone, from 1.
        number: usize,
        /// How many are undone.
        total: usize,
        /// Where the SQL comes from.
        source: DownSource,
    },
    /// A migration is undone, and that is committed with its record.
    Undone {
        /// Which.
        migration: MigrationId,
        /// How long it took.
        elapsed: Duration,
    },
    /// The server sent a notice, as `RAISE NOTICE` does.
    Notice {
        /// `NOTICE`, `WARNING`, …
        severity: String,
        /// Its text.
        message: String,
    },
}

/// Another session of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Activity {
    /// Its process ID at the server.
    pub pid: i32,
    /// Its `application_name`.
    pub application: String,
    /// Its role.
    pub role: String,
    /// Since when its transaction or its last statement goes on, as the server writes times.
    pub since: String,
    /// Its current or last statement, shortened.
    pub query: String,
}

impl fmt::Display for Activity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pid {}", self.pid)?;
        if !self.application.is_empty() {
            write!(f, ", application {}", self.application)?;
        }
        if !self.role.is_empty() {
            write!(f, ", role {}", self.role)?;
        }
        if !self.since.is_empty() {
            write!(f, ", since {}", self.since)?;
        }
        if !self.query.is_empty() {
            write!(f, ", running: {}", self.query)?;
        }
        Ok(())
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::WaitingForServer { cause } => write!(f, "waiting for the server: {cause}"),
            Event::WaitingForLock { holder, .. } => {
                f.write_str("waiting for another migration run")?;
                match holder {
                    Some(holder) => write!(f, ": {holder}"),
                    None => Ok(()),
                }
            }
            Event::Adopted { count } => {
                let s = if *count == 1 { "" } else { "s" };
                write!(
                    f,
                    "took over {count} migration{s} that refinery had applied"
                )
            }
            Event::Stamped { migration } => {
                write!(f, "recorded {migration} as applied without running it")
            }
            Event::DatabaseAhead { unknown } => write!(
                f,
                "the database is ahead of this binary by {}",
                by_build(unknown)
            ),
            Event::Applying {
                migration,
                number,
                total,
            } => write!(f, "applying {migration} ({number} of {total})"),
            Event::StatementDone {
                migration,
                number,
                total,
            } => write!(f, "{migration}: statement {number} of {total} done"),
            Event::Blocked { migration, by } => {
                write!(f, "{migration} waits for {}", activities(by))
            }
            Event::Retrying {
                migration,
                cause,
                blocked_by,
                after,
            } => {
                write!(f, "{migration} gave way to others: {cause}")?;
                if !blocked_by.is_empty() {
                    write!(f, "; blocked by {}", activities(blocked_by))?;
                }
                write!(f, "; trying again in {} ms", after.as_millis())
            }
            Event::Reconnecting { cause } => {
                write!(f, "lost the connection ({cause}); connecting again")
            }
            Event::Applied { migration, elapsed } => {
                write!(f, "applied {migration} in {} ms", elapsed.as_millis())
            }
            Event::Undoing {
                migration,
                number,
                total,
                source,
            } => write!(f, "undoing {migration} ({number} of {total}) with {source}"),
            Event::Undone { migration, elapsed } => {
                write!(f, "undid {migration} in {} ms", elapsed.as_millis())
            }
            Event::Notice { severity, message } => write!(f, "{severity}: {message}"),
        }
    }
}

/// A list for a message.
pub(crate) fn activities(list: &[Activity]) -> String {
    let list: Vec<_> = list.iter().map(|a| format!("[{a}]")).collect();
    list.join(", ")
}

/// Where the events go: to the caller, or else to the log.
#[derive(Clone, Copy)]
pub(crate) struct Events<'a> {
    pub on_event: Option<&'a (dyn Fn(&Event) + Send + Sync)>,
}

impl Events<'_> {
    pub(crate) fn emit(&self, event: Event) {
        match self.on_event {
            Some(on_event) => on_event(&event),
            None => log::info!(target: "touchmark", "{event}"),
        }
    }
}
