//! Whether this replica can take requests: the database answers, and its schema is ours.

use std::time::Duration;

use deadpool_postgres::Pool;
use migrations::MIGRATIONS;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};
use tokio_postgres::Config;
use touchmark::Migrator;

use crate::repository::{self, cause};

/// For how long an answer is given again, so that many probes cost one look.
const KEPT: Duration = Duration::from_secs(1);

/// How long a look may take; a probe waits for a few seconds at most.
const LOOK: Duration = Duration::from_secs(2);

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Requests can be answered.
    Ready,
    /// The database refuses, or does not answer in time.
    Unavailable,
    /// The database is at another schema than this binary.
    OtherSchema,
}

impl Verdict {
    /// Why it is not ready.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Verdict::Ready => None,
            Verdict::Unavailable => Some("the database does not answer"),
            Verdict::OtherSchema => {
                Some("the schema of the database is not the one of this binary")
            }
        }
    }
}

/// Looks, and remembers for a moment.
#[derive(Debug)]
pub struct Readiness {
    pool: Pool,
    migration: Config,
    last: Mutex<Option<(Instant, Verdict)>>,
}

impl Readiness {
    /// Looks at the database of `pool`, and at the history through `migration`, whose role can
    /// read it.
    pub fn new(pool: Pool, migration: Config) -> Readiness {
        Readiness {
            pool,
            migration,
            last: Mutex::new(None),
        }
    }

    /// What is the case now, or was a second ago.
    pub async fn check(&self) -> Verdict {
        // Held while looking: whoever asks meanwhile gets the same answer, and there is never
        // more than one connection.
        let mut last = self.last.lock().await;
        let before = last.map(|(_, verdict)| verdict);
        if let Some((at, verdict)) = *last
            && at.elapsed() < KEPT
        {
            return verdict;
        }
        let (verdict, detail) = match timeout(LOOK, self.look()).await {
            Ok(Ok(true)) => (Verdict::Ready, String::new()),
            Ok(Ok(false)) => (Verdict::OtherSchema, String::new()),
            Ok(Err(detail)) => (Verdict::Unavailable, format!(": {detail}")),
            Err(_) => (
                Verdict::Unavailable,
                format!(": no answer in {} s", LOOK.as_secs()),
            ),
        };
        if before != Some(verdict) {
            match verdict.reason() {
                Some(reason) => tracing::warn!("not ready: {reason}{detail}"),
                None => tracing::info!("ready"),
            }
        }
        *last = Some((Instant::now(), verdict));
        verdict
    }

    async fn look(&self) -> Result<bool, String> {
        let client = self
            .pool
            .get()
            .await
            .map_err(|e| repository::Error::from(e).to_string())?;
        client
            .simple_query("SELECT 1")
            .await
            .map_err(|e| cause(&e))?;
        drop(client);
        // A migrator of its own for each look: dropping the future cancels it for good.
        let migrator = Migrator::new(&MIGRATIONS).wait(Duration::ZERO);
        migrator
            .is_current_async(&self.migration)
            .await
            .map_err(|e| e.to_string())
    }
}
