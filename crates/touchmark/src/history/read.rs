//! Reading what a database records.

use std::collections::HashMap;
use std::time::Duration;

use tokio_postgres::SimpleQueryRow;
use touchmark_core::{Checksum, Kind};

use super::{Found, Tables};
use crate::Error;
use crate::rows::{
    AppliedScript, LedgerRow, MigrationId, NextStatement, Progress, RefineryRow, RowState, Rows,
};
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
         EXISTS (SELECT FROM {ledger} WHERE state IN ('running', 'undoing')), \
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
    let ledger = format!(
        "SELECT {LEDGER} FROM {} WHERE {condition} ORDER BY id",
        tables.ledger
    );
    let refinery = format!(
        "SELECT {REFINERY} FROM {} WHERE {condition} ORDER BY version",
        tables.refinery
    );
    format!(
        "{}; {}",
        if found.ledger { &ledger } else { NOTHING },
        if found.refinery { &refinery } else { NOTHING },
    )
}

/// Reads refinery's history alone, where it is there.
pub(crate) fn refinery_rows_sql(tables: &Tables, found: &Found) -> String {
    match found.refinery {
        true => format!(
            "SELECT {REFINERY} FROM {} ORDER BY version",
            tables.refinery
        ),
        false => NOTHING.into(),
    }
}

/// So many rows of the ledger after the one of that number, with their SQL; fewer where the texts are
/// long, and at least one.
pub(crate) fn page_sql(tables: &Tables, after: i64, rows: usize) -> String {
    const LONG: usize = 1 << 20;
    format!(
        "SELECT {LEDGER}, up_sql, down_sql FROM {ledger} WHERE id IN (SELECT id FROM \
         (SELECT id, pg_catalog.sum(size) OVER (ORDER BY id) - size AS before FROM \
         (SELECT id, COALESCE(pg_catalog.octet_length(up_sql), 0) + COALESCE(pg_catalog.octet_length(down_sql), 0) AS size \
         FROM {ledger} WHERE id > {after} ORDER BY id LIMIT {rows}) AS page) AS sizes \
         WHERE before < {LONG}) ORDER BY id",
        ledger = tables.ledger
    )
}

const NOTHING: &str = "SELECT WHERE false";

const REFINERY: &str = "version, name, applied_on, checksum";

const LEDGER: &str = "id, kind, version, name, pg_catalog.encode(leaf, 'hex'), pg_catalog.encode(chain, 'hex'), \
     state, statements_done, next_statement, \
     (SELECT pg_catalog.string_agg(pg_catalog.encode(s, 'hex'), ',' ORDER BY i) \
      FROM pg_catalog.unnest(statements) WITH ORDINALITY AS t(s, i)), \
     role, application, build, started_at, finished_at, compatible, \
     (1000 * EXTRACT(EPOCH FROM finished_at - started_at))::pg_catalog.int8";

/// How many columns [`LEDGER`] has.
const WIDTH: usize = 17;

/// What a row of the ledger applied.
pub(crate) fn script_sql(tables: &Tables, row: i64) -> String {
    format!(
        "SELECT up_sql, down_sql FROM {} WHERE id = {row}",
        tables.ledger
    )
}

/// What these rows applied.
pub(crate) fn scripts_sql(tables: &Tables, rows: &[i64]) -> String {
    let rows: Vec<_> = rows.iter().map(ToString::to_string).collect();
    format!(
        "SELECT id, up_sql, down_sql FROM {} WHERE id IN ({})",
        tables.ledger,
        rows.join(", ")
    )
}

/// Reads the result of [`scripts_sql`], by the number of the row.
pub(crate) fn read_scripts(rows: &[SimpleQueryRow]) -> HashMap<i64, AppliedScript> {
    let script = |row: &SimpleQueryRow| {
        let script = AppliedScript {
            up: text(row, 1),
            down: row.get(2).map(Into::into),
        };
        Some((number(row, 0)?, script))
    };
    rows.iter().filter_map(script).collect()
}

/// Reads the results of [`read_sql`].
///
/// A row that can't be read is an error and not left out: what looks as if it were not applied
/// would be applied again.
pub(crate) fn read_rows(
    ledger: &[SimpleQueryRow],
    refinery: &[SimpleQueryRow],
) -> Result<Rows, Error> {
    Ok(Rows {
        ledger: ledger.iter().map(read_ledger).collect::<Result<_, _>>()?,
        refinery: read_refinery(refinery)?,
    })
}

pub(crate) fn read_refinery(rows: &[SimpleQueryRow]) -> Result<Vec<RefineryRow>, Error> {
    let read =
        |row| refinery_row(row).ok_or_else(|| unreadable("refinery's history", row, "version"));
    rows.iter().map(read).collect()
}

/// Reads the result of [`page_sql`].
pub(crate) fn read_page(
    page: &[SimpleQueryRow],
) -> impl Iterator<Item = Result<(LedgerRow, AppliedScript), Error>> {
    page.iter().map(|row| {
        let script = AppliedScript {
            up: text(row, WIDTH),
            down: row.get(WIDTH + 1).map(Into::into),
        };
        Ok((read_ledger(row)?, script))
    })
}

fn read_ledger(row: &SimpleQueryRow) -> Result<LedgerRow, Error> {
    ledger_row(row).map_err(|column| unreadable("the ledger", row, column))
}

fn unreadable(table: &'static str, row: &SimpleQueryRow, column: &'static str) -> Error {
    Error::Unreadable {
        table,
        row: text(row, 0),
        column,
    }
}

fn text(row: &SimpleQueryRow, at: usize) -> String {
    row.get(at).unwrap_or_default().to_owned()
}

/// Gives the column that can't be read where there is one.
fn ledger_row(row: &SimpleQueryRow) -> Result<LedgerRow, &'static str> {
    Ok(LedgerRow {
        row: number(row, 0).ok_or("id")?,
        id: MigrationId {
            kind: kind(row).ok_or("kind")?,
            version: number(row, 2).ok_or("version")?,
            name: text(row, 3),
        },
        leaf: row.get(4).and_then(Checksum::from_hex).ok_or("leaf")?,
        chain: match row.get(5) {
            Some(chain) => Some(Checksum::from_hex(chain).ok_or("chain")?),
            None => None,
        },
        state: state(row)?,
        role: text(row, 10),
        application: text(row, 11),
        build: text(row, 12),
        started_at: text(row, 13),
        finished_at: row.get(14).map(Into::into),
        compatible: row.get(15) == Some("t"),
        elapsed: number(row, 16).map(Duration::from_millis),
    })
}

fn number<T: std::str::FromStr>(row: &SimpleQueryRow, at: usize) -> Option<T> {
    row.get(at)?.parse().ok()
}

fn kind(row: &SimpleQueryRow) -> Option<Kind> {
    Kind::from_letter(row.get(1)?.chars().next()?)
}

fn state(row: &SimpleQueryRow) -> Result<RowState, &'static str> {
    Ok(match row.get(6) {
        Some("applied") => RowState::Applied,
        Some("adopted") => RowState::Adopted,
        Some("stamped") => RowState::Stamped,
        Some("running") => RowState::Running(progress(row)?),
        Some("undoing") => RowState::Undoing(progress(row)?),
        Some("abandoned") => RowState::Abandoned,
        Some("removed") => RowState::Removed,
        Some("accepted") => RowState::Accepted,
        Some("undone") => RowState::Undone,
        _ => return Err("state"),
    })
}

fn progress(row: &SimpleQueryRow) -> Result<Progress, &'static str> {
    Ok(Progress {
        done: number(row, 7).ok_or("statements_done")?,
        next: NextStatement::read(row.get(8)).ok_or("next_statement")?,
        statements: row
            .get(9)
            .unwrap_or_default()
            .split(',')
            .filter_map(Checksum::from_hex)
            .collect(),
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
