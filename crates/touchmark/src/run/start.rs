//! Connecting, and looking without a lock.

use std::time::Instant;

use tokio_postgres::Config;
use touchmark_core::encoded::Encoded;

use super::Options;
use super::attempts::SERVER_START;
use crate::event::Events;
use crate::history::{self, Found, Probe, Tables};
use crate::lock::Scope;
use crate::rows::Rows;
use crate::session::{Patience, Results, Session};
use crate::{Error, failed_to, session};

/// What the first round trip tells.
pub(crate) struct Start {
    pub scope: Scope,
    pub standby: bool,
    /// None where a table is missing.
    pub probe: Option<Probe>,
}

impl Start {
    /// Refuses a standby, where there is something to write.
    pub(crate) fn check_writable(&self) -> Result<(), Error> {
        match self.standby {
            true => Err(Error::ReadOnly {
                cause: "it takes no writes".into(),
                remedy: None,
            }),
            false => Ok(()),
        }
    }

    /// Whether everything of the set is applied, nothing is unfinished, and nobody has applied
    /// more behind the ledger's back.
    pub(crate) fn is_current(&self, set: &Encoded) -> bool {
        self.probe.as_ref().is_some_and(|probe| {
            probe.head == Some(set.head())
                && !probe.unfinished
                && probe.last_version.unwrap_or(-1) == set.last_version()
        })
    }
}

/// Opens the connection of something that only looks, and is not made again.
pub(crate) fn connect<'a>(
    options: &Options,
    config: &Config,
    events: Events<'a>,
) -> Result<Session<'a>, Error> {
    let hosts = session::hosts(config);
    let order: Vec<_> = (0..hosts.len()).collect();
    let patience = Patience::Starting(Instant::now() + options.wait);
    session::connect(options, &hosts, &order, events, patience)
}

/// The one round trip of a start that has nothing to do.
pub(crate) fn look(session: &mut Session, tables: &Tables, set: &Encoded) -> Result<Start, Error> {
    let sql = format!(
        "SELECT pg_catalog.pg_backend_pid(), pg_catalog.pg_is_in_recovery(), {SERVER_START}; {}",
        history::probe_sql(tables, set.head())
    );
    let (results, probe) = match session.query(&sql) {
        Ok(results) => {
            let probe = results
                .get(1)
                .and_then(|rows| rows.first())
                .map(Probe::read);
            (results, probe)
        }
        Err(error) => {
            let code = error
                .source
                .as_db_error()
                .map(|e| e.code().code().to_owned());
            // undefined_table, invalid_schema_name
            if !matches!(code.as_deref(), Some("42P01" | "3F000")) {
                return Err(history::explain(error, session, tables, "read the history"));
            }
            (error.done, None)
        }
    };
    let first = results.first().and_then(|rows| rows.first());
    let pid: Option<i32> = first.and_then(|row| row.get(0)?.parse().ok());
    // Behind a transaction pooler, the process that answers is not the one that was promised.
    let scope = match (session.start_pid, pid) {
        (Some(start), Some(pid)) if start != pid => Scope::Transaction,
        _ => Scope::Session,
    };
    let standby = first.and_then(|row| row.get(1)) == Some("t");
    session.backend = pid.filter(|_| scope == Scope::Session);
    session.was_primary = !standby;
    session.server_start = first.and_then(|row| row.get(2)).map(Into::into);
    Ok(Start {
        scope,
        standby,
        probe,
    })
}

/// Reads what is recorded, without a lock and without creating anything.
pub(crate) fn read(session: &mut Session, tables: &Tables, start: &Start) -> Result<Rows, Error> {
    let found = find(session, tables, start)?;
    read_tables(session, tables, &found)
}

/// Which tables are there.
pub(crate) fn find(session: &mut Session, tables: &Tables, start: &Start) -> Result<Found, Error> {
    if start.probe.is_some() {
        return Ok(Found::both());
    }
    let results = session
        .query(&history::exist_sql(tables))
        .map_err(|e| failed_to("look for the history", e))?;
    let found = Found::read(results.first());
    found.check(tables)?;
    Ok(found)
}

pub(crate) fn read_tables(
    session: &mut Session,
    tables: &Tables,
    found: &Found,
) -> Result<Rows, Error> {
    if !found.refinery && !found.ledger {
        return Ok(Rows::default());
    }
    let results = session
        .query(&history::read_sql(tables, found, "true"))
        .map_err(|e| history::explain(e, session, tables, "read the history"))?;
    read_results(&results)
}

pub(crate) fn read_results(results: &Results) -> Result<Rows, Error> {
    let empty = Vec::new();
    history::read_rows(
        results.first().unwrap_or(&empty),
        results.get(1).unwrap_or(&empty),
    )
}
