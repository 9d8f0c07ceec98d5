//! What is done with the records by hand: looking into them, and settling what is open.

use touchmark_core::Checksum;

use super::Migrator;
use crate::accept::{self, Accepted};
use crate::audit::{self, Audit};
use crate::config::ToConfig;
use crate::plan::Target;
use crate::report::StampReport;
use crate::resolve::{self, Resolution, Resolved};
use crate::rows::{AppliedScript, LedgerRow};
use crate::stamp::{self, StampPlan};
use crate::{Error, history, run};

impl Migrator<'_> {
    /// As [`status`](Migrator::status), and whether what the database records follows from itself:
    /// every checksum from its SQL, every chain value from the rows before it, and refinery's
    /// history from the ledger. Each row is given to `each`, with the SQL that it says was
    /// applied. Reads the ledger in pages, in one snapshot; creates nothing and takes no lock.
    ///
    /// What nothing commits to can't be told: role, application, build and times of a row, and
    /// the time in refinery's history; whether a row was applied or adopted; that the last rows
    /// were deleted from the ledger, which looks as if refinery had applied them; `down_sql` and
    /// `compatible`, which the caller can hold against the SQL and the files.
    ///
    /// # Errors
    /// When there is no connection, or the history can't be read.
    pub fn audit(
        &self,
        database: impl ToConfig,
        mut each: impl FnMut(&LedgerRow, &AppliedScript) + Send,
    ) -> Result<Audit, Error> {
        self.look(database, |session, opened, start| {
            audit::audit(session, &opened.tables, &opened.encoded, &start, &mut each)
        })
    }

    /// What a row of the ledger applied; `None` where there is no such row.
    ///
    /// # Errors
    /// When there is no connection, or the ledger can't be read.
    pub fn applied_script(
        &self,
        database: impl ToConfig,
        row: i64,
    ) -> Result<Option<AppliedScript>, Error> {
        let config = self.config(database)?;
        self.aside(|events| {
            let tables = self.opened()?.tables;
            let mut session = run::connect(&self.options, &config, events)?;
            let results = session
                .query(&history::script_sql(&tables, row))
                .map_err(|e| history::explain(e, &session, &tables, "read the history"))?;
            let found = results.first().and_then(|rows| rows.first());
            Ok(found.map(|found| AppliedScript {
                up: found.get(0).unwrap_or_default().into(),
                down: found.get(1).map(Into::into),
            }))
        })
    }

    /// Settles an interrupted migration without a transaction, of which nothing but somebody's
    /// look at the database can tell how far it came. `which` is its version, or its name as
    /// messages show it. Takes the migration lock; the next run goes on from there.
    ///
    /// # Errors
    /// [`Error::NotUnfinished`] and [`Error::NotInDoubt`], and those of any run.
    pub fn resolve(
        &self,
        database: impl ToConfig,
        which: &str,
        resolution: Resolution,
    ) -> Result<Resolved, Error> {
        let config = self.config(database)?;
        let options = &self.options;
        self.aside(|events| resolve::resolve(self.set, options, &config, events, which, resolution))
    }

    /// Records that this set's text of a migration takes the place of the one that was applied,
    /// because the two differ in comments or white space only. `which` is its version, or its
    /// name as messages show it; `applied` is the checksum of the text that was applied, and `by`
    /// says who accepts it.
    ///
    /// There is no lexer in here: that the edit is a cosmetic one is for the caller to prove, from
    /// [`applied_script`](Migrator::applied_script) and the set's own text.
    ///
    /// Takes the migration lock and reads again; the ledger gets a row and refinery's checksum is
    /// replaced in one transaction. A binary that carries the text before goes on starting.
    ///
    /// # Errors
    /// [`Error::NotAccepted`], and those of any run.
    pub fn accept_cosmetic(
        &self,
        database: impl ToConfig,
        which: &str,
        applied: Checksum,
        by: &str,
    ) -> Result<Accepted, Error> {
        let config = self.config(database)?;
        let request = accept::Request { which, applied, by };
        self.aside(|events| accept::accept(self.set, &self.options, &config, events, &request))
    }

    /// Records every version up to `target` that is pending as applied, without running it: for a
    /// database that was made by hand or by another tool. Nothing here looks whether what the
    /// migrations make is there. Repeatable ones are not recorded; the next run applies them.
    ///
    /// Takes the migration lock and reads again; all rows of both tables are written in one
    /// transaction. What refinery had applied is taken over with them. A stamped migration is
    /// undone as any other.
    ///
    /// # Errors
    /// [`Error::Divergent`], [`Error::StampUnfinished`], [`Error::TargetBehind`] where the database
    /// is beyond the target, and those of any run.
    pub fn stamp(&self, database: impl ToConfig, target: Target) -> Result<StampReport, Error> {
        let shown = None;
        self.record(database, stamp::Request { target, shown })
    }

    /// Records what a plan says, and nothing where that is not what would be recorded any more.
    ///
    /// # Errors
    /// [`Error::PlanChanged`], and those of [`stamp`](Migrator::stamp).
    pub fn stamp_as_planned(
        &self,
        database: impl ToConfig,
        plan: &StampPlan,
    ) -> Result<StampReport, Error> {
        let (target, shown) = (plan.target, Some(plan));
        self.record(database, stamp::Request { target, shown })
    }

    /// What [`stamp`](Migrator::stamp) would record. Creates nothing and takes no lock.
    ///
    /// # Errors
    /// Those that a stamp would meet before it records anything.
    pub fn stamp_plan(&self, database: impl ToConfig, target: Target) -> Result<StampPlan, Error> {
        self.look(database, |session, opened, start| {
            let rows = run::read(session, &opened.tables, &start)?;
            let migrations = opened.encoded.migrations()?;
            stamp::plan_for(&migrations, &rows, target, &self.set.build())
        })
    }

    fn record(
        &self,
        database: impl ToConfig,
        request: stamp::Request,
    ) -> Result<StampReport, Error> {
        let config = self.config(database)?;
        self.aside(|events| stamp::stamp(self.set, &self.options, &config, events, request))
    }
}
