//! The migrator: a set, a few settings, and the runs.

mod detached;
mod records;
mod scripts;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio_postgres::Socket;
use tokio_postgres::tls::{MakeTlsConnect, TlsConnect};
use touchmark_core::encoded::History;

use crate::ahead::Ahead;
use crate::cancel::Canceller;
use crate::compare::{Comparison, compare};
use crate::config::ToConfig;
use crate::event::{Event, Events};
use crate::lock::Scope;
use crate::plan::{Plan, Target, is_ready, plan};
use crate::report::{Report, RollbackReport};
use crate::rows::Rows;
use crate::run::{self, Opened, Options, Start};
use crate::session::Session;
use crate::tls::Connector;
use crate::undo::{self, RollbackPlan, RollbackTarget};
use crate::{Error, Set};

type OnEvent<'a> = Arc<dyn Fn(&Event) + Send + Sync + 'a>;

/// Migrates databases to a set. Every setting has a default that is right for production.
///
/// ```no_run
/// use std::time::Duration;
/// use touchmark::{Migrator, Set, Target};
/// # static MIGRATIONS: Set<'static> = Set::from_bytes(&[]);
///
/// let report = Migrator::new(&MIGRATIONS)
///     .target(Target::Latest)
///     .lock_timeout(Duration::from_secs(2))
///     .wait(Duration::from_secs(600))
///     .on_event(|event| println!("{event}"))
///     .run("postgresql://app@localhost/app")?;
/// println!("{} applied", report.applied.len());
/// # Ok::<(), touchmark::Error>(())
/// ```
#[derive(Clone)]
pub struct Migrator<'a> {
    set: Set<'a>,
    options: Options,
    on_event: Option<OnEvent<'a>>,
}

/// What only looks says nothing.
const SILENT: Events = Events { on_event: None };

/// What a database records, held against the set.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Status {
    /// Both tables as they are; empty where there are none.
    pub rows: Rows,
    /// The set held against them.
    pub comparison: Comparison,
    /// Whether the server is a standby.
    pub standby: bool,
    /// Whether the connection goes through a pooler that gives each transaction another session.
    pub pooled: bool,
}

impl<'a> Migrator<'a> {
    /// A migrator with the defaults: everything that is pending, a lock timeout of 2 s with
    /// retries for 5 minutes, and 10 minutes of waiting for another run.
    pub fn new(set: &Set<'a>) -> Migrator<'a> {
        Migrator {
            set: *set,
            options: Options {
                target: Target::Latest,
                ahead: Ahead::default(),
                lock_timeout: Duration::from_secs(2),
                retry: Duration::from_secs(300),
                wait: Duration::from_secs(600),
                answer: Duration::from_secs(30),
                canceller: Canceller::new(),
                connector: Connector::plain(),
                history: None,
                schema: None,
                placeholders: BTreeMap::new(),
            },
            on_event: None,
        }
    }

    /// How far the run goes. Default: [`Target::Latest`].
    pub fn target(mut self, target: Target) -> Self {
        self.options.target = target;
        self
    }

    /// What happens where a newer release has migrated the database on. Default:
    /// [`Ahead::AcceptPrefix`].
    pub fn ahead(mut self, ahead: Ahead) -> Self {
        self.options.ahead = ahead;
        self
    }

    /// How long a statement waits for a lock before its migration is rolled back and tried
    /// again, so that the queries which queue behind it go on. Default: 2 s. A file's
    /// `lock-timeout` directive goes before it.
    pub fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.options.lock_timeout = timeout;
        self
    }

    /// For how long a migration that others stand in the way of is tried again. Default: 5 min.
    pub fn retry_for(mut self, retry: Duration) -> Self {
        self.options.retry = retry;
        self
    }

    /// How long to wait for another run, and for a server that is still starting. Default:
    /// 10 min.
    pub fn wait(mut self, wait: Duration) -> Self {
        self.options.wait = wait;
        self
    }

    /// How long the server may say nothing before it is asked over a second connection whether it
    /// still works on what was sent. Where it does not, or can't be reached, the connection counts
    /// as lost and is made again: something in between has dropped it without a word. A statement
    /// that runs for hours is not disturbed. Default: 30 s.
    pub fn answer_within(mut self, answer: Duration) -> Self {
        self.options.answer = answer;
        self
    }

    /// The schema that unqualified names of the migrations mean, and in which the history is kept,
    /// instead of what the build's configuration says: the search path of each migration is this
    /// schema and `public`. It is created where it is missing.
    ///
    /// So one set is applied to the schemas of many tenants, in turn or at the same time: each has
    /// a history and a lock of its own.
    ///
    /// ```no_run
    /// # use touchmark::{Migrator, Set};
    /// # static MIGRATIONS: Set<'static> = Set::from_bytes(&[]);
    /// for tenant in ["tenant_a", "tenant_b"] {
    ///     Migrator::new(&MIGRATIONS).schema(tenant).run("postgresql://app@localhost/app")?;
    /// }
    /// # Ok::<(), touchmark::Error>(())
    /// ```
    pub fn schema(mut self, schema: &str) -> Self {
        self.options.schema = Some(schema.into());
        self
    }

    /// Where the history is kept, instead of where the build's configuration or
    /// [`schema`](Migrator::schema) says.
    pub fn history(mut self, schema: &str, table: &str) -> Self {
        self.options.history = Some(History {
            schema: schema.into(),
            table: table.into(),
        });
        self
    }

    /// The value of a placeholder, `${name}` in the migrations, instead of the default that its
    /// declaration has under `[workspace.metadata.touchmark.placeholders]`. It becomes an escaped
    /// literal or a quoted identifier, as is declared. It is not for secrets: the server's log and the
    /// ledger's `down_sql` have it.
    pub fn placeholder(mut self, name: &str, value: &str) -> Self {
        let given = &mut self.options.placeholders;
        given.insert(name.into(), value.into());
        self
    }

    /// What is called with each [`Event`], on the thread of the run. Default: the events go to
    /// the log, at level `info`.
    pub fn on_event(mut self, on_event: impl Fn(&Event) + Send + Sync + 'a) -> Self {
        self.on_event = Some(Arc::new(on_event));
        self
    }

    /// What stops the run from outside; see [`Canceller`].
    pub fn canceller(mut self, canceller: &Canceller) -> Self {
        self.options.canceller = canceller.clone();
        self
    }

    /// The TLS connector for servers that ask for TLS. Default: none, so that a connection
    /// string with `sslmode=require` is refused.
    pub fn tls<T>(mut self, tls: T) -> Self
    where
        T: MakeTlsConnect<Socket> + Clone + Send + Sync + 'static,
        T::Stream: Send,
        T::TlsConnect: Send,
        <T::TlsConnect as TlsConnect<Socket>>::Future: Send,
    {
        self.options.connector = Connector::new(tls);
        self
    }

    /// Migrates. Blocks until it is done; may be called inside an async runtime, where
    /// [`run_async`](Migrator::run_async) is the better choice.
    ///
    /// # Errors
    /// See [`Error`]. A migration that fails is rolled back with its record, and those before
    /// it stay applied.
    pub fn run(&self, database: impl ToConfig) -> Result<Report, Error> {
        let config = self.config(database)?;
        self.aside(|events| run::run(self.set, &self.options, &config, events))
    }

    /// What [`run`](Migrator::run) would do. Creates nothing and takes no lock.
    ///
    /// # Errors
    /// Those that a run would meet before its first migration.
    pub fn plan(&self, database: impl ToConfig) -> Result<Plan, Error> {
        self.look(database, |session, opened, start| {
            let rows = run::read(session, &opened.tables, &start)?;
            let migrations = opened.migrations()?;
            let context = opened.context(&migrations, &self.options, SILENT, start.scope);
            let Options { target, ahead, .. } = self.options;
            let plan = plan(&migrations, &rows, target, ahead)
                .map_err(|refusal| run::refuse(refusal, context.build))?;
            context.check_values(&plan.steps, &plan.adopt)?;
            Ok(plan)
        })
    }

    /// Undoes migrations, the highest version first, each in one transaction with its record: with
    /// the set's own `.down.sql` file, or where it has none, with what the ledger kept from the
    /// release that applied it. An undone migration is pending again, and every repeatable one is
    /// applied again by the next run. Blocks until it is done.
    ///
    /// ```no_run
    /// use touchmark::{Migrator, RollbackTarget, Set};
    /// # static MIGRATIONS: Set<'static> = Set::from_bytes(&[]);
    ///
    /// let migrator = Migrator::new(&MIGRATIONS);
    /// let report = migrator.rollback("postgresql://app@localhost/app", RollbackTarget::Steps(1))?;
    /// println!("{} undone", report.undone.len());
    /// # Ok::<(), touchmark::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::Blocked`] with all that is in the way, before anything is undone; and those of any
    /// run. An undo that fails is rolled back, and those before it stay undone.
    pub fn rollback(
        &self,
        database: impl ToConfig,
        target: RollbackTarget,
    ) -> Result<RollbackReport, Error> {
        let shown = None;
        self.undo(database, undo::Request { target, shown })
    }

    /// Undoes what a plan says, and nothing where that is not what would be undone any more.
    ///
    /// # Errors
    /// [`Error::PlanChanged`], and those of [`rollback`](Migrator::rollback).
    pub fn rollback_as_planned(
        &self,
        database: impl ToConfig,
        plan: &RollbackPlan,
    ) -> Result<RollbackReport, Error> {
        let (target, shown) = (plan.target, Some(plan));
        self.undo(database, undo::Request { target, shown })
    }

    fn undo(
        &self,
        database: impl ToConfig,
        request: undo::Request,
    ) -> Result<RollbackReport, Error> {
        let config = self.config(database)?;
        self.aside(|events| undo::rollback(self.set, &self.options, &config, events, request))
    }

    /// What [`rollback`](Migrator::rollback) would do. Creates nothing and takes no lock.
    ///
    /// # Errors
    /// Those that an undo would meet before its first step.
    pub fn rollback_plan(
        &self,
        database: impl ToConfig,
        target: RollbackTarget,
    ) -> Result<RollbackPlan, Error> {
        self.look(database, |session, opened, start| {
            let rows = run::read(session, &opened.tables, &start)?;
            let migrations = opened.migrations()?;
            let context = opened.context(&migrations, &self.options, SILENT, start.scope);
            undo::plan_for(session, &context, &rows, target, start.standby)
        })
    }

    /// What the database records, held against the set. Creates nothing and takes no lock.
    ///
    /// # Errors
    /// When there is no connection, or the history can't be read.
    pub fn status(&self, database: impl ToConfig) -> Result<Status, Error> {
        self.look(database, |session, opened, start| {
            let rows = run::read(session, &opened.tables, &start)?;
            Ok(Status {
                comparison: compare(&opened.encoded.migrations()?, &rows),
                rows,
                standby: start.standby,
                pooled: start.scope == Scope::Transaction,
            })
        })
    }

    /// Whether the database is at exactly this set: one connection, one round trip.
    ///
    /// # Errors
    /// When there is no connection, or the history can't be read.
    pub fn is_current(&self, database: impl ToConfig) -> Result<bool, Error> {
        self.look(database, |_, opened, start| {
            let nothing = start.probe.is_none() && opened.encoded.is_empty();
            Ok(nothing || start.is_current(&opened.encoded))
        })
    }

    /// Whether a release that has run may go on, as a readiness probe asks: the database is at
    /// this set, or ahead of it as [`ahead`](Migrator::ahead) accepts. Repeatable files that a
    /// newer release has replaced since count as ahead. One round trip, or two where it is ahead.
    ///
    /// # Errors
    /// When there is no connection, or the history can't be read.
    pub fn is_ready(&self, database: impl ToConfig) -> Result<bool, Error> {
        self.look(database, |session, opened, start| {
            if start.is_current(&opened.encoded) {
                return Ok(true);
            }
            let rows = run::read(session, &opened.tables, &start)?;
            let migrations = opened.encoded.migrations()?;
            Ok(is_ready(&migrations, &rows, self.options.ahead))
        })
    }

    /// Connects, and makes the one round trip of a start.
    fn look<T: Send>(
        &self,
        database: impl ToConfig,
        work: impl FnOnce(&mut Session, &Opened, Start) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let config = self.config(database)?;
        self.aside(|events| {
            let opened = self.opened()?;
            let mut session = run::connect(&self.options, &config, events)?;
            let start = run::look(&mut session, &opened.tables, &opened.encoded)?;
            work(&mut session, &opened, start)
        })
    }

    fn opened(&self) -> Result<Opened<'a>, Error> {
        Opened::of(&self.set, &self.options)
    }

    fn config(&self, database: impl ToConfig) -> Result<tokio_postgres::Config, Error> {
        let mut config = database.to_config()?;
        if config.get_application_name().is_none() {
            config.application_name("touchmark");
        }
        // The system's two hours are the driver's default: a server that is gone would be waited
        // for as long.
        if config.get_keepalives_idle() >= Duration::from_secs(7200) {
            config.keepalives_idle(Duration::from_secs(15));
        }
        if config.get_keepalives_interval().is_none() {
            config.keepalives_interval(Duration::from_secs(10));
        }
        if config.get_keepalives_retries().is_none() {
            config.keepalives_retries(3);
        }
        if config.get_tcp_user_timeout().is_none() {
            config.tcp_user_timeout(Duration::from_secs(45));
        }
        Ok(config)
    }

    /// Runs on a thread of its own: a runtime can't be entered inside another one, and the caller
    /// may be in one.
    fn aside<T: Send>(
        &self,
        work: impl FnOnce(Events) -> Result<T, Error> + Send,
    ) -> Result<T, Error> {
        let events = Events {
            on_event: self.on_event.as_deref(),
        };
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new()
                .name("touchmark".into())
                .spawn_scoped(scope, || work(events))
                .map_err(Error::Start)?;
            match thread.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            }
        })
    }
}
