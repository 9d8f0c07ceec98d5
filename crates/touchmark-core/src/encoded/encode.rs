//! Writing the encoded form.

use std::ops::Range;

use super::Home;
use super::layout::*;
use crate::{
    Adaptation, Isolation, Kind, MigrationSet, PlaceholderKind, Reindexed, Script, ServerObject,
    StatementKind,
};

/// Encodes a set, with the place where it belongs. The same set always gives the same bytes.
pub fn encode(set: &MigrationSet, home: &Home) -> Vec<u8> {
    // One buffer: a second one would be a second copy of every text.
    let texts = set.migrations.iter();
    let texts = texts.map(|m| m.up.sql.len() + m.down.as_ref().map_or(0, |down| down.sql.len()));
    let bodies_at = INDEX_AT + set.migrations.len() * RECORD;
    let mut out = Vec::with_capacity(bodies_at + texts.sum::<usize>());
    out.resize(bodies_at, 0);
    string(&mut out, &set.directory);
    string(&mut out, home.schema.as_deref().unwrap_or_default());
    string(&mut out, &home.history.schema);
    string(&mut out, &home.history.table);
    number(&mut out, set.placeholders.len() as u64);
    for placeholder in &set.placeholders {
        string(&mut out, &placeholder.name);
        let kind = match placeholder.kind {
            PlaceholderKind::Literal => LITERAL,
            PlaceholderKind::Identifier => IDENTIFIER,
        };
        match &placeholder.default {
            Some(default) => {
                number(&mut out, kind | DEFAULT);
                string(&mut out, default);
            }
            None => number(&mut out, kind),
        }
    }
    for (position, migration) in set.migrations.iter().enumerate() {
        let mut record = [0; RECORD];
        record[R_LETTER] = migration.kind.letter() as u8;
        record[R_FLAGS] = if migration.down.is_some() {
            FLAG_DOWN
        } else {
            0
        };
        record[R_DIGITS] = migration.digits;
        let body_at = (out.len() as u64).to_le_bytes();
        record[R_BODY..R_BODY + 5].copy_from_slice(&body_at[..5]);
        record[R_VERSION..R_VERSION + 8].copy_from_slice(&migration.version.to_le_bytes());
        record[R_LEAF..R_LEAF + 32].copy_from_slice(&migration.leaf.0);
        record[R_CHAIN..R_CHAIN + 32].copy_from_slice(&migration.chain.0);
        let at = INDEX_AT + position * RECORD;
        out[at..at + RECORD].copy_from_slice(&record);

        string(&mut out, &migration.name);
        script(&mut out, &migration.up);
        if let Some(down) = &migration.down {
            script(&mut out, down);
        }
        number(&mut out, migration.refinery.len() as u64);
        for checksum in &migration.refinery {
            out.extend_from_slice(&checksum.to_le_bytes());
        }
    }

    let total = out.len() as u64;
    let last_version = set
        .migrations
        .iter()
        .rfind(|m| m.kind != Kind::Repeatable)
        .map_or(-1, |m| m.version);
    out[..MAGIC.len()].copy_from_slice(&MAGIC);
    out[FORMAT_AT..FORMAT_AT + 4].copy_from_slice(&FORMAT.to_le_bytes());
    out[COUNT_AT..COUNT_AT + 4].copy_from_slice(&(set.migrations.len() as u32).to_le_bytes());
    out[TOTAL_AT..TOTAL_AT + 8].copy_from_slice(&total.to_le_bytes());
    out[HEAD_AT..HEAD_AT + 32].copy_from_slice(&set.head().0);
    out[NAMES_AT..NAMES_AT + 8].copy_from_slice(&(bodies_at as u64).to_le_bytes());
    out[VERSION_AT..VERSION_AT + 8].copy_from_slice(&last_version.to_le_bytes());
    let digest = blake3::derive_key("touchmark v1 set", &out[HEAD_AT..]);
    out[DIGEST_AT..DIGEST_AT + 32].copy_from_slice(&digest);
    out
}

fn script(out: &mut Vec<u8>, script: &Script) {
    string(out, &script.sql);
    let directives = &script.directives;
    let lock_timeout = directives.lock_timeout.map(|d| d.as_millis() as u64);
    let statement_timeout = directives.statement_timeout.map(|d| d.as_millis() as u64);
    let flag = |set: bool, flag: u64| if set { flag } else { 0 };
    let adaptation = script.adaptation.as_ref();
    let (no_transaction, statements) = match adaptation {
        Some(adaptation) => (adaptation.no_transaction, &adaptation.statements),
        None => (directives.no_transaction, &script.statements),
    };
    number(
        out,
        flag(no_transaction, NO_TRANSACTION)
            | flag(directives.unparsed, UNPARSED)
            | flag(lock_timeout.is_some(), LOCK_TIMEOUT)
            | flag(statement_timeout.is_some(), STATEMENT_TIMEOUT)
            | flag(directives.irreversible.is_some(), IRREVERSIBLE)
            | flag(directives.compatible_with_previous, COMPATIBLE)
            | flag(!script.holes.is_empty(), PLACEHOLDERS)
            | flag(adaptation.is_some(), ADAPTED),
    );
    for timeout in [lock_timeout, statement_timeout].into_iter().flatten() {
        number(out, timeout);
    }
    if let Some(why) = &directives.irreversible {
        string(out, why);
    }
    // Only a run without a transaction resumes at a statement, so only it needs to know more.
    if no_transaction {
        let mut at = span_count(out, statements.len());
        for statement in statements {
            at = span(out, at, statement.start..statement.end);
            statement_kind(out, &statement.kind);
            out.extend_from_slice(&statement.semantic.0);
        }
    } else if adaptation.is_some() {
        let mut at = span_count(out, statements.len());
        for statement in statements {
            at = span(out, at, statement.start..statement.end);
        }
    } else {
        let mut at = span_count(out, script.spans.len());
        for one in &script.spans {
            at = span(out, at, one.range());
        }
    }
    if !script.holes.is_empty() {
        number(out, script.holes.len() as u64);
        let mut at = 0;
        for hole in &script.holes {
            number(out, (hole.start - at) as u64);
            number(out, hole.placeholder as u64);
            at = hole.end;
        }
    }
    if let Some(adaptation) = adaptation {
        adapted(out, adaptation);
    }
}

/// Gives where the first of them is counted from.
fn span_count(out: &mut Vec<u8>, count: usize) -> usize {
    number(out, count as u64);
    0
}

/// Gives where the next one is counted from.
fn span(out: &mut Vec<u8>, at: usize, range: Range<usize>) -> usize {
    number(out, (range.start - at) as u64);
    number(out, range.len() as u64);
    range.end
}

fn adapted(out: &mut Vec<u8>, adaptation: &Adaptation) {
    number(
        out,
        match adaptation.isolation {
            None => 0,
            Some(Isolation::ReadCommitted) => READ_COMMITTED,
            Some(Isolation::RepeatableRead) => REPEATABLE_READ,
            Some(Isolation::Serializable) => SERIALIZABLE,
        },
    );
    number(out, adaptation.skipped.len() as u64);
    let mut at = 0;
    for range in &adaptation.skipped {
        at = span(out, at, range.clone());
    }
}

fn statement_kind(out: &mut Vec<u8>, kind: &StatementKind) {
    match kind {
        StatementKind::Transactional => number(out, TRANSACTIONAL),
        StatementKind::CreateIndexConcurrently {
            schema,
            table,
            index,
            if_not_exists,
        } => {
            number(
                out,
                if *if_not_exists {
                    CREATE_INDEX_IF_NOT_EXISTS
                } else {
                    CREATE_INDEX
                },
            );
            qualified(out, schema, table);
            string(out, index);
        }
        StatementKind::DropIndexConcurrently { schema, index } => {
            number(out, DROP_INDEX);
            qualified(out, schema, index);
        }
        StatementKind::ReindexConcurrently(Reindexed::Index { schema, name }) => {
            number(out, REINDEX_INDEX);
            qualified(out, schema, name);
        }
        StatementKind::ReindexConcurrently(Reindexed::Table { schema, name }) => {
            number(out, REINDEX_TABLE);
            qualified(out, schema, name);
        }
        StatementKind::ReindexConcurrently(Reindexed::Schema(name)) => {
            number(out, REINDEX_SCHEMA);
            string(out, name);
        }
        StatementKind::ReindexConcurrently(Reindexed::Database) => number(out, REINDEX_DATABASE),
        StatementKind::DetachConcurrently {
            schema,
            table,
            partition_schema,
            partition,
        } => {
            number(out, DETACH);
            qualified(out, schema, table);
            qualified(out, partition_schema, partition);
        }
        StatementKind::Create(object, name) => {
            number(out, CREATE);
            server_object(out, *object);
            string(out, name);
        }
        StatementKind::Drop(object, name) => {
            number(out, DROP);
            server_object(out, *object);
            string(out, name);
        }
        StatementKind::Vacuum => number(out, VACUUM),
        StatementKind::Rerunnable => number(out, RERUNNABLE),
        StatementKind::Opaque => number(out, OPAQUE),
        StatementKind::Committing => number(out, COMMITTING),
    }
}

fn qualified(out: &mut Vec<u8>, schema: &Option<String>, name: &str) {
    string(out, schema.as_deref().unwrap_or(""));
    string(out, name);
}

fn server_object(out: &mut Vec<u8>, object: ServerObject) {
    number(
        out,
        match object {
            ServerObject::Database => DATABASE,
            ServerObject::Tablespace => TABLESPACE,
            ServerObject::Subscription => SUBSCRIPTION,
        },
    );
}

pub(super) fn string(out: &mut Vec<u8>, text: &str) {
    number(out, text.len() as u64);
    out.extend_from_slice(text.as_bytes());
}

pub(super) fn number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}
