//! Writing what was applied.

use std::fmt::Display;

use touchmark_core::encoded::EncodedMigration;
use touchmark_core::{Checksum, Kind};

use super::Tables;
use crate::rows::MigrationId;
use crate::sql::{bytea, literal, literal_or_null};

/// What the ledger is told of one migration.
pub(crate) struct Entry<'e> {
    pub migration: &'e EncodedMigration<'e>,
    pub build: &'e str,
    pub texts: Texts,
}

/// How the two texts of a migration stand in a statement.
#[derive(Clone, Copy)]
pub(crate) enum Texts {
    Literals,
    /// A script has them in psql's variables already, because it executes them too.
    Variables,
}

impl Entry<'_> {
    /// The columns that do not depend on how it was applied.
    pub(super) fn values(&self) -> String {
        let m = self.migration;
        let down = m.down.as_ref().map(|down| down.executed());
        let (up, down) = match self.texts {
            Texts::Literals => (literal(m.up.sql), literal_or_null(down)),
            Texts::Variables => (UP.into(), down.map_or("NULL", |_| DOWN).into()),
        };
        format!(
            "'{}', {}, {}, {}, {}, {}, {}, {}",
            m.kind.letter(),
            m.version,
            literal(m.name),
            bytea(m.leaf),
            up,
            down,
            m.up.directives.compatible_with_previous,
            literal(self.build),
        )
    }
}

/// psql's variables of the two texts, as literals.
pub(crate) const UP: &str = ":'touchmark_up'";
pub(crate) const DOWN: &str = ":'touchmark_down'";

pub(super) const COLUMNS: &str = "kind, version, name, leaf, up_sql, down_sql, compatible, build";

/// The row of a migration that was applied in this transaction. `chain` is an expression.
pub(crate) fn insert_sql(tables: &Tables, entry: &Entry, chain: &str) -> String {
    format!(
        "INSERT INTO {} ({COLUMNS}, chain, state, finished_at) VALUES ({}, {chain}, 'applied', pg_catalog.clock_timestamp())",
        tables.ledger,
        entry.values(),
    )
}

/// The same row as the data of a `COPY`, for texts that are too long for a statement: the statement,
/// and the data in pieces. The time at which it is finished is for [`finished_sql`] to say.
pub(crate) fn copied_row<'e>(
    tables: &Tables,
    entry: &Entry<'e>,
    chain: Checksum,
) -> (String, impl Iterator<Item = Vec<u8>> + use<'e>) {
    let m = entry.migration;
    let statement = format!(
        "COPY {} (kind, version, name, leaf, up_sql, down_sql, compatible, build, chain, state) FROM STDIN",
        tables.ledger
    );
    let head = format!(
        "{}\t{}\t{}\t\\\\x{}\t",
        m.kind.letter(),
        m.version,
        m.name,
        m.leaf
    );
    let mut tail = format!("\t{}\t", m.up.directives.compatible_with_previous).into_bytes();
    tail.extend(pieces(entry.build).flatten());
    tail.extend(format!("\t\\\\x{chain}\tapplied\n").into_bytes());
    let down = m.down.as_ref().map(|down| down.executed());
    let null = down.is_none().then(|| b"\\N".to_vec());
    let down = pieces(down.unwrap_or_default()).chain(null);
    let row = [head.into_bytes()].into_iter();
    let row = row
        .chain(pieces(m.up.sql))
        .chain([b"\t".to_vec()])
        .chain(down)
        .chain([tail]);
    (statement, row)
}

/// Pieces of a value in the text format of `COPY`.
fn pieces(text: &str) -> impl Iterator<Item = Vec<u8>> + use<'_> {
    text.as_bytes().chunks(64 << 10).map(|chunk| {
        let mut out = Vec::with_capacity(chunk.len() + 1024);
        for byte in chunk {
            match byte {
                b'\\' => out.extend(b"\\\\"),
                b'\n' => out.extend(b"\\n"),
                b'\r' => out.extend(b"\\r"),
                b'\t' => out.extend(b"\\t"),
                _ => out.push(*byte),
            }
        }
        out
    })
}

/// Says that the newest row, which was copied, is finished.
pub(crate) fn finished_sql(tables: &Tables) -> String {
    let Tables { ledger, .. } = tables;
    format!(
        "UPDATE {ledger} SET finished_at = pg_catalog.clock_timestamp() WHERE id = (SELECT pg_catalog.max(id) FROM {ledger})"
    )
}

/// The row of a migration that is not run, because what it makes is there already.
pub(crate) fn stamp_sql(tables: &Tables, entry: &Entry, chain: Checksum) -> String {
    format!(
        "INSERT INTO {} ({COLUMNS}, chain, state, finished_at) VALUES ({}, {}, 'stamped', pg_catalog.now())",
        tables.ledger,
        entry.values(),
        bytea(chain)
    )
}

/// The row of a migration that refinery had applied; its times are refinery's, where they can
/// be read.
pub(crate) fn adopt_sql(tables: &Tables, entry: &Entry, chain: Checksum) -> String {
    format!(
        "INSERT INTO {} ({COLUMNS}, chain, state, started_at, finished_at) \
         SELECT {}, {}, 'adopted', applied, applied FROM (SELECT CASE WHEN applied_on ~ \
         '^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}T[0-9]{{2}}:[0-9]{{2}}:[0-9]{{2}}' THEN applied_on::timestamptz ELSE pg_catalog.now() END AS applied \
         FROM {} WHERE version = {}) AS refinery",
        tables.ledger,
        entry.values(),
        bytea(chain),
        tables.refinery,
        entry.migration.version
    )
}

/// The row of a text that takes the place of the one that was applied; gives its number, and
/// nothing where refinery's row, whose checksum is changed with it, is not as it was.
pub(crate) fn accept_sql(
    tables: &Tables,
    entry: &Entry,
    chain: Checksum,
    (before, after): (u64, u64),
) -> String {
    format!(
        "WITH refinery AS (UPDATE {} SET checksum = '{after}' WHERE version = {} AND checksum = '{before}' RETURNING 1) \
         INSERT INTO {} ({COLUMNS}, chain, state, finished_at) \
         SELECT {}, {}, 'accepted', pg_catalog.clock_timestamp() FROM refinery RETURNING id",
        tables.refinery,
        entry.migration.version,
        tables.ledger,
        entry.values(),
        bytea(chain)
    )
}

/// refinery's row of a migration that refinery is not given to apply, followed by a semicolon; nothing for a
/// repeatable one, which refinery does not know.
pub(crate) fn refinery_sql(tables: &Tables, migration: &EncodedMigration) -> String {
    let Some(checksum) = migration.refinery.first() else {
        return String::new();
    };
    // The same form as refinery's own: RFC 3339, UTC.
    format!(
        "INSERT INTO {} (version, name, applied_on, checksum) VALUES ({}, {}, \
         pg_catalog.to_char(pg_catalog.clock_timestamp() AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"'), '{checksum}'); ",
        tables.refinery,
        migration.version,
        literal(migration.name),
    )
}

/// The row of a migration that is undone in this transaction, and the end of refinery's row. A
/// repeatable one has no down SQL: it is to be applied again. `row` and `down` are expressions.
pub(crate) fn undone_sql(
    tables: &Tables,
    (id, row): (&MigrationId, impl Display),
    down: &str,
    build: &str,
    chain: Checksum,
) -> String {
    let Tables { ledger, .. } = tables;
    let row = format!(
        "INSERT INTO {ledger} ({COLUMNS}, chain, state, finished_at) \
         SELECT kind, version, name, leaf, up_sql, {down}, compatible, {}, {}, 'undone', \
         pg_catalog.clock_timestamp() FROM {ledger} WHERE id = {row}",
        literal(build),
        bytea(chain),
    );
    match id.kind {
        Kind::Repeatable => row,
        _ => unrecord_sql(tables, id.version) + &row,
    }
}

/// The end of refinery's row, followed by a line end.
pub(crate) fn unrecord_sql(tables: &Tables, version: i64) -> String {
    format!(
        "DELETE FROM {} WHERE version = {version};\n",
        tables.refinery
    )
}

/// The rows of repeatable migrations that are to be applied again, of which psql's variable has the
/// numbers, each with the chain value after it.
pub(crate) fn marks_sql(tables: &Tables, build: &str) -> String {
    let Tables { ledger, .. } = tables;
    format!(
        "INSERT INTO {ledger} ({COLUMNS}, chain, state, finished_at) \
         SELECT l.kind, l.version, l.name, l.leaf, l.up_sql, NULL, l.compatible, {}, \
         pg_catalog.decode(pg_catalog.split_part(m.mark, '=', 2), 'hex'), 'undone', pg_catalog.clock_timestamp() \
         FROM pg_catalog.unnest(pg_catalog.string_to_array(:'touchmark_marks', ',')) WITH ORDINALITY AS m (mark, number) \
         JOIN {ledger} AS l ON l.id = pg_catalog.split_part(m.mark, '=', 1)::pg_catalog.int8 ORDER BY m.number",
        literal(build),
    )
}

/// The row that a repeatable migration's file is gone, with the SQL that made what may be left.
/// `name` and `chain` are expressions.
pub(crate) fn removed_sql(tables: &Tables, name: &str, chain: &str) -> String {
    let Tables { ledger, .. } = tables;
    format!(
        "INSERT INTO {ledger} ({COLUMNS}, chain, state, finished_at) \
         SELECT {COLUMNS}, {chain}, 'removed', pg_catalog.now() FROM {ledger} WHERE id = \
         (SELECT pg_catalog.max(id) FROM {ledger} WHERE kind = 'R' AND name = {name} AND state = 'applied')"
    )
}
