//! What a run would send, for a psql that somebody else runs.

use super::{Migrator, SILENT};
use crate::Error;
use crate::lock::Scope;
use crate::run::Context;
use crate::script::{self, Script};
use crate::undo::RollbackTarget;

impl Migrator<'_> {
    /// The script that migrates a database which is at the version `from`, or at none, to this
    /// migrator's target: for `psql -X -f` and `psql -X -1 -f`. It records as a run does, takes the
    /// same lock, and refuses a database that is anywhere else before it changes anything. Makes no
    /// connection; the same set gives the same script.
    ///
    /// ```no_run
    /// use touchmark::{Migrator, Set};
    /// # static MIGRATIONS: Set<'static> = Set::from_bytes(&[]);
    ///
    /// print!("{}", Migrator::new(&MIGRATIONS).script(None)?.sql);
    /// # Ok::<(), touchmark::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::TargetUnknown`] where the set has no such version, and [`Error::TargetBehind`] where
    /// the target is below `from`.
    pub fn script(&self, from: Option<i64>) -> Result<Script, Error> {
        self.offline(|context| script::up(context, from))
    }

    /// The script that undoes on a database which is at the version `from`, with the set's
    /// `.down.sql` files.
    ///
    /// # Errors
    /// [`Error::Blocked`] with all that is in the way, and [`Error::TargetUnknown`].
    pub fn rollback_script(
        &self,
        from: Option<i64>,
        target: RollbackTarget,
    ) -> Result<Script, Error> {
        self.offline(|context| script::down(context, from, target))
    }

    fn offline(
        &self,
        work: impl FnOnce(&Context) -> Result<Script, Error>,
    ) -> Result<Script, Error> {
        let opened = self.opened()?;
        let migrations = opened.migrations()?;
        work(&opened.context(&migrations, &self.options, SILENT, Scope::Session))
    }
}
