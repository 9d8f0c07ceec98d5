//! The same for async programs: on a thread of its own, which is cancelled with the future.

use super::{Migrator, Status};
use crate::Error;
use crate::cancel::Canceller;
use crate::config::ToConfig;
use crate::report::{Report, RollbackReport};
use crate::undo::{RollbackPlan, RollbackTarget};

impl Migrator<'static> {
    /// Migrates, without blocking the async runtime that it is called in. Dropping the future
    /// cancels the run as [`Canceller::cancel`] does.
    ///
    /// # Errors
    /// As [`run`](Migrator::run).
    pub async fn run_async(&self, database: impl ToConfig) -> Result<Report, Error> {
        let config = self.config(database)?;
        self.detached(move |migrator| migrator.run(&config)).await
    }

    /// As [`is_current`](Migrator::is_current), without blocking the async runtime.
    ///
    /// # Errors
    /// As [`is_current`](Migrator::is_current).
    pub async fn is_current_async(&self, database: impl ToConfig) -> Result<bool, Error> {
        let config = self.config(database)?;
        self.detached(move |migrator| migrator.is_current(&config))
            .await
    }

    /// As [`is_ready`](Migrator::is_ready), without blocking the async runtime.
    ///
    /// # Errors
    /// As [`is_ready`](Migrator::is_ready).
    pub async fn is_ready_async(&self, database: impl ToConfig) -> Result<bool, Error> {
        let config = self.config(database)?;
        self.detached(move |migrator| migrator.is_ready(&config))
            .await
    }

    /// As [`status`](Migrator::status), without blocking the async runtime.
    ///
    /// # Errors
    /// As [`status`](Migrator::status).
    pub async fn status_async(&self, database: impl ToConfig) -> Result<Status, Error> {
        let config = self.config(database)?;
        self.detached(move |migrator| migrator.status(&config))
            .await
    }

    /// As [`rollback`](Migrator::rollback), without blocking the async runtime. Dropping the
    /// future cancels it as [`Canceller::cancel`] does.
    ///
    /// # Errors
    /// As [`rollback`](Migrator::rollback).
    pub async fn rollback_async(
        &self,
        database: impl ToConfig,
        target: RollbackTarget,
    ) -> Result<RollbackReport, Error> {
        let config = self.config(database)?;
        self.detached(move |migrator| migrator.rollback(&config, target))
            .await
    }

    /// As [`rollback_as_planned`](Migrator::rollback_as_planned), without blocking the async
    /// runtime.
    ///
    /// # Errors
    /// As [`rollback_as_planned`](Migrator::rollback_as_planned).
    pub async fn rollback_as_planned_async(
        &self,
        database: impl ToConfig,
        plan: RollbackPlan,
    ) -> Result<RollbackReport, Error> {
        let config = self.config(database)?;
        self.detached(move |migrator| migrator.rollback_as_planned(&config, &plan))
            .await
    }

    /// As [`rollback_plan`](Migrator::rollback_plan), without blocking the async runtime.
    ///
    /// # Errors
    /// As [`rollback_plan`](Migrator::rollback_plan).
    pub async fn rollback_plan_async(
        &self,
        database: impl ToConfig,
        target: RollbackTarget,
    ) -> Result<RollbackPlan, Error> {
        let config = self.config(database)?;
        self.detached(move |migrator| migrator.rollback_plan(&config, target))
            .await
    }

    async fn detached<T: Send + 'static>(
        &self,
        work: impl FnOnce(Migrator<'static>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let mut migrator = self.clone();
        migrator.options.canceller = self.options.canceller.child();
        // The run ends with the future, and the next one of this migrator is its own.
        let _guard = CancelOnDrop(migrator.options.canceller.clone());
        let (sender, receiver) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("touchmark".into())
            .spawn(move || sender.send(work(migrator)).is_ok())
            .map_err(Error::Start)?;
        // The sender is dropped unsent only when the thread has panicked.
        receiver
            .await
            .unwrap_or_else(|_| Err(Error::Start(std::io::Error::other("the run panicked"))))
    }
}

struct CancelOnDrop(Canceller);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}
