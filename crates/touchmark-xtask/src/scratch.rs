//! A database that is there for a moment, beside the developer's own and on the same server.

#[cfg(test)]
mod tests;

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use postgres::Client;
use postgres::error::SqlState;
use touchmark_core::encoded::Home;
use touchmark_core::{Script, beyond_the_database};
use touchmark_engine::{Database, url};

use crate::confirm::{Answers, Question, confirm};
use crate::database::like::{self, Extent};
use crate::database::{self, server};
use crate::error::Error;
use crate::interrupt::Interrupts;
use crate::screen::Screen;

/// What their names begin with.
const PREFIX: &str = "touchmark_scratch_";

/// A database that is empty but for the schemas that a run would make, and like the developer's in
/// encoding, locale and settings.
pub(crate) struct Scratch {
    pub url: String,
}

/// Nothing is made on a server where `db-reset` wants a name typed out, unless it is typed out
/// here too. `command` is what was typed, and `name` the value of its `--confirm`.
pub(crate) fn permit(command: &str, name: Option<&str>, database: &Database) -> Result<(), Error> {
    let question = Question {
        command: command.into(),
        will: "A database of its own is made beside it, and dropped again".into(),
        // The other two are for databases that are not protected, where nothing is asked.
        would: String::new(),
        ask: String::new(),
        yes: &[],
    };
    let environment = database::environment(&database.url)?;
    let answers = Answers { yes: true, name };
    confirm(&question, &answers, database, environment.as_deref())
}

/// Refuses scripts, each with its file, that change the whole server: a scratch database does not keep a role to
/// itself. Tried there, it would be made, or dropped, for good.
pub(crate) fn keep_to_the_database<'s>(
    scripts: impl Iterator<Item = (String, &'s Script)>,
    help: &str,
) -> Result<(), Error> {
    let reached = scripts.flat_map(|(file, script)| {
        let reached = beyond_the_database(script).into_iter();
        reached.map(move |reach| format!("{file}:{}: {}", reach.line, reach.what))
    });
    let reached: Vec<_> = reached.collect();
    if reached.is_empty() {
        return Ok(());
    }
    Err(Error::Refused {
        message: format!(
            "these migrations change what belongs to the whole server, and a scratch database does not keep that to itself:\n       {}",
            reached.join("\n       ")
        ),
        help: help.into(),
    })
}

/// Makes one beside `database`, does the work, and drops it, however the work ends. A signal cancels
/// `interrupts.canceller` meanwhile; work that takes long should look at it. What was left behind by
/// a run that was killed is dropped too.
///
/// # Errors
/// [`Error::NoScratch`] where the role may not create databases, and those of the work.
pub(crate) fn with<T>(
    database: &Database,
    home: &Home,
    interrupts: &Interrupts,
    screen: &Screen,
    work: impl FnOnce(&Scratch) -> Result<T, Error>,
) -> Result<T, Error> {
    keep(interrupts, screen, work, || {
        let mut keeper = Keeper::make(database)?;
        keeper.create(home)?;
        Ok(keeper)
    })
}

/// The same with one that begins as `original` is, where the server can copy it; otherwise it begins
/// as empty as that one did.
pub(crate) fn with_copy<T>(
    (original, database): (&Scratch, &Database),
    home: &Home,
    interrupts: &Interrupts,
    screen: &Screen,
    work: impl FnOnce(&Scratch) -> Result<T, Error>,
) -> Result<T, Error> {
    keep(interrupts, screen, work, || {
        let mut keeper = Keeper::make(database)?;
        if !keeper.copy(original)? {
            keeper.create(home)?;
        }
        Ok(keeper)
    })
}

fn keep<'d, T>(
    interrupts: &Interrupts,
    screen: &Screen,
    work: impl FnOnce(&Scratch) -> Result<T, Error>,
    make: impl FnOnce() -> Result<Keeper<'d>, Error>,
) -> Result<T, Error> {
    interrupts.during(|| {
        let mut keeper = make()?;
        let outcome = work(&keeper.scratch);
        if let Err(error) = keeper.drop_it() {
            screen.warning(format_args!(
                "the scratch database {} is left behind: {error}; the next run drops it",
                keeper.name
            ));
        }
        outcome
    })
}

/// Its connection, which is one to the developer's database, says who is at work: a scratch database
/// whose name no session has as its `application_name` belongs to nobody any more.
struct Keeper<'d> {
    client: Client,
    name: String,
    scratch: Scratch,
    database: &'d Database,
    is_dropped: bool,
}

/// Those that belong to nobody. A name that only begins alike is somebody's own.
const LEFT_BEHIND: &str = "
SELECT d.datname::text FROM pg_catalog.pg_database d
WHERE d.datname ~ $1 AND pg_catalog.pg_has_role(d.datdba, 'USAGE')
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_stat_activity a
        WHERE a.application_name = d.datname OR a.datid = d.oid)";

const ROLE: &str = "
SELECT current_user::text, rolcreatedb OR rolsuper FROM pg_catalog.pg_roles
WHERE rolname = current_user";

/// The name of a database, and whether it has privileges or subscriptions, which no copy has.
const LEAVES_BEHIND: &str = "
SELECT d.datname::text, d.datacl IS NOT NULL
    OR EXISTS (SELECT FROM pg_catalog.pg_subscription s WHERE s.subdbid = d.oid)
FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()";

impl Keeper<'_> {
    /// Its database is not there yet.
    fn make(database: &Database) -> Result<Keeper<'_>, Error> {
        let random = RandomState::new().build_hasher().finish();
        let name = format!("{PREFIX}{random:016x}");
        let mut client = connect(database, &name)?;
        let row = client.query_one(ROLE, &[]).map_err(look)?;
        if !row.get::<_, bool>(1) {
            let role = row.get(0);
            return Err(Error::NoScratch { role });
        }
        let ours = format!("^{PREFIX}[0-9a-f]{{16}}$");
        for row in client.query(LEFT_BEHIND, &[&ours]).map_err(look)? {
            // Another run may be faster.
            let _ = client.batch_execute(&drop_statement(row.get(0)));
        }
        let scratch = Scratch {
            url: url::with_database(&database.url, &name)?,
        };
        Ok(Keeper {
            client,
            name,
            scratch,
            database,
            is_dropped: false,
        })
    }

    fn create(&mut self, home: &Home) -> Result<(), Error> {
        let like = like::create(&mut self.client, &self.name, Extent::Sessions).map_err(look)?;
        let settings =
            like::settings(&mut self.client, &self.name, Extent::Sessions).map_err(look)?;
        self.client
            .batch_execute(&like)
            .map_err(|error| server("make a scratch database", &error))?;
        self.set(&settings);
        // A run makes them with its tables: they are not what the first migration leaves behind.
        let schemas = home.schema.iter().chain([&home.history.schema]);
        let statements = schemas.map(|schema| {
            let schema = schema.replace('"', "\"\"");
            format!("CREATE SCHEMA IF NOT EXISTS \"{schema}\";")
        });
        database::connect(&self.scratch.url, None)?
            .batch_execute(&statements.collect::<String>())
            .map_err(|error| server("make the schema of the history", &error))
    }

    /// Whether it could be copied: nobody else may be connected to the original, and what belongs to a database and
    /// is not in it does not come along.
    fn copy(&mut self, original: &Scratch) -> Result<bool, Error> {
        let mut there = database::connect(&original.url, None)?;
        let row = there.query_one(LEAVES_BEHIND, &[]).map_err(look)?;
        let (name, leaves_behind): (String, bool) = (row.get(0), row.get(1));
        let settings = like::settings(&mut there, &self.name, Extent::Sessions).map_err(look)?;
        drop(there);
        if leaves_behind {
            return Ok(false);
        }
        let copy = format!("CREATE DATABASE \"{}\" TEMPLATE \"{name}\"", self.name);
        match self.client.batch_execute(&copy) {
            Ok(()) => {}
            Err(error) if error.code() == Some(&SqlState::OBJECT_IN_USE) => return Ok(false),
            Err(error) => return Err(server("copy a scratch database", &error)),
        }
        self.set(&settings);
        Ok(true)
    }

    fn set(&mut self, settings: &[String]) {
        for setting in settings {
            // A few of them take more than an owner, and no migration can tell.
            let _ = self.client.batch_execute(setting);
        }
    }

    fn drop_it(&mut self) -> Result<(), Error> {
        self.is_dropped = true;
        let statement = drop_statement(&self.name);
        if self.client.batch_execute(&statement).is_ok() {
            return Ok(());
        }
        // The connection may have been lost meanwhile.
        connect(self.database, &self.name)?
            .batch_execute(&statement)
            .map_err(|error| server("drop the scratch database", &error))
    }
}

impl Drop for Keeper<'_> {
    fn drop(&mut self) {
        if !self.is_dropped {
            let _ = self.drop_it();
        }
    }
}

fn connect(database: &Database, application: &str) -> Result<Client, Error> {
    let mut config = url::parse(&database.url)?;
    config
        .application_name(application)
        .connect_timeout(std::time::Duration::from_secs(15))
        .connect(postgres::NoTls)
        .map_err(|error| server("connect", &error))
}

fn drop_statement(name: &str) -> String {
    format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")
}

#[allow(clippy::needless_pass_by_value)]
fn look(error: postgres::Error) -> Error {
    server("look at the database", &error)
}
