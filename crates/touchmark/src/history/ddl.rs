//! Finding out whether the tables are there, and making them.

use tokio_postgres::SimpleQueryRow;

use super::{Tables, explain};
use crate::lock::Scope;
use crate::search_path::home_sql;
use crate::session::{BatchError, Session};
use crate::sql::{ident, literal};
use crate::{Error, failed_to};

/// What is there of a history.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    pub refinery: bool,
    pub ledger: bool,
    pub schema: bool,
    /// Whether the schema of the migrations is there; true where none is set.
    pub home: bool,
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
    let home = home_sql(tables).map_or_else(|| "true".into(), |sql| format!("({sql})"));
    format!(
        "SELECT {} AS refinery, {} AS ledger, EXISTS (SELECT FROM pg_catalog.pg_namespace WHERE nspname = {schema}) AS schema, \
         (SELECT n.nspname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname = {} AND pg_catalog.pg_table_is_visible(c.oid)) AS by_path, {home} AS home",
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
            home: true,
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
            home: flag(4),
        }
    }

    /// The same as [`both`](Found::both), with the answer to [`home_sql`] where that was asked.
    pub(crate) fn both_and(home: Option<&Vec<SimpleQueryRow>>) -> Found {
        let found = home.and_then(|rows| rows.first()?.get(0));
        Found {
            home: found != Some("f"),
            ..Found::both()
        }
    }

    /// Refuses to begin a second history where the search path finds one already.
    pub(crate) fn check(&self, tables: &Tables) -> Result<(), Error> {
        match &self.by_path {
            Some(found)
                if !self.refinery && *found != tables.history.schema && !tables.one_of_many =>
            {
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
    if found.refinery && found.ledger && found.home {
        return Ok(());
    }
    let Err(error) = create_once(session, tables, scope, found) else {
        return Ok(());
    };
    let code = error.source.as_db_error().map(|e| e.code().code());
    // Another history's run has made the schema at the same moment: their locks are not the same.
    if let (Scope::Session, Some("42P06" | "23505")) = (scope, code) {
        let results = session
            .query(&exist_sql(tables))
            .map_err(|e| failed_to("look for the history", e))?;
        let found = Found::read(results.first());
        return create_once(session, tables, scope, &found)
            .map_err(|error| uncreated(error, session, tables, &found));
    }
    Err(uncreated(error, session, tables, found))
}

fn create_once(
    session: &mut Session,
    tables: &Tables,
    scope: Scope,
    found: &Found,
) -> Result<(), BatchError> {
    let is_there = |what| match what {
        "schema" => found.schema,
        "home" => found.home,
        "refinery" => found.refinery,
        _ => found.ledger,
    };
    let missing = all_sql(tables)
        .into_iter()
        .filter(|(what, _)| !is_there(*what));
    let mut sql: String = missing.map(|(_, sql)| sql).collect();
    if scope == Scope::Session {
        sql = format!("BEGIN; {sql} COMMIT");
    }
    session.settle(&sql).map(drop).inspect_err(|_| {
        // The lock stays with the session; only the transaction is given up.
        let _ = session.settle("ROLLBACK");
    })
}

/// Quoted, each once.
fn missing_schemas(tables: &Tables, found: &Found) -> Vec<String> {
    let mut missing = Vec::new();
    if !found.schema {
        missing.push(tables.schema.clone());
    }
    missing.extend(home(tables).filter(|_| !found.home));
    missing
}

fn uncreated(error: BatchError, session: &Session, tables: &Tables, found: &Found) -> Error {
    if let Some(server) = error.source.as_db_error()
        && server.code().code() == "42501"
        && server.message().contains("for database")
    {
        let role = session.role();
        let of = |schema: &String| format!("CREATE SCHEMA {schema} AUTHORIZATION {}", ident(&role));
        let grants: Vec<_> = missing_schemas(tables, found).iter().map(of).collect();
        return Error::Privilege {
            message: server.message().into(),
            grant: grants.join("; "),
            role,
        };
    }
    explain(error, session, tables, "create the history tables")
}

/// What makes everything, each with the name of its column in [`exist_sql`].
pub(crate) fn all_sql(tables: &Tables) -> Vec<(&'static str, String)> {
    let mut all = vec![("schema", format!("CREATE SCHEMA {};", tables.schema))];
    if let Some(home) = home(tables) {
        all.push(("home", format!("CREATE SCHEMA {home};")));
    }
    // refinery's own definition.
    let refinery = format!(
        "CREATE TABLE {} (version int8 PRIMARY KEY, name VARCHAR(255), applied_on VARCHAR(255), checksum VARCHAR(255));",
        tables.refinery
    );
    all.push(("refinery", refinery));
    all.push(("ledger", ledger_sql(tables)));
    all
}

/// The schema of the migrations, quoted, where it is not that of the history.
fn home(tables: &Tables) -> Option<String> {
    let path = tables.search_path.as_ref()?;
    (path.schema != tables.history.schema).then(|| ident(&path.schema))
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
            next_statement text CHECK (next_statement IN ('started', 'started-unclean', 'failed', 'retry')),
            role text NOT NULL DEFAULT session_user,
            application text NOT NULL DEFAULT pg_catalog.current_setting('application_name'),
            build text NOT NULL,
            started_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
            finished_at timestamptz
        );
        CREATE INDEX {unfinished} ON {ledger} (id) WHERE state IN ('running', 'undoing');"
    )
}
