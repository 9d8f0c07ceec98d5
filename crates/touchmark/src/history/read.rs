//! Reading what a database records.

use tokio_postgres::SimpleQueryRow;
use touchmark_core::{Checksum, Kind};

use super::{Found, Tables};
use crate::Error;
use crate::rows::{LedgerRow, MigrationId, NextStatement, Progress, RefineryRow, RowState, Rows};
use crate::sql::bytea;

/// What the one statement of a start tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Probe {
    /// The chain value over everything that is applied.
    pub head: Option<Checksum>,
    /// Whether a migration is unfinished.
    pub unfinished: bool,
    /// The highest version in refinery's history.
    pub last_version: Option<i64>,
    /// Whether the set's own head was reached at some time.
    pub reached: bool,
}

/// Everything that a start with nothing to do needs to know, in one statement.
pub(crate) fn probe_sql(tables: &Tables, head: Checksum) -> String {
    let Tables {
        ledger, refinery, ..
    } = tables;
    let last =
        format!("(SELECT chain FROM {ledger} WHERE chain IS NOT NULL ORDER BY id DESC LIMIT 1)");
    let head = bytea(head);
    format!(
        "SELECT pg_catalog.encode({last}, 'hex'), \
         EXISTS (SELECT FROM {ledger} WHERE state = 'running'), \
         (SELECT pg_catalog.max(version) FROM {refinery}), \
         CASE WHEN {last} = {head} THEN true ELSE EXISTS (SELECT FROM {ledger} WHERE chain = {head}) END"
    )
}

impl Probe {
    pub(crate) fn read(row: &SimpleQueryRow) -> Probe {
        Probe {
            head: row.get(0).and_then(Checksum::from_hex),
            unfinished: row.get(1) == Some("t"),
            last_version: row.get(2).and_then(|v| v.parse().ok()),
            reached: row.get(3) == Some("t"),
        }
    }
}

/// Reads the tables that are there: always two statements, which give nothing where `condition`
/// is false.
pub(crate) fn read_sql(tables: &Tables, found: &Found, condition: &str) -> String {
    let Tables {
        ledger, refinery, ..
    } = tables;
    let nothing = "SELECT WHERE false";
    let ledger = format!(
        "SELECT id, kind, version, name, pg_catalog.encode(leaf, 'hex'), pg_catalog.encode(chain, 'hex'), \
         state, statements_done, next_statement, \
         (SELECT pg_catalog.string_agg(pg_catalog.encode(s, 'hex'), ',' ORDER BY i) \
          FROM pg_catalog.unnest(statements) WITH ORDINALITY AS t(s, i)), \
         role, application, build, started_at, finished_at, compatible FROM {ledger} WHERE {condition} ORDER BY id"
    );
    let refinery = format!(
        "SELECT version, name, applied_on, checksum FROM {refinery} WHERE {condition} ORDER BY version"
    );
    format!(
        "{}; {}",
        if found.ledger { &ledger } else { nothing },
        if found.refinery { &refinery } else { nothing },
    )
}

/// What a row of the ledger applied.
pub(crate) fn script_sql(tables: &Tables, row: i64) -> String {
    format!(
        "SELECT up_sql, down_sql FROM {} WHERE id = {row}",
        tables.ledger
    )
}

/// Reads the results of [`read_sql`].
///
/// A row that can't be read is an error and not left out: what looks as if it were not applied
/// would be applied again.
pub(crate) fn read_rows(
    ledger: &[SimpleQueryRow],
    refinery: &[SimpleQueryRow],
) -> Result<Rows, Error> {
    let unreadable = |table: &str, row: &SimpleQueryRow| Error::Server {
        doing: "read the history",
        cause: format!(
            "row {} of {table} is not one that this release writes",
            text(row, 0)
        ),
        code: None,
    };
    let ledger = ledger
        .iter()
        .map(|row| ledger_row(row).ok_or_else(|| unreadable("the ledger", row)));
    let refinery = refinery
        .iter()
        .map(|row| refinery_row(row).ok_or_else(|| unreadable("refinery's history", row)));
    Ok(Rows {
        ledger: ledger.collect::<Result<_, _>>()?,
        refinery: refinery.collect::<Result<_, _>>()?,
    })
}

fn text(row: &SimpleQueryRow, at: usize) -> String {
    row.get(at).unwrap_or_default().to_owned()
}

fn ledger_row(row: &SimpleQueryRow) -> Option<LedgerRow> {
    let state = match row.get(6)? {
        "applied" => RowState::Applied,
        "adopted" => RowState::Adopted,
        "running" => RowState::Running(Progress {
            done: row.get(7)?.parse().ok()?,
            next: match row.get(8) {
                None => NextStatement::NotStarted,
                Some("started") => NextStatement::Started,
                Some("failed") => NextStatement::Failed,
                Some("retry") => NextStatement::Retry,
                Some(_) => return None,
            },
            statements: row
                .get(9)
                .unwrap_or_default()
                .split(',')
                .filter_map(Checksum::from_hex)
                .collect(),
        }),
        "abandoned" => RowState::Abandoned,
        "removed" => RowState::Removed,
        "accepted" => RowState::Accepted,
        _ => return None,
    };
    Some(LedgerRow {
        row: row.get(0)?.parse().ok()?,
        id: MigrationId {
            kind: Kind::from_letter(row.get(1)?.chars().next()?)?,
            version: row.get(2)?.parse().ok()?,
            name: text(row, 3),
        },
        leaf: Checksum::from_hex(row.get(4)?)?,
        chain: row.get(5).and_then(Checksum::from_hex),
        state,
        compatible: row.get(15)? == "t",
        role: text(row, 10),
        application: text(row, 11),
        build: text(row, 12),
        started_at: text(row, 13),
        finished_at: row.get(14).map(Into::into),
    })
}

fn refinery_row(row: &SimpleQueryRow) -> Option<RefineryRow> {
    Some(RefineryRow {
        version: row.get(0)?.parse().ok()?,
        name: text(row, 1),
        applied_on: text(row, 2),
        checksum: text(row, 3),
    })
}
