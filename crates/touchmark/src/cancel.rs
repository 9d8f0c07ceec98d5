//! Stopping a run from outside: a signal handler, a shutdown.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// Stops a run. Clones stop the same run.
///
/// The first [`cancel`](Canceller::cancel) starts nothing new, cancels a statement that runs in
/// a transaction and waits for its rollback; a statement that runs without one is let finish,
/// because half of it would stay. The second cancels that one too. The run then returns
/// [`Error::Cancelled`](crate::Error::Cancelled).
#[derive(Clone, Default, Debug)]
pub struct Canceller {
    inner: Arc<Inner>,
}

#[derive(Default, Debug)]
struct Inner {
    level: AtomicU8,
    notify: Notify,
}

/// From which call of [`Canceller::cancel`] on a statement is cancelled.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum CancelAt {
    First,
    Second,
}

impl Canceller {
    /// A canceller that nobody has called yet.
    pub fn new() -> Canceller {
        Canceller::default()
    }

    /// Asks the run to stop. May be called from any thread, and more than once.
    pub fn cancel(&self) {
        let _ = self
            .inner
            .level
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |l| {
                Some(l.saturating_add(1))
            });
        self.inner.notify.notify_waiters();
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.reached(CancelAt::First)
    }

    fn reached(&self, at: CancelAt) -> bool {
        let needed = match at {
            CancelAt::First => 1,
            CancelAt::Second => 2,
        };
        self.inner.level.load(Ordering::SeqCst) >= needed
    }

    /// Returns when somebody has asked often enough.
    pub(crate) async fn cancelled(&self, at: CancelAt) {
        loop {
            let notified = self.inner.notify.notified();
            tokio::pin!(notified);
            // Registers before the level is read, so that no call is missed in between.
            notified.as_mut().enable();
            if self.reached(at) {
                return;
            }
            notified.await;
        }
    }
}
