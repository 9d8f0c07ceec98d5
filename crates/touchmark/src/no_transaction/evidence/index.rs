//! What is there of indexes that are built and rebuilt concurrently.

use tokio_postgres::SimpleQueryRow;
use touchmark_core::Reindexed;

use super::qualified;
use crate::sql::literal;

/// The index that a statement makes.
pub(super) enum Index {
    Absent,
    Valid,
    /// With what removes it.
    Invalid(String),
    /// On another table.
    Elsewhere,
}

pub(super) fn index_sql(table: &str, index: &str) -> String {
    let table = literal(table);
    format!(
        "SELECT i.indrelid = pg_catalog.to_regclass({table}), i.indisvalid AND i.indisready, \
         pg_catalog.format('%I.%I', n.nspname, c.relname) \
         FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
         LEFT JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid WHERE c.relname = {} AND c.relnamespace = \
         (SELECT relnamespace FROM pg_catalog.pg_class WHERE oid = pg_catalog.to_regclass({table}))",
        literal(index)
    )
}

pub(super) fn index_of(rows: &[SimpleQueryRow]) -> Index {
    let Some(row) = rows.first() else {
        return Index::Absent;
    };
    match (row.get(0), row.get(1), row.get(2)) {
        (Some("t"), Some("t"), _) => Index::Valid,
        (Some("t"), _, Some(name)) => Index::Invalid(format!("DROP INDEX CONCURRENTLY {name}")),
        _ => Index::Elsewhere,
    }
}

/// The invalid indexes that an interrupted `REINDEX CONCURRENTLY` leaves beside those that it
/// rebuilds: on the same table, with their names, which the server cuts to 63 bytes, and a suffix.
pub(super) fn leftovers_sql(reindexed: &Reindexed) -> String {
    let of = |schema: &Option<String>, name| {
        let name = literal(&qualified(schema.as_deref(), name));
        // Itself, and below it where it is partitioned.
        format!(
            "(SELECT pg_catalog.to_regclass({name})::oid UNION \
             SELECT relid FROM pg_catalog.pg_partition_tree(pg_catalog.to_regclass({name})))"
        )
    };
    let scope = match reindexed {
        Reindexed::Index { schema, name } => {
            format!("original.indexrelid IN {}", of(schema, name))
        }
        // A table and the one that keeps its long values.
        Reindexed::Table { schema, name } => {
            let tables = of(schema, name);
            format!(
                "(original.indrelid IN {tables} OR original.indrelid IN \
                 (SELECT reltoastrelid FROM pg_catalog.pg_class WHERE oid IN {tables}))"
            )
        }
        Reindexed::Schema(schema) => {
            let tables = format!(
                "SELECT t.oid, t.reltoastrelid FROM pg_catalog.pg_class t JOIN pg_catalog.pg_namespace s \
                 ON s.oid = t.relnamespace WHERE s.nspname = {}",
                literal(schema)
            );
            format!(
                "original.indrelid IN (SELECT u.oid FROM ({tables}) AS s, \
                 LATERAL (VALUES (s.oid), (s.reltoastrelid)) AS u (oid))"
            )
        }
        Reindexed::Database => "true".into(),
    };
    format!(
        "SELECT DISTINCT pg_catalog.format('%I.%I', n.nspname, c.relname) AS name \
         FROM pg_catalog.pg_index AS i JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid \
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace \
         JOIN pg_catalog.pg_index AS original ON original.indrelid = i.indrelid AND original.indexrelid <> i.indexrelid \
         JOIN pg_catalog.pg_class AS o ON o.oid = original.indexrelid, \
         LATERAL (SELECT pg_catalog.regexp_replace(c.relname, '_cc(new|old)[0-9]*$', '')) AS s (stem) \
         WHERE NOT i.indisvalid AND c.relkind = 'i' AND s.stem <> c.relname AND {scope} \
         AND (s.stem = o.relname OR pg_catalog.octet_length(c.relname::text) >= 60 AND pg_catalog.starts_with(o.relname::text, s.stem)) \
         ORDER BY 1"
    )
}

/// Whether what is rebuilt is partitioned.
pub(in crate::no_transaction) fn partitioned_sql(reindexed: &Reindexed) -> String {
    match reindexed {
        Reindexed::Index { schema, name } | Reindexed::Table { schema, name } => format!(
            "EXISTS (SELECT FROM pg_catalog.pg_class WHERE relkind IN ('p', 'I') AND oid = pg_catalog.to_regclass({}))",
            literal(&qualified(schema.as_deref(), name))
        ),
        // These take one partition after the other.
        Reindexed::Schema(_) | Reindexed::Database => "false".into(),
    }
}
