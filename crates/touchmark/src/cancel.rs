//! Stopping a run from outside: a signal handler, a shutdown.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
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
    parent: Option<Arc<Inner>>,
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
    /// What is known would be lost with it.
    Never,
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

    /// A canceller of its own for one run, which this one stops too.
    pub(crate) fn child(&self) -> Canceller {
        Canceller {
            inner: Arc::default(),
            parent: Some(self.inner.clone()),
        }
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.reached(CancelAt::First)
    }

    fn reached(&self, at: CancelAt) -> bool {
        let needed = match at {
            CancelAt::First => 1,
            CancelAt::Second => 2,
            CancelAt::Never => return false,
        };
        let both = [Some(&self.inner), self.parent.as_ref()];
        let mut both = both.into_iter().flatten();
        both.any(|inner| inner.level.load(Ordering::SeqCst) >= needed)
    }

    /// Returns when somebody has asked often enough.
    pub(crate) async fn cancelled(&self, at: CancelAt) {
        loop {
            let mut own = pin!(self.inner.notify.notified());
            let parent = self.parent.as_ref().unwrap_or(&self.inner);
            let mut parent = pin!(parent.notify.notified());
            // Registers before the level is read, so that no call is missed in between.
            own.as_mut().enable();
            parent.as_mut().enable();
            if self.reached(at) {
                return;
            }
            select(own, parent).await;
        }
    }

    /// Waits; true when somebody asked in that time.
    pub(crate) async fn during(&self, pause: Duration) -> bool {
        let sleep = pin!(tokio::time::sleep(pause));
        let cancelled = pin!(self.cancelled(CancelAt::First));
        matches!(select(sleep, cancelled).await, Either::Right(_))
    }
}
