//! Writing how far a file without a transaction has come.
//!
//! The row is only written where it is as its writer left it: otherwise the lock was lost in
//! between, and the row is another run's now.

use std::fmt::Display;

use touchmark_core::encoded::{EncodedMigration, EncodedScript};

use super::Tables;
use super::record::{COLUMNS, Entry};
use crate::lock::holds;
use crate::rows::NextStatement;
use crate::sql::{bytea, literal, literal_or_null};

/// An unfinished row as this session has read it under the lock, or written it. `row` is an
/// expression.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reached<R> {
    pub row: R,
    pub done: usize,
    /// None where only the database knows it.
    pub next: Option<NextStatement>,
}

impl<R: Display> Reached<R> {
    /// Writes to the row. `set` is what stands behind `SET`.
    pub(crate) fn update_sql(&self, tables: &Tables, set: &str) -> String {
        let next = match self.next {
            Some(next) => format!(
                " AND next_statement IS NOT DISTINCT FROM {}",
                literal_or_null(next.name())
            ),
            None => String::new(),
        };
        format!(
            "UPDATE {} SET {set} WHERE id = {} AND state IN ('running', 'undoing') AND statements_done = {}{next}",
            tables.ledger, self.row, self.done
        )
    }

    /// Records that one more statement is done.
    pub(crate) fn progress_sql(&self, tables: &Tables) -> String {
        let done = self.done + 1;
        self.update_sql(
            tables,
            &format!("statements_done = {done}, next_statement = NULL"),
        )
    }

    /// Records what is known of the next statement.
    pub(crate) fn next_sql(&self, tables: &Tables, next: NextStatement) -> String {
        let next = literal_or_null(next.name());
        self.update_sql(tables, &format!("next_statement = {next}"))
    }

    /// Gives the row up.
    pub(crate) fn abandon_sql(&self, tables: &Tables) -> String {
        self.update_sql(
            tables,
            "state = 'abandoned', finished_at = pg_catalog.clock_timestamp()",
        )
    }
}

/// Who may write a row.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Writer {
    /// The session that holds the lock of the run.
    Holder,
    /// Whoever wrote the row last: it records what it has seen.
    Last,
}

/// Runs what writes a row and ends in its condition. Gives one row: `goes_on`, whether it was
/// written and the lock is held; `recorded`, whether it was written; `row`, its number.
pub(crate) fn told_sql(tables: &Tables, write: &str, writer: Writer) -> String {
    let condition = match writer {
        Writer::Holder => " AND (SELECT held FROM run_lock)",
        Writer::Last => "",
    };
    format!(
        "WITH run_lock AS MATERIALIZED (SELECT {} AS held), recorded AS ({write}{condition} RETURNING id) \
         SELECT held AND r.recorded AS goes_on, r.recorded, r.row FROM run_lock, \
         (SELECT pg_catalog.count(*) = 1 AS recorded, pg_catalog.max(id) AS row FROM recorded) AS r",
        holds(&[tables.keys.run])
    )
}

/// Runs what writes a row, and fails with a division by zero where none is written. Gives one, and
/// the number of the row.
pub(crate) fn or_fail_sql(write: &str) -> String {
    format!(
        "WITH recorded AS ({write} RETURNING id) SELECT 1 / pg_catalog.count(*) AS one, pg_catalog.max(id) AS row FROM recorded"
    )
}

/// The intent row of a migration without a transaction, where nobody has begun it or applied it.
pub(crate) fn intent_sql(tables: &Tables, entry: &Entry) -> String {
    let EncodedMigration { version, up, .. } = entry.migration;
    format!(
        "INSERT INTO {} ({COLUMNS}, state, statements) SELECT {}, 'running', {} \
         WHERE NOT EXISTS (SELECT FROM {} WHERE version = {version}) \
         AND NOT EXISTS (SELECT FROM {} WHERE version = {version} AND kind <> 'R' AND state IN ('running', 'undoing'))",
        tables.ledger,
        entry.values(),
        statements(up),
        tables.refinery,
        tables.ledger,
    )
}

/// What an unfinished row is set to when it is taken up again with the migration as it is now:
/// statements that were not carried out may have been mended.
pub(crate) fn resume_set(entry: &Entry) -> String {
    format!(
        "({COLUMNS}, statements) = ROW ({}, {})",
        entry.values(),
        statements(&entry.migration.up)
    )
}

/// What a row is set to when the migration is applied. `chain` is an expression.
pub(crate) fn finish_set(chain: &str) -> String {
    format!("state = 'applied', chain = {chain}, finished_at = pg_catalog.clock_timestamp()")
}

/// The intent row of an undo without a transaction. `row`, of the application, and `down` are
/// expressions.
pub(crate) fn undo_intent_sql(
    tables: &Tables,
    (version, row): (i64, impl Display),
    (script, down): (&EncodedScript, &str),
    build: &str,
) -> String {
    let Tables { ledger, .. } = tables;
    format!(
        "INSERT INTO {ledger} ({COLUMNS}, state, statements) \
         SELECT kind, version, name, leaf, up_sql, {down}, compatible, {}, 'undoing', {} FROM {ledger} WHERE id = {row} \
         AND NOT EXISTS (SELECT FROM {ledger} WHERE version = {version} AND kind <> 'R' AND state IN ('running', 'undoing'))",
        literal(build),
        statements(script),
    )
}

/// What an unfinished row of an undo is set to when it is taken up again.
pub(crate) fn undo_resume_set(script: &EncodedScript, down: &str, build: &str) -> String {
    format!(
        "(down_sql, build, statements) = ROW ({down}, {}, {})",
        literal(build),
        statements(script)
    )
}

/// What a row is set to when the migration is undone. `chain` is an expression.
pub(crate) fn undone_set(chain: &str) -> String {
    format!("state = 'undone', chain = {chain}, finished_at = pg_catalog.clock_timestamp()")
}

fn statements(script: &EncodedScript) -> String {
    let hashes: Vec<_> = script
        .statements
        .iter()
        .map(|s| bytea(s.semantic))
        .collect();
    format!("ARRAY[{}]::bytea[]", hashes.join(", "))
}
