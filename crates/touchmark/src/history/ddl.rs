//! Finding out whether the tables are there, and making them.

use tokio_postgres::SimpleQueryRow;

use super::{Tables, explain};
use crate::Error;
use crate::lock::Scope;
use crate::session::Session;
use crate::sql::{ident, literal};

/// What is there of a history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub refinery: bool,
    pub ledger: bool,
    pub schema: bool,
    /// The schema in which the search path finds a history of this name.
    pub by_path: Option<String>,
}

/// Asks what is there. Works with no table and no privilege at all.
pub(crate) fn exist_sql(tables: &Tables) -> String {
    let schema = literal(&tables.history.schema);
    let exists = |table: &str| {
        format!(
            "EXISTS (SELECT FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
             WHERE n.nspname = {schema} AND c.relname = {} AND c.relkind IN ('r', 'p'))",
            literal(table)
        )
    };
    format!(
        "SELECT {}, {}, EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = {schema}), \
         (SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname = {} AND pg_catalog.pg_table_is_visible(c.oid))",
        exists(&tables.history.table),
        exists(&tables.history.ledger()),
        literal(&tables.history.table),
    )
}

impl Found {
    /// Both tables are known to be there.
    pub(crate) fn both() -> Found {
        Found {
            refinery: true,
            ledger: true,
            schema: true,
            ..Found::default()
        }
    }

    pub(crate) fn read(rows: Option<&Vec<SimpleQueryRow>>) -> Found {
        let Some(row) = rows.and_then(|rows| rows.first()) else {
            return Found::default();
        };
        let flag = |at: usize| row.get(at) == Some("t");
        Found {
            refinery: flag(0),
            ledger: flag(1),
            schema: flag(2),
            by_path: row.get(3).map(Into::into),
        }
    }

    /// Refuses to begin a second history where the search path finds one already.
    pub(crate) fn check(&self, tables: &Tables) -> Result<(), Error> {
        match &self.by_path {
            Some(found) if !self.refinery && *found != tables.history.schema => {
                Err(Error::HistoryElsewhere {
                    expected: tables.history.schema.clone(),
                    found: found.clone(),
                })
            }
            _ => Ok(()),
        }
    }
}

/// Creates what is missing. Runs under the lock.
pub(crate) fn create(
    session: &mut Session,
    tables: &Tables,
    scope: Scope,
    found: &Found,
) -> Result<(), Error> {
    if found.refinery && found.ledger {
        return Ok(());
    }
    let mut sql = String::new();
    if !found.schema {
        sql += &format!("CREATE SCHEMA {};", tables.schema);
    }
    if !found.refinery {
        // refinery's own definition.
        sql += &format!(
            "CREATE TABLE {} (version int8 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));",
            tables.refinery
        );
    }
    if !found.ledger {
        sql += &ledger_sql(tables);
    }
    if scope == Scope::Session {
        sql = format!("BEGIN; {sql} COMMIT");
    }
    match session.settle(&sql) {
        Ok(_) => Ok(()),
        Err(error) => {
            // The lock stays with the session; only the transaction is given up.
            let _ = session.settle("ROLLBACK");
            Err(explain(error, session, tables, "create the history tables"))
        }
    }
}

fn ledger_sql(tables: &Tables) -> String {
    let ledger = &tables.ledger;
    let unfinished = ident(&format!("{}_unfinished", tables.history.ledger()));
    format!(
        "CREATE TABLE {ledger} (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            kind text NOT NULL CHECK (kind IN ('V', 'U', 'R')),
            version bigint NOT NULL,
            name text NOT NULL,
            leaf bytea NOT NULL,
            chain bytea,
            state text NOT NULL,
            up_sql text NOT NULL,
            down_sql text,
            compatible boolean NOT NULL DEFAULT false,
            statements bytea[],
            statements_done integer NOT NULL DEFAULT 0,
            next_statement text CHECK (next_statement IN ('started', 'failed', 'retry')),
            role text NOT NULL DEFAULT session_user,
            application text NOT NULL DEFAULT pg_catalog.current_setting('application_name'),
            build text NOT NULL,
            started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
            finished_at timestamptz
        );
        CREATE INDEX {unfinished} ON {ledger} (id) WHERE state = 'running';"
    )
}
