//! Whether this replica can take requests: the database answers, and its schema is one on which
//! this release would start.

use std::time::Duration;

use deadpool_postgres::Pool;
use migrations::MIGRATIONS;
use tokio::sync::Mutex;
use tokio::task::JoinHandle;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, timeout};
use touchmark::Migrator;

use crate::config::Config;
use crate::repository::{self, cause};

/// For how long an answer is given again, so that many probes cost one look.
const KEPT: Duration = Duration::from_secs(1);

/// How long a probe waits for its answer; an orchestrator's own patience is a few seconds.
const ANSWER: Duration = Duration::from_secs(2);

/// When a look is given up for a new one, as after the server's machine has vanished.
const GIVE_UP: Duration = Duration::from_secs(30);

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Requests can be answered.
    Ready,
    /// The database refuses, or does not answer in time.
    Unavailable,
    /// The database is at a schema on which this binary would not start.
    OtherSchema,
}

impl Verdict {
    /// Why it is not ready.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Verdict::Ready => None,
            Verdict::Unavailable => Some("the database does not answer"),
            Verdict::OtherSchema => Some("the schema of the database is not one for this release"),
        }
    }
}

/// Looks, and remembers for a moment.
#[derive(Debug)]
pub struct Readiness {
    pool: Pool,
    config: Config,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    last: Option<(Instant, Verdict)>,
    look: Option<JoinHandle<Result<bool, String>>>,
}

impl Readiness {
    /// Looks at the database of `pool`, and at the history with the role that migrates, which
    /// can read it.
    pub fn new(pool: Pool, config: Config) -> Readiness {
        Readiness {
            pool,
            config,
            state: Mutex::default(),
        }
    }

    /// What is the case now, or was a second ago.
    pub async fn check(&self) -> Verdict {
        // Held while looking: whoever asks meanwhile gets the same answer.
        let mut state = self.state.lock().await;
        let before = state.last.map(|(_, verdict)| verdict);
        if let Some((at, verdict)) = state.last
            && at.elapsed() < KEPT
        {
            return verdict;
        }
        // A look that takes too long, or whose prober went away, is taken up again by the next
        // probe, so that a server which hangs meets one connection and not one more each time.
        let look = state.look.get_or_insert_with(|| {
            let look = look(self.pool.clone(), self.config.clone());
            tokio::spawn(async { timeout(GIVE_UP, look).await.unwrap_or_else(late) })
        });
        let outcome = match timeout(ANSWER, look).await {
            Ok(outcome) => {
                state.look = None;
                outcome.unwrap_or_else(|error| Err(error.to_string()))
            }
            Err(elapsed) => late(elapsed),
        };
        let verdict = match &outcome {
            Ok(true) => Verdict::Ready,
            Ok(false) => Verdict::OtherSchema,
            Err(_) => Verdict::Unavailable,
        };
        if before != Some(verdict) {
            let detail = outcome.err().map_or_else(String::new, |e| format!(": {e}"));
            match verdict.reason() {
                Some(reason) => tracing::warn!("not ready: {reason}{detail}"),
                None => tracing::info!("ready"),
            }
        }
        state.last = Some((Instant::now(), verdict));
        verdict
    }
}

/// Whether the database answers, and has what this binary needs: replicas of the release before
/// go on while the next one migrates, where they would also start.
async fn look(pool: Pool, config: Config) -> Result<bool, String> {
    let client = pool.get().await;
    let client = client.map_err(|e| repository::Error::from(e).to_string())?;
    client
        .simple_query("SELECT 1")
        .await
        .map_err(|e| cause(&e))?;
    drop(client);
    // A migrator of its own for each look: one whose future was dropped is cancelled for good.
    let migrator = Migrator::new(&MIGRATIONS)
        .ahead(config.ahead)
        .wait(Duration::ZERO);
    let ready = migrator.is_ready_async(&config.migration).await;
    ready.map_err(|e| e.to_string())
}

fn late(_: Elapsed) -> Result<bool, String> {
    Err("no answer in time".into())
}
