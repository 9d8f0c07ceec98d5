//! Asking the database whether a statement was carried out.

mod index;

use tokio_postgres::SimpleQueryRow;
use touchmark_core::{ServerObject, StatementKind};

use crate::rows::NextStatement;
use crate::sql::{ident, literal};
use crate::transaction::Stop;
use index::{Index, index_of, index_sql, leftovers_sql};

pub(super) use index::partitioned_sql;

/// What the database and the record tell of a statement.
pub(super) enum Evidence {
    /// It was carried out.
    Done,
    /// It was not, or not to its end.
    NotDone {
        /// What removes the rest of an earlier attempt, one after the other.
        clean: Vec<String>,
        /// What finishes an earlier attempt, and is carried out in its place.
        instead: Option<String>,
        /// What is recorded before it is carried out.
        mark: NextStatement,
    },
    /// What it makes is there, or what it takes away is not, and that is not its work: the server
    /// will refuse it.
    InTheWay,
    /// Nobody can tell.
    Unclear(String),
}

impl Evidence {
    fn not_done() -> Evidence {
        Evidence::cleaned(Vec::new())
    }

    fn cleaned(clean: Vec<String>) -> Evidence {
        Evidence::NotDone {
            clean,
            instead: None,
            mark: NextStatement::Started,
        }
    }
}

/// What is known of a statement. `was_interrupted` tells that an earlier run of the migration
/// stopped in the middle of one, so that an invalid index is its work, also where a statement was
/// put before it since.
pub(super) fn evidence(
    kind: &StatementKind,
    next: NextStatement,
    was_interrupted: bool,
    mut look: impl FnMut(&str) -> Result<Vec<SimpleQueryRow>, Stop>,
) -> Result<Evidence, Stop> {
    // What it makes was not there before it was marked as started, and what it takes away was.
    let was_started = next == NextStatement::Started;
    Ok(match kind {
        StatementKind::CreateIndexConcurrently {
            schema,
            table,
            index,
            if_not_exists,
        } => {
            let table = qualified(schema.as_deref(), table);
            match index_of(&look(&index_sql(&table, index))?) {
                Index::Absent => Evidence::not_done(),
                Index::Valid if was_started => Evidence::Done,
                // With `IF NOT EXISTS` the server would leave it as it is, whoever made it.
                Index::Invalid(clean) if was_interrupted || *if_not_exists => {
                    Evidence::cleaned(vec![clean])
                }
                Index::Valid | Index::Invalid(_) | Index::Elsewhere => Evidence::InTheWay,
            }
        }
        StatementKind::DropIndexConcurrently { schema, index } if was_started => {
            let index = literal(&qualified(schema.as_deref(), index));
            let gone = look(&format!("SELECT pg_catalog.to_regclass({index}) IS NULL"))?;
            match flag(&gone) {
                Some(true) => Evidence::Done,
                _ => Evidence::not_done(),
            }
        }
        StatementKind::ReindexConcurrently(reindexed) => {
            let rows = look(&leftovers_sql(reindexed))?;
            let leftovers: Vec<_> = rows.iter().filter_map(|row| row.get(0)).collect();
            match next {
                _ if leftovers.is_empty() => Evidence::not_done(),
                NextStatement::Started | NextStatement::Failed => {
                    let drop = |index: &&str| format!("DROP INDEX CONCURRENTLY IF EXISTS {index}");
                    Evidence::cleaned(leftovers.iter().map(drop).collect())
                }
                NextStatement::StartedUnclean => Evidence::Unclear(format!(
                    "it leaves invalid indexes when it is interrupted, and some were there before it: {}",
                    leftovers.join(", ")
                )),
                NextStatement::NotStarted | NextStatement::Retry => Evidence::NotDone {
                    clean: Vec::new(),
                    instead: None,
                    mark: NextStatement::StartedUnclean,
                },
            }
        }
        StatementKind::DetachConcurrently {
            schema,
            table,
            partition_schema,
            partition,
        } => {
            let table = qualified(schema.as_deref(), table);
            let partition = qualified(partition_schema.as_deref(), partition);
            match flag(&look(&pending_sql(&table, &partition))?) {
                // Nothing but this goes on with it, and it can't be taken back.
                Some(true) => Evidence::NotDone {
                    clean: Vec::new(),
                    instead: Some(format!(
                        "ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE"
                    )),
                    mark: NextStatement::Started,
                },
                Some(false) => Evidence::not_done(),
                None if matches!(next, NextStatement::Started | NextStatement::Failed) => {
                    Evidence::Done
                }
                None => Evidence::InTheWay,
            }
        }
        StatementKind::Create(object, name) => match look(&object_sql(*object, name))?.is_empty() {
            true => Evidence::not_done(),
            false if was_started => Evidence::Done,
            false => Evidence::InTheWay,
        },
        StatementKind::Drop(object, name) if was_started => {
            match look(&object_sql(*object, name))?.is_empty() {
                true => Evidence::Done,
                false => Evidence::not_done(),
            }
        }
        StatementKind::Opaque | StatementKind::Committing if was_started => {
            Evidence::Unclear("it was begun, and its end is not recorded".into())
        }
        StatementKind::Committing if next == NextStatement::Failed => {
            Evidence::Unclear("it failed, and may have committed a part before that".into())
        }
        _ => Evidence::not_done(),
    })
}

/// What a script records before it carries a statement out, as an expression: nothing where what
/// it makes is there already.
pub(crate) fn started_sql(kind: &StatementKind) -> String {
    let (there, otherwise) = match kind {
        StatementKind::CreateIndexConcurrently {
            schema,
            table,
            index,
            ..
        } => (
            index_sql(&qualified(schema.as_deref(), table), index),
            NextStatement::NotStarted,
        ),
        StatementKind::ReindexConcurrently(reindexed) => {
            (leftovers_sql(reindexed), NextStatement::StartedUnclean)
        }
        StatementKind::Create(object, name) => {
            (object_sql(*object, name), NextStatement::NotStarted)
        }
        StatementKind::DetachConcurrently {
            schema,
            table,
            partition_schema,
            partition,
        } => {
            let table = qualified(schema.as_deref(), table);
            let partition = qualified(partition_schema.as_deref(), partition);
            let attached = pending_sql(&table, &partition);
            return format!("CASE WHEN EXISTS ({attached}) THEN 'started' END");
        }
        _ => return "'started'".into(),
    };
    let otherwise = crate::sql::literal_or_null(otherwise.name());
    format!("CASE WHEN EXISTS ({there}) THEN {otherwise} ELSE 'started' END")
}

/// What gives the name of an invalid index that `IF NOT EXISTS` would pass over.
pub(crate) fn invalid_index_sql(kind: &StatementKind) -> Option<String> {
    match kind {
        StatementKind::CreateIndexConcurrently {
            schema,
            table,
            index,
            if_not_exists: true,
        } => {
            let index = index_sql(&qualified(schema.as_deref(), table), index);
            Some(format!(
                "SELECT i.name FROM ({index}) AS i (is_its, is_valid, name) WHERE i.is_its AND NOT i.is_valid"
            ))
        }
        _ => None,
    }
}

/// Whether a `DETACH` of an attached partition is pending; no row where it is not attached.
fn pending_sql(table: &str, partition: &str) -> String {
    // Servers before 14 do not have the column.
    format!(
        "SELECT coalesce((pg_catalog.to_jsonb(i) ->> 'inhdetachpending')::bool, false) FROM pg_catalog.pg_inherits AS i \
         WHERE i.inhrelid = pg_catalog.to_regclass({}) AND i.inhparent = pg_catalog.to_regclass({})",
        literal(partition),
        literal(table)
    )
}

/// Gives a row where it is there.
fn object_sql(object: ServerObject, name: &str) -> String {
    let name = literal(name);
    match object {
        ServerObject::Database => {
            format!("SELECT 1 FROM pg_catalog.pg_database WHERE datname = {name}")
        }
        ServerObject::Tablespace => {
            format!("SELECT 1 FROM pg_catalog.pg_tablespace WHERE spcname = {name}")
        }
        ServerObject::Subscription => format!(
            "SELECT 1 FROM pg_catalog.pg_subscription WHERE subname = {name} AND subdbid = \
             (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())"
        ),
    }
}

fn flag(rows: &[SimpleQueryRow]) -> Option<bool> {
    Some(rows.first()?.get(0)? == "t")
}

fn qualified(schema: Option<&str>, name: &str) -> String {
    match schema {
        Some(schema) => format!("{}.{}", ident(schema), ident(name)),
        None => ident(name),
    }
}
