//! The two tables: refinery's history in refinery's own format, and the ledger beside it.
//!
//! The schema that holds them is resolved once, and every statement names it, so that a
//! `SET search_path` in a migration does not lose the record.

mod ddl;
mod progress;
mod read;
mod record;

pub(crate) use ddl::{Found, all_sql, create, exist_sql};
pub(crate) use progress::{
    Reached, Writer, finish_set, intent_sql, or_fail_sql, resume_set, told_sql, undo_intent_sql,
    undo_resume_set, undone_set,
};
pub(crate) use read::{
    Probe, page_sql, probe_sql, read_page, read_refinery, read_rows, read_scripts, read_sql,
    refinery_rows_sql, script_sql, scripts_sql,
};
pub(crate) use record::{
    DOWN, Entry, Texts, UP, accept_sql, adopt_sql, copied_row, finished_sql, insert_sql, marks_sql,
    refinery_sql, removed_sql, stamp_sql, undone_sql, unrecord_sql,
};

use tokio_postgres::error::DbError;
use touchmark_core::encoded::{History, Home};

use crate::lock::Keys;
use crate::search_path::SearchPath;
use crate::session::{BatchError, Session};
use crate::sql::ident;
use crate::{Error, failed_to};

/// The tables of one history, ready to stand in SQL.
pub(crate) struct Tables {
    pub history: History,
    pub schema: String,
    pub refinery: String,
    pub ledger: String,
    pub keys: Keys,
    /// What the migrations see, where it is not what the role sees.
    pub search_path: Option<SearchPath>,
    /// Whether the caller chose the schema: others may have a history of the same set.
    pub one_of_many: bool,
}

impl Tables {
    pub(crate) fn of(home: Home) -> Result<Tables, Error> {
        let Home { schema, history } = home;
        let search_path = schema.as_deref().map(SearchPath::of).transpose()?;
        let schema = ident(&history.schema);
        Ok(Tables {
            refinery: format!("{schema}.{}", ident(&history.table)),
            ledger: format!("{schema}.{}", ident(&history.ledger())),
            keys: Keys::of(&history),
            schema,
            history,
            search_path,
            one_of_many: false,
        })
    }
}

/// An error of the bookkeeping, with the statement that grants what is missing.
pub(crate) fn explain(
    error: BatchError,
    session: &Session,
    tables: &Tables,
    doing: &'static str,
) -> Error {
    let server = error.source.as_db_error();
    match server.map(|server| (server.code().code(), server)) {
        Some(("42501", server)) => privilege(server, session, tables, doing),
        // undefined_column
        Some(("42703", server)) if server.message().contains("compatible") => ledger_old(tables),
        _ => failed_to(doing, error),
    }
}

fn ledger_old(tables: &Tables) -> Error {
    let Tables { ledger, .. } = tables;
    let check = ident(&format!("{}_state_check", tables.history.ledger()));
    Error::LedgerOld {
        table: ledger.clone(),
        alter: format!(
            "ALTER TABLE {ledger} ADD COLUMN compatible boolean NOT NULL DEFAULT false, DROP CONSTRAINT IF EXISTS {check}"
        ),
    }
}

/// The error of a missing privilege, with the statement that grants it.
pub(crate) fn privilege(
    server: &DbError,
    session: &Session,
    tables: &Tables,
    doing: &'static str,
) -> Error {
    let role = session.role();
    Error::Privilege {
        grant: grant(server.message(), tables, &ident(&role), doing),
        message: server.message().into(),
        role,
    }
}

fn grant(message: &str, tables: &Tables, role: &str, doing: &str) -> String {
    let Tables {
        schema,
        refinery,
        ledger,
        ..
    } = tables;
    if message.contains("for schema") {
        return match doing {
            "create the history tables" => {
                format!("GRANT USAGE, CREATE ON SCHEMA {schema} TO {role}")
            }
            _ => format!("GRANT USAGE ON SCHEMA {schema} TO {role}"),
        };
    }
    match doing {
        "read the history" => format!("GRANT SELECT ON {refinery}, {ledger} TO {role}"),
        "undo a migration" => {
            format!("GRANT SELECT, INSERT, DELETE ON {refinery}, {ledger} TO {role}")
        }
        _ => format!("GRANT SELECT, INSERT, UPDATE ON {refinery}, {ledger} TO {role}"),
    }
}
