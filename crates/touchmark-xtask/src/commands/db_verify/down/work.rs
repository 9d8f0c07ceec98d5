//! What there is to try, and the runs in a scratch database that try it.

use touchmark::{Error as Runtime, Kind, Left, Migrator, RollbackTarget, Target};
use touchmark_core::Migration;
use touchmark_core::encoded::Home;
use touchmark_engine::Database;

use super::finding::{Finding, Step, What};
use crate::commands::db_verify::database::file_name;
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::project::Files;
use crate::scratch::Scratch;
use crate::screen::Screen;

/// What there is to do, and with what.
pub(super) struct Work<'w> {
    pub files: &'w Files,
    pub home: &'w Home,
    /// Only the migration that stands there.
    pub which: Option<usize>,
    pub database: &'w Database,
    pub interrupts: &'w Interrupts,
    pub screen: &'w Screen,
}

impl Work<'_> {
    pub(super) fn versions(&self) -> Vec<&Migration> {
        let is_versioned = |m: &&Migration| m.kind != Kind::Repeatable;
        self.files
            .set
            .migrations
            .iter()
            .filter(is_versioned)
            .collect()
    }

    pub(super) fn until(&self) -> usize {
        self.which
            .map_or_else(|| self.versions().len(), |which| which + 1)
    }

    /// What there is to try from one version on.
    pub(super) fn after(&self, tried: usize) -> Vec<String> {
        let versions = self.versions();
        let versions = versions[tried..self.until()].iter().copied();
        let versions = versions.filter(|migration| no_way_back(migration).is_none());
        let repeatable = self.files.set.migrations.iter();
        let repeatable = repeatable.filter(|m| m.kind == Kind::Repeatable && self.which.is_none());
        versions
            .chain(repeatable)
            .map(ToString::to_string)
            .collect()
    }

    /// The outer error ends the command: it says nothing of the files.
    pub(super) fn up(
        &self,
        scratch: &Scratch,
        target: Target,
    ) -> Result<Result<(), Runtime>, Error> {
        let migrator = self.migrator().target(target);
        told(migrator.run(scratch.url.as_str()).map(|_| ()))
    }

    pub(super) fn down(
        &self,
        scratch: &Scratch,
        steps: usize,
    ) -> Result<Result<(), Runtime>, Error> {
        let target = RollbackTarget::Steps(steps);
        let outcome = self.migrator().rollback(scratch.url.as_str(), target);
        told(outcome.map(|_| ()))
    }

    fn migrator(&self) -> Migrator<'_> {
        self.files
            .migrator()
            .canceller(&self.interrupts.canceller)
            // What a file has to say, it says when it is applied for good.
            .on_event(|_| {})
    }

    pub(super) fn down_file(&self, migration: &Migration) -> String {
        let name = file_name(migration).replace(".sql", ".down.sql");
        format!("{}/{name}", self.files.set.directory)
    }
}

/// A migration that can't be applied.
pub(super) fn not_applied(error: Runtime) -> Finding {
    let failure = error.failure();
    let file = failure.map(|failure| failure.file.clone());
    let id = failure.map(|failure| failure.id.to_string());
    Finding {
        step: Step::Up,
        migration: id.unwrap_or_default(),
        file: file.unwrap_or_default(),
        what: What::Failed(Box::new(error.into())),
    }
}

/// What the files are to blame for is told, everything else ends the command.
fn told(outcome: Result<(), Runtime>) -> Result<Result<(), Runtime>, Error> {
    match outcome {
        Err(Runtime::Failed(mut failure)) => {
            // At which version the scratch database was is of no use to anybody.
            if matches!(failure.state, Left::RolledBack(_)) {
                failure.state = Left::RolledBack(None);
            }
            Ok(Err(Runtime::Failed(failure)))
        }
        Err(error @ Runtime::Blocked { .. }) => Ok(Err(error)),
        Err(Runtime::Cancelled { .. } | Runtime::UndoCancelled { .. }) => Err(Error::Found {
            message: "interrupted".into(),
            help: "nothing was changed but the scratch database, which is dropped".into(),
            code: crate::exit_code::INTERRUPTED,
        }),
        Err(error) => Err(error.into()),
        Ok(()) => Ok(Ok(())),
    }
}

/// Why a migration is not tried; none where it is.
pub(super) fn no_way_back(migration: &Migration) -> Option<String> {
    match (&migration.up.directives.irreversible, &migration.down) {
        (Some(why), _) => Some(format!("it is irreversible: {why}")),
        (None, None) => Some("it has no down file".into()),
        (None, Some(_)) => None,
    }
}
