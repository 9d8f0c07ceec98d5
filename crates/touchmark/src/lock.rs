//! The advisory lock that makes runs take turns.
//!
//! It is polled with `pg_try_advisory_lock` in statements of their own. A blocking
//! `pg_advisory_lock` would hold a snapshot that `CREATE INDEX CONCURRENTLY` of the run in front
//! waits for: a deadlock that the server does not see.

use std::time::{Duration, Instant};

use tokio_postgres::SimpleQueryRow;
use touchmark_core::encoded::History;

use crate::backoff::Backoff;
use crate::event::{Activity, Event, Events};
use crate::history::{self, Tables};
use crate::session::{Results, Session, settings};
use crate::{Error, failed_to};

/// The keys of one history's locks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Keys {
    /// Held by the run: by its session, or by each transaction where a pooler is in between.
    pub run: i64,
    /// Held by a migration's transaction; when it is gone, the transaction is another one.
    pub transaction: i64,
}

impl Keys {
    pub(crate) fn of(history: &History) -> Keys {
        let mut hasher = blake3::Hasher::new_derive_key("touchmark v1 lock");
        for part in [&history.schema, &history.table] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let hash = *hasher.finalize().as_bytes();
        let key = |at: usize| {
            let mut bytes = [0; 8];
            bytes.copy_from_slice(&hash[at..at + 8]);
            i64::from_le_bytes(bytes)
        };
        Keys {
            run: key(0),
            transaction: key(8),
        }
    }
}

/// The condition for the rows of `pg_locks` of a key.
fn is_key(key: i64) -> String {
    let (high, low) = ((key >> 32) as u32, key as u32);
    format!(
        "locktype = 'advisory' AND granted AND objsubid = 1 AND classid = {high}::oid AND objid = {low}::oid"
    )
}

/// Whether this session holds all of these keys. Looks at the locks once, which is what costs.
pub(crate) fn holds(keys: &[i64]) -> String {
    let any: Vec<_> = keys
        .iter()
        .map(|key| format!("({})", is_key(*key)))
        .collect();
    format!(
        "(SELECT pg_catalog.count(*) = {} FROM pg_catalog.pg_locks \
         WHERE pid = pg_catalog.pg_backend_pid() AND ({}))",
        keys.len(),
        any.join(" OR ")
    )
}

/// Of one session only: the view would read the texts of all.
const ACTIVITY: &str = "SELECT a.pid, a.application_name, coalesce(pg_catalog.pg_get_userbyid(a.usesysid), ''), \
     coalesce(a.xact_start, a.query_start, a.backend_start)::timestamptz(0)::text, \
     pg_catalog.left(pg_catalog.regexp_replace(a.query, '[[:space:]]+', ' ', 'g'), 120) \
     FROM ";

/// Who holds the lock of a run.
pub(crate) fn holder_sql(keys: Keys) -> String {
    format!(
        "{ACTIVITY} pg_catalog.pg_locks l, pg_catalog.pg_stat_get_activity(l.pid) a WHERE {} AND l.database = \
         (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())",
        is_key(keys.run)
    )
}

/// Who blocks a session.
pub(crate) fn blockers_sql(pid: i32) -> String {
    format!(
        "{ACTIVITY} pg_catalog.unnest(pg_catalog.pg_blocking_pids({pid})) b, \
         pg_catalog.pg_stat_get_activity(b) a"
    )
}

/// Reads rows of [`ACTIVITY`].
pub(crate) fn activities(rows: &[SimpleQueryRow]) -> Vec<Activity> {
    let text = |row: &SimpleQueryRow, at: usize| row.get(at).unwrap_or_default().to_owned();
    rows.iter()
        .map(|row| Activity {
            pid: text(row, 0).parse().unwrap_or_default(),
            application: text(row, 1),
            role: text(row, 2),
            since: text(row, 3),
            query: text(row, 4),
        })
        .collect()
}

/// How the lock is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Scope {
    /// By the session, through all migrations.
    Session,
    /// By one transaction, which the first statement opens: a pooler gives the next one to
    /// another session.
    Transaction,
}

/// The condition of statements that are sent along with a poll: whether it has taken the lock.
pub(crate) const TAKEN: &str = "pg_catalog.current_setting('touchmark.locked') = 'true'";

/// Polls the lock until it is held or the deadline has passed. `then` is sent along, and its
/// results are what is returned; its statements should give nothing where [`TAKEN`] is false, so
/// that a poll costs next to nothing: a thousand sessions may poll.
pub(crate) fn acquire(
    session: &mut Session,
    events: Events,
    tables: &Tables,
    scope: Scope,
    wait: Duration,
    then: &str,
) -> Result<Results, Error> {
    let keys = tables.keys;
    // Read committed, whatever the role's default: what is read must be newer than the lock.
    let (open, take, close): (&[&str], _, _) = match scope {
        Scope::Session => (
            &["BEGIN ISOLATION LEVEL READ COMMITTED"],
            "pg_try_advisory_lock",
            "; COMMIT",
        ),
        // A pooled session may carry what another client has set.
        Scope::Transaction => (
            &[
                "BEGIN ISOLATION LEVEL READ COMMITTED",
                "RESET SESSION AUTHORIZATION",
                "RESET ROLE",
                "RESET ALL",
            ],
            "pg_try_advisory_xact_lock",
            "",
        ),
    };
    let poll = format!(
        "{}; {}; SELECT pg_catalog.set_config('touchmark.locked', pg_catalog.{take}({})::text, true), \
         pg_catalog.pg_backend_pid(); {then}{close}",
        open.join("; "),
        settings(scope),
        keys.run
    );
    let skip = open.len() + 1;
    let mut waiting = Waiting::begin();
    let mut backoff = Backoff::new();
    loop {
        if scope == Scope::Transaction {
            session.backend = None;
        }
        let mut results = session
            .query(&poll)
            .map_err(|e| history::explain(e, session, tables, "take the migration lock"))?;
        let answer = results.get(skip).and_then(|rows| rows.first());
        if answer.and_then(|row| row.get(0)) == Some("true") {
            session.backend = answer.and_then(|row| row.get(1)?.parse().ok());
            results.drain(..=skip);
            return Ok(results);
        }
        if scope == Scope::Transaction {
            session
                .settle("ROLLBACK")
                .map_err(|e| failed_to("end a transaction", e))?;
        }
        let waited = waiting.begun.elapsed();
        if waited >= wait {
            return Err(Error::Locked {
                waited,
                holder: holder(session, keys).map(Box::new),
            });
        }
        waiting.tell(session, events, keys);
        session.pause(backoff.next().min(wait - waited))?;
    }
}

/// Who is waited for, as far as it was told.
struct Waiting {
    begun: Instant,
    ask_at: Duration,
    told: Option<Option<i32>>,
}

/// A lock that is held for less is not worth a question.
const FIRST_QUESTION: Duration = Duration::from_millis(300);
/// The server looks at all of its sessions for the answer.
const NEXT_QUESTION: Duration = Duration::from_secs(10);

impl Waiting {
    fn begin() -> Waiting {
        Waiting {
            begun: Instant::now(),
            ask_at: FIRST_QUESTION,
            told: None,
        }
    }

    /// Tells who holds the lock, once until that changes.
    fn tell(&mut self, session: &mut Session, events: Events, keys: Keys) {
        let waited = self.begun.elapsed();
        if waited < self.ask_at {
            return;
        }
        self.ask_at = waited + NEXT_QUESTION;
        let holder = holder(session, keys);
        let pid = holder.as_ref().map(|holder| holder.pid);
        // Between two holders there is none.
        let is_new = match self.told {
            None => true,
            Some(told) => pid.is_some() && pid != told,
        };
        if is_new {
            self.told = Some(pid);
            events.emit(Event::WaitingForLock { holder, waited });
        }
    }
}

fn holder(session: &mut Session, keys: Keys) -> Option<Activity> {
    let results = session.query(&holder_sql(keys)).ok()?;
    activities(results.first()?).into_iter().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn histories_have_keys_of_their_own() {
        let of = |schema: &str, table: &str| {
            Keys::of(&History {
                schema: schema.into(),
                table: table.into(),
            })
        };
        assert_eq!(of("a", "b"), of("a", "b"));
        assert_ne!(of("a", "b"), of("a", "c"));
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("a", "b").run, of("a", "b").transaction);
    }
}
