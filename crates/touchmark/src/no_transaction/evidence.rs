//! Asking the database whether a statement was carried out.

use tokio_postgres::SimpleQueryRow;
use touchmark_core::StatementKind;

use crate::rows::NextStatement;
use crate::sql::{ident, literal};
use crate::transaction::Stop;

/// What the database and the record tell of a statement.
pub(super) enum Evidence {
    /// It was carried out.
    Done,
    /// It was not, and `clean` removes what is left of an earlier attempt.
    NotDone { clean: Option<String> },
    /// What it makes is there, and is not its work: the server will refuse it.
    InTheWay,
    /// Nobody can tell.
    Unclear(String),
}

const NOT_DONE: Evidence = Evidence::NotDone { clean: None };

/// What is known of a statement. `was_interrupted` tells that an earlier run of the migration
/// stopped in the middle of one, so that an invalid index is its work, also where a statement was
/// put before it since.
pub(super) fn evidence(
    kind: &StatementKind,
    next: NextStatement,
    was_interrupted: bool,
    mut look: impl FnMut(&str) -> Result<Vec<SimpleQueryRow>, Stop>,
) -> Result<Evidence, Stop> {
    Ok(match (kind, next) {
        (
            StatementKind::CreateIndexConcurrently {
                schema,
                table,
                index,
                if_not_exists,
            },
            next,
        ) => {
            let table = qualified(schema.as_deref(), table);
            match index_of(&look(&index_sql(&table, index))?) {
                Index::Absent => NOT_DONE,
                // Before it was marked as started there was none, so it is its work.
                Index::Valid if next == NextStatement::Started => Evidence::Done,
                // With `IF NOT EXISTS` the server would leave it as it is, whoever made it.
                Index::Invalid(clean) if was_interrupted || *if_not_exists => {
                    Evidence::NotDone { clean: Some(clean) }
                }
                Index::Valid | Index::Invalid(_) | Index::Elsewhere => Evidence::InTheWay,
            }
        }
        (StatementKind::DropIndexConcurrently { schema, index }, NextStatement::Started) => {
            let index = literal(&qualified(schema.as_deref(), index));
            let rows = look(&format!("SELECT pg_catalog.to_regclass({index}) IS NULL"))?;
            match rows.first().and_then(|row| row.get(0)) {
                Some("t") => Evidence::Done,
                _ => NOT_DONE,
            }
        }
        (StatementKind::Opaque | StatementKind::Committing, NextStatement::Started) => {
            Evidence::Unclear("the connection was lost while it ran".into())
        }
        (StatementKind::Committing, NextStatement::Failed) => {
            Evidence::Unclear("it failed, and may have committed a part before that".into())
        }
        _ => NOT_DONE,
    })
}

/// What gives a row where something of that name is there already.
pub(crate) fn in_the_way_sql(kind: &StatementKind) -> Option<String> {
    match kind {
        StatementKind::CreateIndexConcurrently {
            schema,
            table,
            index,
            ..
        } => Some(index_sql(&qualified(schema.as_deref(), table), index)),
        _ => None,
    }
}

/// What gives the name of an invalid index that `IF NOT EXISTS` would pass over.
pub(crate) fn invalid_index_sql(kind: &StatementKind) -> Option<String> {
    match kind {
        StatementKind::CreateIndexConcurrently {
            if_not_exists: true,
            ..
        } => in_the_way_sql(kind).map(|sql| {
            format!("SELECT i.name FROM ({sql}) AS i (is_its, is_valid, name) WHERE i.is_its AND NOT i.is_valid")
        }),
        _ => None,
    }
}

enum Index {
    Absent,
    Valid,
    /// With what removes it.
    Invalid(String),
    /// On another table.
    Elsewhere,
}

fn index_sql(table: &str, index: &str) -> String {
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

fn index_of(rows: &[SimpleQueryRow]) -> Index {
    let Some(row) = rows.first() else {
        return Index::Absent;
    };
    match (row.get(0), row.get(1), row.get(2)) {
        (Some("t"), Some("t"), _) => Index::Valid,
        (Some("t"), _, Some(name)) => Index::Invalid(format!("DROP INDEX CONCURRENTLY {name}")),
        _ => Index::Elsewhere,
    }
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", ident(schema), ident(name)),
        None => ident(name),
    }
}
